"""After nbval: the numbers that the notebooks measured while it executed them."""

import pytest
from course import RECORDING
from values import problems

from utils.results import MEASURED_SAMPLE, run_path
from utils.storage import read_json


@pytest.mark.parametrize("path", RECORDING, ids=lambda path: path.stem)
def test_measured_values(path):
    measured = read_json(run_path(path.stem, "sample", 42))
    assert measured, f"{path.name} has left no results: execute it first (make test does)"
    assert not problems(measured, read_json(MEASURED_SAMPLE)["notebooks"][path.stem])
