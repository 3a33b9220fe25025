"""Bottleneck features: computed once, and anew where images, weights, layer or preprocessing differ or the file is damaged."""

import h5py
import keras
import numpy as np
import pytest
from course import FakeRun

from utils import bottleneck
from utils.bottleneck import bottleneck_features
from utils.networks import Network, load_network
from utils.storage import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (11, 8, 6, 3), "uint8")


class Preprocess:
    """Counts its calls for images; the single pixel that describes it does not count."""

    def __init__(self, factor=255):
        self.factor, self.calls = factor, 0

    def __call__(self, images):
        self.calls += images.shape[1] > 1
        return np.asarray(images, "float32") / self.factor


@pytest.fixture
def network() -> Network:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, name="convolution"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(name="pool"),
        ]
    )
    return Network(model, Preprocess(), 8, None, "random")


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    path = tmp_path / "build" / "features"
    monkeypatch.setattr(bottleneck, "BUILD", tmp_path / "build")
    return path


def kept(build):
    """The one file there is."""
    (path,) = build.glob("*.h5")
    assert path.name.startswith(f"train-{keras.backend.backend()}-")
    return path


@pytest.mark.parametrize("batch_size", [1, 4, 11, 64])
def test_features_are_what_the_network_gives(network, batch_size):
    features = bottleneck_features(network, IMAGES, "train", batch_size=batch_size)
    assert features.dtype == np.float32 and features.shape == (11, 3, 2, 4)
    np.testing.assert_allclose(features, network.model.predict(IMAGES / 255, verbose=0), atol=1e-5)


def test_a_layer_in_between(network):
    features = bottleneck_features(network, IMAGES, "train", layer="convolution")
    assert features.shape == (11, 6, 4, 4)
    maps = keras.ops.convert_to_numpy(network.model.layers[0](IMAGES / 255))
    np.testing.assert_allclose(features, maps, atol=1e-5)


def test_computed_once_and_without_a_word(network, build, capsys):
    first = bottleneck_features(network, IMAGES, "train")
    calls = network.preprocess.calls
    again = bottleneck_features(network, IMAGES.copy(), "train")
    np.testing.assert_array_equal(first, again)
    assert network.preprocess.calls == calls == 1
    assert capsys.readouterr().out == ""
    assert sorted(path.suffix for path in build.iterdir()) == [".h5", ".lock"]


def other_weights(network):
    network.model.layers[0].bias.assign(np.ones(4))
    return network


def other_statistics(network):
    network.model.layers[1].moving_mean.assign(np.ones(4))
    return network


def other_output(network):
    model = keras.Sequential([*network.model.layers, keras.layers.GlobalAveragePooling2D()])
    model.build((None, None, None, 3))
    return network._replace(model=model)


def other_pooling(network):
    """The same weights and the same shape."""
    pooling = keras.layers.AveragePooling2D(2, name="pool")
    model = keras.Sequential([keras.Input((None, None, 3)), *network.model.layers[:-1], pooling])
    return network._replace(model=model)


@pytest.mark.parametrize(
    ("change", "images", "layer"),
    [
        (None, IMAGES[::-1], None),
        (None, IMAGES.astype("float32"), None),
        (None, IMAGES[:5], None),
        (None, IMAGES.transpose(0, 2, 1, 3), None),
        (other_weights, IMAGES, None),
        (other_statistics, IMAGES, None),
        (other_output, IMAGES, None),
        (other_pooling, IMAGES, None),
        (lambda n: n._replace(preprocess=Preprocess(127.5)), IMAGES, None),
        (None, IMAGES, "pool"),
    ],
    ids=[
        "order", "dtype", "fewer images", "shape of the images", "weights", "statistics", "output", "pooling",
        "preprocessing", "layer",
    ],
)  # fmt: skip
def test_features_of_anything_else_are_made_anew(network, build, capsys, change, images, layer):
    bottleneck_features(network, IMAGES, "train")
    before = kept(build)
    if change:
        network = change(network)
    features = bottleneck_features(network, images, "train", layer=layer)
    assert kept(build) != before  # in the other's place
    expected = network.model.predict(network.preprocess(images), verbose=0)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    calls = network.preprocess.calls
    np.testing.assert_array_equal(bottleneck_features(network, images, "train", layer=layer), features)
    assert network.preprocess.calls == calls and capsys.readouterr().out == ""


