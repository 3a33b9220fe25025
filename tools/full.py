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

import joblib
import nbformat
from filelock import FileLock, Timeout

from tools import notebooks
from tools.colab import CELL_ID
from utils import results
from utils.settings import SettingError, checked_seeds
from utils.storage import read_json, write_json


def code_hash(path: Path) -> str:
    """SHA-256 of a notebook's code cells, without the one for Colab: which code produced a result."""
    cells = nbformat.read(path, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code" and cell.get("id") != CELL_ID]
    return hashlib.sha256("\n".join(sources).encode()).hexdigest()


def write_page(executed: nbformat.NotebookNode, name: str, note: str) -> str:
    """Render a page under build/html/full and return its path, or why there is none."""
    page = notebooks.BUILD / "html" / "full" / f"{name}.html"
    try:
        page.unlink(missing_ok=True)  # of an earlier run
        notebooks.write_html(executed, page, name, note)
    except Exception as error:  # whatever it was, the results count
        return f"no page, {notebooks.cannot_write(error) if isinstance(error, OSError) else repr(error)}"
    return str(page)


class SeedFailed(SystemExit):
    """A notebook failed with a seed; the message says where, and where its page is."""


def run_seed(path: Path, seed: int) -> None:
    """Execute one notebook with one seed; mark its result as finished; leave the executed page beside it.

    A seed that another call is running is skipped: both would write to the same result. Raises SeedFailed.
    """
    result_path = results.run_path(path.stem, "full", seed)
    try:
        result_path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(result_path.with_suffix(".lock")).acquire(timeout=0)
    except Timeout:
        print(f"{path.stem}, seed {seed}: another call is running it, skipped")
        return
    except OSError as error:
        sys.exit(notebooks.cannot_write(error))
    with lock:
        _run_seed(path, seed, result_path)


def _run_seed(path: Path, seed: int, result_path: Path) -> None:
    code = code_hash(path)
    try:
        earlier = read_json(result_path)
    except ValueError as error:
        sys.exit(str(error))
    if earlier.get("finished") and earlier.get("code") == code:
        print(
            f"{path.stem}, seed {seed}: finished on {earlier['finished']} ({results.data_and_backend(earlier)}), skipped"
        )
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
    try:
        executed = notebooks.run(
            notebooks.execute(path, name=name, echo=True, COURSE_SCALE="full", COURSE_SEED=str(seed))
        )
    except notebooks.NotebookFailed as failure:
        note = notebooks.stopped(f"failed {failure.where}")
        page = write_page(failure.notebook, name, note)
        raise SeedFailed(f"\n{failure}\nHow far it got: {page}") from None
    except KeyboardInterrupt:
        sys.exit(
            f"\nInterrupted in {path.name}, seed {seed}. Finished seeds are kept; the same command goes on "
            "with this one, from its beginning."
        )
    seconds = round(time.perf_counter() - start, 1)
    note = f"*{notebooks.facts(executed, seconds, joblib.cpu_count())}*"
    note += notebooks.training_seconds(result_path)
    if not (result := read_json(result_path)):
        print(f"{path.stem}: recorded nothing; its page: {write_page(executed, name, note)}")
        return
    finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    result |= {"code": code, "total_seconds": seconds, "finished": finished}
    try:
        write_json(result_path, result)
    except OSError as error:
        sys.exit(f"\n{notebooks.cannot_write(error)}. Seed {seed} does not count as finished.")
    print(f"{path.stem}, seed {seed}: its page: {write_page(executed, name, note)}")
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
        seeds = checked_seeds(arguments.seeds)
        paths = notebooks.find(arguments.notebooks)
    except SettingError as error:
        sys.exit(str(error))
    notebooks.check_build()
    failed = []
    for path in paths:
        try:
            for seed in seeds:
                run_seed(path, seed)
        except SeedFailed as failure:  # the other notebooks may have what they need
            if len(paths) == 1:
                raise
            print(failure, file=sys.stderr)
            failed.append(path.stem)
    if failed:
        sys.exit(f"\nFailed: {', '.join(failed)}; what each of them said stands above.")


if __name__ == "__main__":
    main()
