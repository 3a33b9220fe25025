"""The check of measured values fails where it should."""

import copy

import pytest
from course import RECORDING
from values import CLAIMS, problems

from utils.results import MEASURED_SAMPLE
from utils.storage import read_json

EXPECTED = read_json(MEASURED_SAMPLE)["notebooks"]


@pytest.fixture
def expected():
    return copy.deepcopy(EXPECTED["02_mnist_with_ffnn_and_lenet5"])


def test_every_notebook_that_records_has_expected_values_and_claims():
    stems = {path.stem for path in RECORDING}
    assert set(EXPECTED) == stems == set(CLAIMS)


@pytest.mark.parametrize("notebook", EXPECTED)
def test_the_stored_values_hold(notebook):
    assert problems(EXPECTED[notebook], EXPECTED[notebook]) == []


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
