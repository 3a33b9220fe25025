"""What a benchmark takes from a notebook is there."""

from types import SimpleNamespace

from benchmarks.cifar10_speed import NOTEBOOK, notebooks_own
from utils.results import MEASURED_SAMPLE
from utils.storage import read_json


def test_cifar10_speed_trains_the_notebooks_network():
    run = SimpleNamespace(pick=lambda sample, full: sample, seed=42)
    own = notebooks_own(run)
    recorded = read_json(MEASURED_SAMPLE)["notebooks"][NOTEBOOK]["models"]["Residual network"]
    assert own["residual_network"]().count_params() == recorded["parameters"]
    assert own["EPOCHS"] == recorded["epochs"]
