"""The bundled network: what its file holds, what it predicts, and what a wrong file leads to."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

from sample import pretrained
from sample.glyphs import glyphs
from sample.scenes import CLASSES, read_sheet
from utils.slim_vgg16 import WEIGHTS, class_names, decode, preprocess_input, slim_vgg16, stored_form
from utils.storage import SAMPLE, DataError

# What is shown -> the most probable class and its probability; new weights need new figures.
SHOWN = {
    "elephant": ("elephant", 0.9992),
    "pineapple": ("pineapple", 0.6752),
    "umbrella": ("umbrella", 0.9967),
    "guitar": ("guitar", 0.9922),
}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return slim_vgg16()


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """The first drawing of each of SHOWN on grey, 64 × 64: nothing is resized, so that every pixel is the same everywhere."""
    first = {}
    for entry, drawing in read_sheet("glyphs"):
        first.setdefault(entry["class"], drawing)
    images = []
    for name in SHOWN:
        canvas = Image.new("RGBA", first[name].size, (150, 150, 150, 255))
        canvas.alpha_composite(first[name])
        images.append(np.asarray(canvas.convert("RGB")))
    return np.stack(images)


def test_layers_are_those_of_vgg16(network):
    ours = [layer.name for layer in network.layers if re.fullmatch(r"block\d_(conv\d|pool)", layer.name)]
    original = keras.applications.VGG16(weights=None, include_top=False)
    assert ours == [layer.name for layer in original.layers if layer.name.startswith("block")]
    for name in ours:
        if "conv" in name:
            ours_, theirs = network.get_layer(name), original.get_layer(name)
            assert (4 * ours_.filters, ours_.kernel_size) == (theirs.filters, theirs.kernel_size)


def test_shapes():
    images = np.zeros((2, 96, 64, 3), "float32")
    assert slim_vgg16(include_top=False)(images).shape == (2, 3, 2, 128)
    assert slim_vgg16(weights=None, classes=7, input_shape=(96, 64, 3))(images).shape == (2, 7)


def test_file_is_half_precision_and_small():
    assert WEIGHTS.stat().st_size < 2_500_000
    with np.load(WEIGHTS) as stored:
        assert {stored[key].dtype.str for key in stored if key != "classes"} == {"<f2"}
        assert all(np.isfinite(stored[key]).all() for key in stored if key != "classes")


def test_classes_are_those_of_the_sheet_and_none_is_one_of_the_ten():
    names = class_names()
    assert len(names) == len(set(names)) == 300
    shown = [entry for entry, _ in read_sheet("glyphs")]
    assert list(names) == list(dict.fromkeys(entry["class"] for entry in shown)) == list(glyphs())
    words = {word for name in names for word in name.lower().split()}
    assert not words & set(CLASSES)
    assert not {entry["emoji"] for entry in shown} & {entry["emoji"] for entry, _ in read_sheet("emoji")}


def test_predictions_from_fixed_weights(network, pictures):
    predictions = network.predict(preprocess_input(pictures), verbose=0)
    for row, (name, probability) in zip(predictions, SHOWN.values(), strict=True):
        assert decode(row, top=1) == [(name, pytest.approx(probability, abs=5e-4))]


def test_weights_differ_from_random_ones_and_reload(network, tmp_path):
    path = tmp_path / "other.npz"
    small = slim_vgg16(weights=None, classes=3)
    np.savez(path, **stored_form(small, ["a", "b", "c"]))
    again = slim_vgg16(path)
    for stored, loaded in zip(small.weights, again.weights, strict=True):
        np.testing.assert_allclose(stored, loaded, rtol=1e-3, atol=1e-6)
    kernel = network.get_layer("block5_conv3").kernel
    assert not np.allclose(kernel, small.get_layer("block5_conv3").kernel)


def test_preprocessing():
    prepared = preprocess_input(np.array([[0, 51, 255]], "uint8"))
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared, [[-1, -0.6, 1]], atol=1e-6)


def test_decode():
    probabilities = np.zeros((1, 300))
    probabilities[0, [7, 3]] = 0.6, 0.3
    assert decode(probabilities, top=2) == [(class_names()[7], 0.6), (class_names()[3], 0.3)]
    assert len(decode(probabilities[0])) == 5
    for wrong in (np.zeros((2, 300)), np.zeros(10)):
        with pytest.raises(ValueError, match="shape"):
            decode(wrong)


def test_another_number_of_classes():
    with pytest.raises(ValueError, match="300 classes"):
        slim_vgg16(classes=10)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="is missing: restore it"):
        slim_vgg16(tmp_path / "slim_vgg16.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", WEIGHTS.read_bytes()[:500_000]])
def test_damaged_file(tmp_path, content):
    path = tmp_path / "slim_vgg16.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        slim_vgg16(path)


def test_flipped_bytes(tmp_path):
    content = bytearray(WEIGHTS.read_bytes())
    content[1_000_000:1_000_064] = bytes(64)
    path = tmp_path / "slim_vgg16.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        slim_vgg16(path)


def test_file_of_something_else(tmp_path):
    with pytest.raises(DataError, match="no names of classes"):
        slim_vgg16(WEIGHTS.with_name("digits.npz"))
    path = tmp_path / "half.npz"
    with np.load(WEIGHTS) as stored:
        arrays = dict(stored)
    np.savez(path, **{key: value for key, value in arrays.items() if key != "block4_bn2/gamma"})
    with pytest.raises(DataError, match=r"block4_bn2/gamma.*lacks it"):
        slim_vgg16(path)
    np.savez(path, **arrays | {"block1_conv1/kernel": np.zeros((3, 3, 3, 64), "float16")})
    with pytest.raises(DataError, match="another network's weights"):
        slim_vgg16(path)
    np.savez(path, **arrays | {"block1_conv1/bias": np.full(16, np.nan, "float16")})
    with pytest.raises(DataError, match="no numbers"):
        slim_vgg16(path)


def test_a_rerun_draws_the_same_pictures():
    drawn = pretrained.pictures()
    with np.load(SAMPLE / "pictures.npz") as bundled:
        assert bundled["names"].tolist() == drawn["names"].tolist()
        assert np.mean(np.abs(bundled["x"].astype(int) - drawn["x"]) > 2) < 0.001
