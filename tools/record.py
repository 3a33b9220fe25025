"""make record: summarise the finished full-scale seeds of a notebook into results/full, which the repository shows."""

import sys
from pathlib import Path

from tools import notebooks, readme_table
from utils import results
from utils.settings import SettingError
from utils.storage import read_json, write_json

# What produced a result. A model whose facts are not those of the record states its own.
PROVENANCE = ("seeds", "environment", "code", "date")


def summarise(runs: dict[Path, dict], earlier: dict | None = None) -> dict:
    """One result of several seeds from one result a seed.

    A notebook may train a costly model with some of the seeds only; its entry then says with which. Models of the
    earlier record that no run holds are kept where they were measured on the same data, and say what produced them.

    Raises ValueError where the runs differ in anything but their seeds and what they measured: data, code,
    versions, parameters, epochs.
    """
    first_path, first = next(iter(runs.items()))
    for path, run in runs.items():
        for fact in ("notebook", "scale", "data", "environment", "code"):
            if run.get(fact) != first.get(fact):
                raise ValueError(
                    f"{path.name} and {first_path.name} differ in {fact}: {run.get(fact)} against {first.get(fact)}. "
                    "Run the seeds again on the same footing."
                )
    summary = {fact: first[fact] for fact in ("notebook", "scale", "data", "environment", "code")}
    summary["date"] = max(run["date"] for run in runs.values())
    summary["seeds"] = [run["seeds"][0] for run in runs.values()]
    summary["total_seconds"] = [run["total_seconds"] for run in runs.values()]
    summary["models"] = {}
    for name in dict.fromkeys(name for run in runs.values() for name in run["models"]):
        seeds = {run["seeds"][0]: run["models"][name] for run in runs.values() if name in run["models"]}
        summary["models"][name] = _over_seeds(name, seeds)
        if list(seeds) != summary["seeds"]:
            summary["models"][name]["seeds"] = list(seeds)
    if earlier and earlier["data"] == summary["data"]:
        facts = {fact: earlier[fact] for fact in PROVENANCE}
        for name, model in earlier["models"].items():
            summary["models"].setdefault(name, facts | model)
    return summary


def _over_seeds(name: str, seeds: dict[int, dict]) -> dict:
    """One model's entry from its entries in the runs, by seed."""
    first = next(iter(seeds.values()))
    entry = {fact: first[fact] for fact in ("parameters", "epochs") if fact in first}
    if any({fact: seed.get(fact) for fact in entry} != entry for seed in seeds.values()):
        raise ValueError(f"{name}: the seeds differ in parameters or epochs. Run them again.")
    if "seconds" in first:
        entry["seconds"] = [seed["seconds"][0] for seed in seeds.values()]
    for metric in results.metrics_of(first):
        entry[metric] = results.summary([seed[metric]["values"][0] for seed in seeds.values()])
    return entry


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
            summary = summarise(runs, results.recorded_result(path.stem))
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
        if kept := [name for name, model in summary["models"].items() if "date" in model]:
            print(f"kept from the earlier record, since no seed holds them: {', '.join(kept)}")
    try:
        readme_table.update()
    except OSError as error:
        sys.exit(notebooks.cannot_write(error, "The table in README.md or results/README.md"))
    if not recorded:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:2])
