"""python -m sample gives what is bundled, and that is what data/README.md says."""

import numpy as np
import pytest

from sample import digits, scenes, writing
from utils.datasets import CIFAR10_CLASSES
from utils.storage import SAMPLE


@pytest.mark.parametrize(
    ("function", "off_by", "at_most"),
    # 16 grey levels, where a rounding that falls the other way is a whole level; smooth colours, where it is 1 or 2
    [("digits", 0, 1e-4), ("scenes", 2, 1e-3)],
)
def test_a_rerun_draws_the_same_images(function, off_by, at_most):
    """On another processor, or with another Pillow, few values may round the other way."""
    drawn = {"digits": digits.digits, "scenes": scenes.scenes}[function]()
    with np.load(SAMPLE / f"{function}.npz") as bundled:
        assert set(drawn) == set(bundled)
        for key, array in drawn.items():
            assert array.shape == bundled[key].shape
            assert array.dtype == bundled[key].dtype
            allowed = off_by if key.startswith("x") else 0
            different = np.mean(np.abs(array.astype(int) - bundled[key]) > allowed)
            assert different < at_most, f"{key}: {different:.2%} of the values differ"


def test_no_original_is_split():
    with np.load(SAMPLE / "digits.npz") as bundled:
        for split in ("train", "test"):
            labels = bundled[f"y_{split}"].reshape(-1, digits.VERSIONS)
            assert (labels == labels[:, :1]).all()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "digits.npz"
    path.write_bytes(b"old")

    def full_disk(file, **arrays):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space left"):
        writing.write_npz(path, {})
    assert path.read_bytes() == b"old"


def test_no_drawing_is_in_two_parts():
    assert scenes.CLASSES == CIFAR10_CLASSES
    parts = scenes.split_drawings(np.random.default_rng(3))
    everything = [
        drawing.tobytes() for classes in parts.values() for found in classes.values() for drawing in found
    ]
    assert len(everything) == len(set(everything)) == 174
    for part, classes in parts.items():
        assert all(classes[name] for name in CIFAR10_CLASSES), part


def test_classes_are_equally_frequent_in_every_part():
    with np.load(SAMPLE / "scenes.npz") as bundled:
        n = scenes.SCENES["fit"]
        for labels in (bundled["y_train"][:n], bundled["y_train"][n:], bundled["y_test"]):
            assert len(set(np.bincount(labels))) == 1
