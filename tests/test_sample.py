"""data/make_sample.py gives what is bundled, and the bundled digits are what data/README.md says."""

import importlib.util

import numpy as np
import pytest

from utils.datasets import SAMPLE


@pytest.fixture(scope="module")
def make_sample():
    spec = importlib.util.spec_from_file_location("make_sample", SAMPLE / "make_sample.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_rerun_draws_the_same_digits(make_sample):
    drawn = make_sample.digits()
    with np.load(SAMPLE / "digits.npz") as bundled:
        assert set(drawn) == set(bundled)
        for key, array in drawn.items():
            assert array.shape == bundled[key].shape
            assert array.dtype == bundled[key].dtype
            # rounding to 16 levels may fall the other way in the last bit of another processor's arithmetic
            different = np.mean(array != bundled[key])
            assert different < 1e-4, f"{key}: {different:.2%} of the values differ"


def test_no_original_is_split(make_sample):
    with np.load(SAMPLE / "digits.npz") as bundled:
        for split in ("train", "test"):
            labels = bundled[f"y_{split}"].reshape(-1, make_sample.VERSIONS)
            assert (labels == labels[:, :1]).all()


def test_a_failed_write_leaves_the_old_file(make_sample, tmp_path, monkeypatch):
    path = tmp_path / "digits.npz"
    path.write_bytes(b"old")

    def full_disk(file, **arrays):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(make_sample.np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make_sample.write_npz(path, {})
    assert path.read_bytes() == b"old"
