"""Every recorded full-scale run still matches its notebook: models, parameters and epochs are those it would train today.

The sample's values say what the notebook trains at the sample scale, and its Settings cell how that differs at full scale.
"""

import ast
from collections.abc import Collection

import pytest
from course import ROOT, code_cells, read, source

from utils.results import MEASURED_SAMPLE, RECORDED
from utils.storage import read_json

STAGES = tuple(f"stage {i}" for i in range(2, 8))
FIVE_DAYS = ("2-D CNN on charts", "Boosted trees, rescaled")


def settings(path, scale: str) -> dict:
    """The values that a notebook's Settings cell sets at a scale."""

    class Run:
        def __init__(self, notebook):
            pass

        def pick(self, **values):
            return values[scale]

    namespace = {"Run": Run}
    exec(source(code_cells(read(path))[1]), namespace)
    return namespace


def differences(
    recorded: dict,
    sample: dict,
    at_sample: dict,
    at_full: dict,
    only_full: Collection[str] = (),
    reshaped: bool = False,
) -> list[str]:
    """Where a record is not what the notebook would train at full scale, one line each.

    recorded, sample: results of one notebook; at_sample, at_full: its settings at both scales; only_full: models that
    the sample has no data for; reshaped: the same name stands for other parameters at full scale.
    """
    renamed, epochs = {}, []
    for name, value in at_sample.items():
        for a, b in zip(
            *((v if isinstance(v, tuple) else (v,)) for v in (value, at_full[name])), strict=False
        ):
            if isinstance(a, str) and isinstance(b, str) and not name.startswith("__"):
                renamed |= {a: b} if a != b else {}
            elif "EPOCHS" in name:
                epochs.append((a, b))
    models = {}
    for name, entry in sample["models"].items():
        full_name = name
        for a, b in renamed.items():
            full_name = full_name.replace(a, b)
        models[full_name] = entry | ({"parameters": None} if full_name != name else {})
    if reshaped:
        models = {name: entry | {"parameters": None} for name, entry in sample["models"].items()}
    found = []
    for name, entry in recorded["models"].items():
        if not (today := models.get(name)) and name in only_full:
            continue
        if not today:
            found.append(f"{name}: the notebook trains no such model")
            continue
        if today.get("parameters") and today["parameters"] != entry.get("parameters"):
            found.append(
                f"{name}: {entry.get('parameters')} parameters recorded, {today['parameters']} today"
            )
        if today.get("epochs") and not any(
            today["epochs"] * at_full == entry.get("epochs", 0) * at_sample for at_sample, at_full in epochs
        ):
            found.append(f"{name}: {entry.get('epochs')} epochs recorded; settings {epochs}")
    return found


def named_in(path) -> set[str]:
    """What the notebook's code has as whole strings, such as the name of a model of the reader's own data."""
    nodes = (node for cell in code_cells(read(path)) for node in ast.walk(ast.parse(source(cell))))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


# Models that a notebook has at full scale only, by names that its code puts together.
ONLY_FULL = {
    # Two recipes, with and without augmentation: at the sample scale not every network goes through all four, none trains
    # longer, and neither curves nor single answers are recorded.
    "03_cifar10_image_classification": {
        f"{what}{network}{augmented}{recipe}"
        for what in ("", "Curve of ", "Answers of ")
        for network in ("Logistic regression", "Feedforward", "CNN", "AlexNet")
        for augmented in ("", " + augmentation")
        for recipe in ("", ", our recipe", ", our recipe, 60 epochs")
    }
    | {f"Curve of CNN, our recipe but {part}" for part in ("the book's pixels", "Adam")},
    "06_transfer_learning": {
        f"{way}, {task}{labels}"
        for way in (
            "Logistic regression",
            "From scratch",
            "Chapter's head",
            "Top fine-tuned",
            "All fine-tuned",
        )
        for task in ("objects", "digits", "own images")
        for labels in ("", ", all labels")
    }
    | {f"Logistic regression on {stage}, own images" for stage in ("last convolution", *STAGES)}
    | {f"EfficientNet-Lite0 on objects, {part}" for part in ("new layer only", "stages 4 to 7 trained")},
    "09_after_alexnet": {"Residual network"}
    | {f"14 layers, {kind}, with batch normalisation" for kind in ("plain", "shortcuts")},
    # Prices have more test years at full scale, and the CNNs that compare 5 with 20 days are trained.
    "10_price_charts": {f"{model}, {year}" for model in FIVE_DAYS for year in (2014, 2015, 2016)}
    | {f"2-D CNN, {view}" for view in ("5 days", "20 days", "20 days ahead of 5")},
}
# The base of these ends elsewhere at full scale, so that models of the same name have other parameters.
RESHAPED = {"06_transfer_learning", "09_after_alexnet", "13_capsule_networks"}
RECORDS = sorted(RECORDED.glob("*.json"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_matches_its_notebook(record):
    path = ROOT / f"{record.stem}.ipynb"
    sample = read_json(MEASURED_SAMPLE)["notebooks"][record.stem]
    both = settings(path, "sample"), settings(path, "full")
    found = differences(
        read_json(record),
        sample,
        *both,
        only_full=named_in(path) | ONLY_FULL.get(record.stem, set()),
        reshaped=record.stem in RESHAPED,
    )
    assert found == []


def test_what_differs_is_found():
    sample = {
        "models": {"CNN": {"parameters": 5, "epochs": 2}, "Narrow net, long": {"parameters": 3, "epochs": 6}}
    }
    at_sample, at_full = {"EPOCHS": 2, "NET": ("Narrow net", 1)}, {"EPOCHS": 20, "NET": ("Net", 8)}
    recorded = {
        "models": {"CNN": {"parameters": 5, "epochs": 20}, "Net, long": {"parameters": 9, "epochs": 60}}
    }
    assert differences(recorded, sample, at_sample, at_full) == []
    for model, fact, value in (("CNN", "parameters", 6), ("CNN", "epochs", 10), ("Net, long", "epochs", 61)):
        entry = recorded["models"][model] | {fact: value}
        altered = {"models": recorded["models"] | {model: entry}}
        assert len(differences(altered, sample, at_sample, at_full)) == 1
    other = {"models": recorded["models"] | {"AlexNet": {"epochs": 20}}}
    assert differences(other, sample, at_sample, at_full) == ["AlexNet: the notebook trains no such model"]
    assert differences(other, sample, at_sample, at_full, only_full={"AlexNet"}) == []
    shaped = {"models": {"CNN": {"parameters": 7, "epochs": 20}}}
    assert differences(shaped, sample, at_sample, at_full, reshaped=True) == []
