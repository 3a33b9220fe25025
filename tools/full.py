"""make full: run notebooks at full scale, once a seed, and keep one result file a seed.

A seed that is finished is skipped, so an interrupted call goes on where it stopped. A result counts as finished
when its notebook ran to the end; it is run again when the notebook's code has changed since.
"""

import argparse
import datetime
import hashlib
import sys
import time
from pathlib import Path

import nbformat

from tools import notebooks
from utils import results
from utils.storage import read_json, write_json


def code_hash(path: Path) -> str:
    """SHA-256 of a notebook's code cells: which code produced a result."""
    cells = nbformat.read(path, as_version=4).cells
    return hashlib.sha256("\n".join(c.source for c in cells if c.cell_type == "code").encode()).hexdigest()


def run_seed(path: Path, seed: int) -> None:
    """Execute one notebook with one seed; mark its result as finished; leave the executed page beside it."""
    result_path = results.run_path(path.stem, "full", seed)
    code = code_hash(path)
    earlier = read_json(result_path)
    if earlier.get("finished") and earlier.get("code") == code:
        print(f"{path.stem}, seed {seed}: finished on {earlier['finished']}, skipped")
        return
    if earlier.get("finished"):
        kept = result_path.with_suffix(f".{earlier['code'][:8]}.json.old")
        result_path.replace(kept)
        print(
            f"{path.stem}: the code has changed since seed {seed} finished; that result is kept as {kept.name}"
        )
    else:
        result_path.unlink(missing_ok=True)  # of an interrupted run
    print(f"{path.stem}, seed {seed}: running at full scale", flush=True)
    start = time.perf_counter()
    name = f"{path.stem}-seed{seed}"
    page = notebooks.BUILD / "html" / "full" / f"{name}.html"
    try:
        executed = notebooks.execute(path, echo=True, COURSE_SCALE="full", COURSE_SEED=str(seed))
    except notebooks.NotebookFailed as failure:
        notebooks.write_html(failure.notebook, page, name)
        sys.exit(f"\n{failure}\nHow far it got: {page}")
    notebooks.write_html(executed, page, name)
    if not (result := read_json(result_path)):
        print(f"{path.stem}: recorded nothing")
        return
    finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    result |= {"code": code, "total_seconds": round(time.perf_counter() - start, 1), "finished": finished}
    write_json(result_path, result)
    for model, entry in result["models"].items():
        shown = [
            f"{name} {results.format_metric(name, value)}"
            for name, value in results.metrics_of(entry).items()
        ]
        print(f"  {model}: {', '.join(shown)}")
    print(f"{path.stem}, seed {seed}: {result['total_seconds']:,.0f} s, written to {result_path}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", default="", help="numbers such as 02 or 02,08; all without")
    parser.add_argument("--seeds", default="42,43,44", help="whole numbers, comma-separated")
    arguments = parser.parse_args()
    try:
        seeds = [int(seed) for seed in arguments.seeds.split(",") if seed.strip()]
    except ValueError:
        parser.error(f"SEEDS={arguments.seeds}: use whole numbers, comma-separated, such as 42,43,44")
    for path in notebooks.find(arguments.notebooks):
        for seed in seeds:
            run_seed(path, seed)


if __name__ == "__main__":
    main()