def test_files_of_another_format_are_not_read(network, build, monkeypatch):
    bottleneck_features(network, IMAGES, "train")
    before = kept(build)
    monkeypatch.setattr(bottleneck, "FORMAT", -1)
    bottleneck_features(network, IMAGES, "train")
    assert kept(build) != before


def test_other_caches_are_left_alone(network, build):
    for cache in ("train", "train-2", "2-train"):
        bottleneck_features(network, IMAGES, cache)
    bottleneck_features(network, IMAGES[:5], "train")
    assert len(list(build.glob("*.h5"))) == 3


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def text(path):
    path.write_text("no HDF5")


def empty(path):
    path.write_bytes(b"")


def changed_value(path):
    with h5py.File(path) as file:
        place = file["features"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 8] ^= 1
    path.write_bytes(content)


def lacks_features(path):
    with h5py.File(path, "r+") as file:
        del file["features"]


def fewer_features(path):
    with h5py.File(path, "r+") as file:
        del file["features"]
        file["features"] = np.zeros((10, 3, 2, 4), "float32")


@pytest.mark.parametrize("damage", [cut_short, text, empty, changed_value, lacks_features, fewer_features])
def test_a_damaged_file_is_made_anew(network, build, capsys, damage):
    first = bottleneck_features(network, IMAGES, "train")
    damage(kept(build))
    np.testing.assert_array_equal(bottleneck_features(network, IMAGES, "train"), first)
    assert capsys.readouterr().out == f"{kept(build).name} is damaged: it is made anew.\n"
    bottleneck_features(network, IMAGES, "train")
    assert capsys.readouterr().out == ""


def test_an_interrupted_run_leaves_the_old_file(network, build, monkeypatch):
    first = bottleneck_features(network, IMAGES, "train")

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(h5py.File, "create_dataset", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bottleneck_features(network, IMAGES[:5], "train")
    assert not list(build.glob("*.part*")) and kept(build)
    calls = network.preprocess.calls
    np.testing.assert_array_equal(bottleneck_features(network, IMAGES, "train"), first)
    assert network.preprocess.calls == calls


def test_a_folder_that_cannot_be_written(network, build):
    build.parent.mkdir()
    build.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written .*Free some space"):
        bottleneck_features(network, IMAGES, "train")


@pytest.mark.parametrize("images", [IMAGES[0], IMAGES[..., :1], IMAGES[:0]], ids=["one", "grey", "none"])
def test_images_of_another_shape(network, images):
    with pytest.raises(ValueError, match="images have the shape"):
        bottleneck_features(network, images, "train")


def test_an_unknown_layer(network):
    with pytest.raises(ValueError, match=r"No such layer: fc2.*convolution"):
        bottleneck_features(network, IMAGES, "train", layer="fc2")


@pytest.mark.parametrize("cache", ["", "../train", "a/b", "."])
def test_a_cache_that_is_no_name(network, cache):
    with pytest.raises(ValueError, match="is no plain name"):
        bottleneck_features(network, IMAGES, cache)


def test_a_batch_of_nothing(network):
    with pytest.raises(ValueError, match="batch_size=0"):
        bottleneck_features(network, IMAGES, "train", batch_size=0)


def test_the_networks_of_the_course():
    network = load_network(FakeRun("sample"), "VGG16", include_top=False)
    images = np.random.default_rng(0).integers(0, 256, (3, network.side, network.side, 3), "uint8")
    features = bottleneck_features(network, images, "train", batch_size=2)
    expected = network.model.predict(network.preprocess(images), verbose=0)
    np.testing.assert_allclose(features, expected, atol=1e-4)
    assert bottleneck_features(network, images, "middle", layer="block4_pool").shape[3] == 128
