"""After nbval: the numbers that the notebooks measured while it executed them."""

import pytest
from course import RECORDING
from values import broken_claims, problems

from utils.results import MEASURED_SAMPLE, run_path
from utils.storage import BUILD, read_json

RUNS = sorted((BUILD / "results" / "sample").glob("*-seed*.json"))


@pytest.mark.parametrize("path", RECORDING, ids=lambda path: path.stem)
def test_measured_values(path):
    measured = read_json(run_path(path.stem, "sample", 42))
    assert measured, f"{path.name} has left no results: execute it first (make test does)"
    assert not problems(measured, read_json(MEASURED_SAMPLE)["notebooks"][path.stem])


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_claims_hold_for_every_seed_that_was_run(path):
    """make claims runs other seeds than the one that the notebooks store."""
    assert broken_claims(read_json(path)) == []
