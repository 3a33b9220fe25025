"""make record: summarise the finished full-scale seeds of a notebook into results/full, which the repository shows."""

import sys
from pathlib import Path

from tools import notebooks, readme_table
from utils import results
from utils.settings import SettingError
from utils.storage import read_json, write_json


def summarise(runs: dict[Path, dict]) -> dict:
    """One result of several seeds from one result a seed.

    Raises ValueError where the runs differ in anything but their seeds and what they measured: data, code,
    versions, models, parameters, epochs.
    """
    first_path, first = next(iter(runs.items()))
    for path, run in runs.items():
        for fact in ("notebook", "scale", "data", "environment", "code"):
            if run.get(fact) != first.get(fact):
                raise ValueError(
                    f"{path.name} and {first_path.name} differ in {fact}: {run.get(fact)} against {first.get(fact)}. "
                    "Run the seeds again on the same footing."
                )
        if list(run["models"]) != list(first["models"]):
            raise ValueError(f"{path.name} and {first_path.name} hold different models. Run the seeds again.")
    summary = {fact: first[fact] for fact in ("notebook", "scale", "data", "environment", "code")}
    summary["date"] = max(run["date"] for run in runs.values())
    summary["seeds"] = [run["seeds"][0] for run in runs.values()]
    summary["total_seconds"] = [run["total_seconds"] for run in runs.values()]
    summary["models"] = {}
    for name, model in first["models"].items():
        seeds = [run["models"][name] for run in runs.values()]
        entry = {fact: model[fact] for fact in ("parameters", "epochs") if fact in model}
        if any({fact: seed.get(fact) for fact in entry} != entry for seed in seeds):
            raise ValueError(f"{name}: the seeds differ in parameters or epochs. Run them again.")
        if "seconds" in model:
            entry["seconds"] = [seed["seconds"][0] for seed in seeds]
        for metric in results.metrics_of(model):
            entry[metric] = results.summary([seed[metric]["values"][0] for seed in seeds])
        summary["models"][name] = entry
    return summary


def main(numbers: str = "") -> None:
    recorded = 0
    try:
        paths = notebooks.find(numbers)
    except SettingError as error:
        sys.exit(str(error))
    for path in paths:
        folder = results.run_path(path.stem, "full", 0).parent
        try:
            found = {p: read_json(p) for p in sorted(folder.glob(f"{path.stem}-seed*.json"))}
        except ValueError as error:
            sys.exit(str(error))
        unfinished = [p.name for p, run in found.items() if not run.get("finished")]
        if unfinished:
            print(f"left out, not finished: {', '.join(unfinished)}")
        runs = {p: run for p, run in found.items() if run.get("finished")}
        if not runs:
            print(f"{path.stem}: no finished seed under {folder}; run `make full NB={path.stem[:2]}` first")
            continue
        runs = dict(sorted(runs.items(), key=lambda item: item[1]["seeds"]))
        try:
            summary = summarise(runs)
        except ValueError as error:
            sys.exit(str(error))
        try:
            write_json(results.RECORDED / f"{path.stem}.json", summary)
        except OSError as error:
            sys.exit(notebooks.cannot_write(error, "results/full"))
        recorded += 1
        print(
            f"{path.stem}: recorded seeds {', '.join(map(str, summary['seeds']))} on {summary['data']['name']}"
        )
    try:
        readme_table.update()
    except OSError as error:
        sys.exit(notebooks.cannot_write(error, "The table in README.md or results/README.md"))
    if not recorded:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:2])
