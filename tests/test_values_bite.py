"""The check of measured values fails where it should."""

import ast
import copy
import html
import re

import pytest
from course import RECORDING, code_cells, read, source
from values import CLAIMS, broken_claims, problems

from tools.refresh import without_clock
from utils.results import MEASURED_SAMPLE, format_metric
from utils.storage import read_json

EXPECTED = read_json(MEASURED_SAMPLE)["notebooks"]


@pytest.fixture
def expected():
    return copy.deepcopy(EXPECTED["02_mnist_with_ffnn_and_lenet5"])


def test_every_notebook_that_records_has_expected_values_and_claims():
    stems = {path.stem for path in RECORDING}
    assert set(EXPECTED) == stems == set(CLAIMS)


@pytest.mark.parametrize("notebook", EXPECTED)
def test_no_clock_and_no_device_among_the_stored_values(notebook):
    assert without_clock(EXPECTED[notebook]) == EXPECTED[notebook], "run make refresh"


@pytest.mark.parametrize("notebook", EXPECTED)
def test_the_stored_values_bear_out_the_claims(notebook):
    assert broken_claims(EXPECTED[notebook]) == []


def stored_table(path) -> tuple[list[str], dict[str, list[str]]]:
    """The metrics and, by model, the column(s) “this run” of the comparison that a notebook stores."""
    cell = next(cell for cell in code_cells(read(path)) if "run.compare(" in source(cell))
    table = "".join(cell["outputs"][0]["data"]["text/html"])
    headings = re.findall("<th>(.*?)</th>", table.split("</tr>")[0])[1:]
    rows = [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in table.split("<tbody>")[1].split("</tr>")[:-1]]
    ours = [i for i, heading in enumerate(headings) if "this run" in heading]
    calls = [node for node in ast.walk(ast.parse(source(cell))) if isinstance(node, ast.Call)]
    compare = next(call for call in calls if getattr(call.func, "attr", "") == "compare")
    metrics = [keyword.arg for keyword in compare.keywords] or ["test_accuracy"]
    return metrics, {html.unescape(model): [values[i] for i in ours] for model, *values in rows}


@pytest.mark.parametrize("path", RECORDING, ids=lambda path: path.stem)
def test_the_stored_values_are_those_that_the_notebook_shows(path):
    metrics, shown = stored_table(path)
    models = EXPECTED[path.stem]["models"]
    for model, values in shown.items():
        entry = models.get(model, {})
        assert values == [format_metric(metric, entry.get(metric)) for metric in metrics], model
    assert {model for model, entry in models.items() if entry.keys() & metrics} <= shown.keys()


def test_an_altered_value_fails(expected):
    measured = copy.deepcopy(expected)
    measured["models"]["Feedforward"]["test_accuracy"]["mean"] -= 0.05
    assert any("Feedforward, test_accuracy" in line for line in problems(measured, expected))


def test_nan_fails(expected):
    measured = copy.deepcopy(expected)
    measured["models"]["Feedforward"]["test_accuracy"]["mean"] = float("nan")
    assert problems(measured, expected)


def test_an_altered_parameter_count_fails(expected):
    measured = copy.deepcopy(expected)
    measured["models"]["LeNet5"]["parameters"] += 1
    assert problems(measured, expected) == ["LeNet5, parameters: 303627, expected 303626"]


def test_a_broken_claim_fails(expected):
    for result in (measured := copy.deepcopy(expected), expected):
        models = result["models"]
        models["LeNet5, our recipe"]["test_accuracy"]["mean"] = models["Feedforward, our recipe"][
            "test_accuracy"
        ]["mean"]
    assert any(
        line.startswith("claimed: LeNet5, our recipe beats Feedforward")
        for line in problems(measured, expected)
    )


def test_a_missing_model_fails(expected):
    measured = copy.deepcopy(expected)
    del measured["models"]["LeNet5"]
    assert problems(measured, expected)


def test_other_data_fail(expected):
    measured = copy.deepcopy(expected)
    measured["data"]["sha256"] = "0"
    assert problems(measured, expected)
