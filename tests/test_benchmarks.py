"""What a benchmark takes from a notebook is there."""

from types import SimpleNamespace

import numpy as np

from benchmarks.cifar10_speed import NOTEBOOK, notebooks_own
from utils.results import MEASURED_SAMPLE
from utils.storage import read_json


def test_cifar10_speed_trains_the_notebooks_network():
    run = SimpleNamespace(pick=lambda sample, full: sample, seed=42)
    own = notebooks_own(run)
    kernels, variances = own["whitening"](np.random.default_rng(0).random((9, 32, 32, 3)))
    assert kernels.shape == (2, 2, 3, 12) and variances.shape == (12,)
    own["residual_network"].__globals__["WHITENING"] = kernels
    recorded = read_json(MEASURED_SAMPLE)["notebooks"][NOTEBOOK]["models"]["Residual network"]
    assert own["residual_network"]().count_params() == recorded["parameters"]
    assert own["EPOCHS"] == recorded["epochs"]
