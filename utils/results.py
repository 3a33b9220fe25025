"""Result files: the one shape that a run, a recorded full-scale run and the book's figures share.

    {"notebook": "02_…", "scale": "full", "data": {"name": …, "sha256": …, "n_train": …, "n_test": …},
     "environment": {"python": …, "keras": …, "backend": …, "device": …}, "date": …, "seeds": [42, 43],
     "models": {"LeNet5": {"parameters": 303626, "epochs": 20, "seconds": [61.0, 60.5],
                           "test_accuracy": {"values": [0.99, 0.98], "mean": 0.985, "std": 0.007}}}}

A run of one notebook is a file of this shape with one seed. What `make full` finished has three facts more, and what
`make record` summarised the first two: `code`, the SHA-256 of the notebook's code cells as they ran, `total_seconds`, and
`finished`, when. `std` is the sample standard deviation over the seeds,
null where there is one. Where `make record` found a model in some of the seeds only, or kept it from an earlier record, the
model states the facts of its own: `seeds`, and where it was kept `environment`, `code` and `date`, too.
"""

import statistics
from pathlib import Path

import pandas as pd

from utils.storage import BUILD, ROOT, read_json

BOOK = ROOT / "results" / "book.json"
MEASURED_SAMPLE = ROOT / "results" / "sample.json"
RECORDED = ROOT / "results" / "full"


def run_path(notebook: str, scale: str, seed: int) -> Path:
    """Where a run of one notebook, scale and seed leaves what it measured."""
    return BUILD / "results" / scale / f"{notebook}-seed{seed}.json"


def summary(values: list[float]) -> dict:
    """{"values", "mean", "std"} of one metric over the seeds."""
    return {
        "values": values,
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
    }


def metrics_of(model: dict) -> dict[str, dict]:
    """The metrics among a model's entries, by name."""
    return {name: entry for name, entry in model.items() if isinstance(entry, dict) and "mean" in entry}


def book_result(notebook: str) -> dict:
    """The book's figures for a notebook; {} where it prints none."""
    return read_json(BOOK).get("notebooks", {}).get(notebook, {})


def recorded_result(notebook: str) -> dict:
    """The recorded full-scale run of a notebook; {} where nobody has recorded one."""
    return read_json(RECORDED / f"{notebook}.json")


def recorded_heading(recorded: dict, model: str | None = None) -> str:
    """Column heading of a recorded run: its data and number of seeds, of all its models or of one."""
    if not recorded:
        return "recorded at full scale: none yet"
    models = [model] if model else recorded["models"]
    seeds = {len(seeds_of(recorded, name)) for name in models} or {len(recorded["seeds"])}
    number = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{max(seeds)}"
    return f"recorded: {recorded['data']['name']}, {number} seed{'s' if max(seeds) > 1 else ''}"


def seeds_of(recorded: dict, model: str) -> list[int]:
    """The seeds with which a model of a record was trained."""
    return recorded["models"].get(model, {}).get("seeds", recorded["seeds"])


def data_and_backend(result: dict) -> str:
    """The data and the backend of a result in words, such as "MNIST, JAX 0.11.2"."""
    facts = result.get("data", {}).get("name"), result.get("environment", {}).get("backend")
    return ", ".join(filter(None, facts))


def format_metric(name: str, entry: dict | None) -> str:
    """'98.13 % ± 0.08' for an accuracy, '0.571 ± 0.002' otherwise; '' for what nobody measured."""
    if not entry:
        return ""
    percent = name.endswith("accuracy")
    text = f"{entry['mean'] * 100:.2f} %" if percent else f"{entry['mean']:.3f}"
    if entry["std"] is None:
        return text
    return text + (f" ± {entry['std'] * 100:.2f}" if percent else f" ± {entry['std']:.3f}")


def comparison_table(columns: dict[str, dict], metrics: dict[str, str]) -> pd.DataFrame:
    """One row a model, one column a result (and metric, where there are several); empty where not measured.

    columns: column heading -> result. metrics: name in the results -> heading. Models for which none of the
    results has any of the metrics are left out.
    """
    models = list(
        dict.fromkeys(
            model
            for result in reversed(columns.values())
            for model, entry in result.get("models", {}).items()
            if metrics.keys() & entry.keys()
        )
    )
    rows = []
    for model in models:
        entries = {heading: result.get("models", {}).get(model, {}) for heading, result in columns.items()}
        parameters = next((e["parameters"] for e in entries.values() if e.get("parameters")), None)
        row = {"parameters": f"{parameters:,}" if parameters else ""}
        for metric, title in metrics.items():
            for heading, entry in entries.items():
                row[f"{title}: {heading}" if len(metrics) > 1 else heading] = format_metric(
                    metric, entry.get(metric)
                )
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(models, name="model"))
