"""Networks by name: the bundled one, the three places for ImageNet weights, and everything that can be wrong with a file.

ImageNet weights are too large for a test: random ones, in files laid out as Keras publishes them, stand in their place.
"""

import http.server
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from course import FakeRun
from weights import write_weights

from utils import efficientnet_lite0, networks, slim_vgg16
from utils.networks import (
    ARCHITECTURES,
    CLASSES,
    LITE0,
    Network,
    architecture_facts,
    decode_imagenet,
    imagenet_classes,
    load_network,
)
from utils.storage import DataError, sha256_of

NAME = "MobileNetV2"  # the smallest
BASE, WHOLE = (ARCHITECTURES[NAME].weights(NAME, top).filename for top in (False, True))


@pytest.fixture(scope="module")
def base() -> keras.Model:
    model = keras.applications.MobileNetV2(weights=None, include_top=False)
    for layer in model.layers:  # so that batch normalisation has something to restore
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(-0.1, 0.1, layer.moving_mean.shape[0], dtype="float32"))
    return model


@pytest.fixture(scope="module")
def weights(base, tmp_path_factory) -> Path:
    return write_weights(base, tmp_path_factory.mktemp("weights") / BASE)


@pytest.fixture
def folder(course_data, monkeypatch):
    """An empty COURSE_DATA and Keras cache, no server behind Keras's address."""
    monkeypatch.setattr(networks, "KERAS", "http://127.0.0.1:9/")
    return course_data


@pytest.fixture
def cache(folder, tmp_path) -> Path:
    path = tmp_path / "keras" / "models"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def hashed(weights, monkeypatch) -> None:
    """As if Keras published the hash of these weights."""
    digest = md5(weights.read_bytes()).hexdigest()
    monkeypatch.setitem(ARCHITECTURES, NAME, ARCHITECTURES[NAME]._replace(md5=("", digest)))


@pytest.fixture
def built(base, monkeypatch) -> None:
    """The network is not built again: a second each, where only the file's origin matters."""
    monkeypatch.setattr(networks, "_with_weights", lambda *args: base)


@pytest.fixture
def serve(monkeypatch):
    """A local HTTP server in the place of Keras's; asked holds the paths of the requests."""
    servers, asked = [], []

    def start(body: bytes):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setattr(networks, "KERAS", f"http://127.0.0.1:{server.server_port}/")
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def load_base(run=None) -> Network:
    return load_network(run or FakeRun("full"), NAME, include_top=False, input_shape=(32, 32, 3))


def test_the_sample_has_a_slim_vgg16(capsys):
    run = FakeRun("sample")
    network = load_network(run, "VGG16")
    assert capsys.readouterr().out == f"{network.weights}\n"
    for part in ("slim VGG16, pretrained on scenes of emoji", f"{network.model.count_params():,} parameters"):
        assert part in network.weights
    assert list(run.facts) == ["weights_VGG16"] and len(run.facts["weights_VGG16"]) > 64
    images = np.random.default_rng(0).integers(0, 256, (2, network.side, network.side, 3), "uint8")
    predictions = network.model.predict(network.preprocess(images), verbose=0)
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-5)
    (name, probability), *others = network.decode(predictions[0], top=3)
    assert isinstance(name, str) and probability == predictions[0].max() and len(others) == 2


def test_the_sample_without_its_top():
    run = FakeRun("sample")
    network = load_network(run, "VGG16", include_top=False, input_shape=(96, 64, 3))
    assert network.model.output_shape == (None, 3, 2, 128)
    assert "without its top" in network.weights and list(run.facts) == ["weights_VGG16_notop"]


def test_the_sample_has_no_other():
    with pytest.raises(
        DataError,
        match=r"ResNet50 does not come with the sample, which has EfficientNetLite0 and a slim VGG16: .*"
        r"or set COURSE_SCALE=full",
    ):
        load_network(FakeRun("sample"), "ResNet50")


@pytest.mark.parametrize("scale", ["sample", "full"])
def test_efficientnet_lite0_is_the_default_at_both_scales(scale, capsys):
    run = FakeRun(scale)
    network = load_network(run)
    given = "EfficientNet-Lite0, pretrained on ImageNet"
    assert network.weights == f"{given}; 4,694,024 parameters, SHA-256 {efficientnet_lite0.SHA256[:12]}…"
    assert capsys.readouterr().out == f"{network.weights}\n"
    assert run.facts == {"weights_EfficientNetLite0": f"{given}, SHA-256 {efficientnet_lite0.SHA256}"}
    assert network.model.input_shape == (None, None, None, 3)  # the top averages, and so takes any size
    assert network.model.output_shape == (None, 1000)
    assert (network.side, network.decode) == (224, decode_imagenet)
    black, white = network.value_range
    np.testing.assert_allclose((black, white), ([-127 / 128] * 3, [1] * 3), rtol=1e-6)
    assert network.rgb_step == 1


def test_efficientnet_lite0_without_its_top():
    run = FakeRun("sample")
    network = load_network(run, LITE0, include_top=False, input_shape=(96, 64, 3))
    assert network.model.output_shape == (None, 3, 2, 1280)
    assert network.weights.startswith(
        "EfficientNet-Lite0, pretrained on ImageNet, without its top; 3,413,024"
    )
    assert list(run.facts) == ["weights_EfficientNetLite0_notop"]


@pytest.mark.parametrize("shape", [(31, 64, 3), (64, 31, 3), (64, 64, 1), (64, 64)], ids=str)
def test_input_shapes_that_do_not_fit_efficientnet_lite0(shape):
    with pytest.raises(DataError, match=r"EfficientNetLite0 takes input_shape=.* at least 32 rows and col"):
        load_network(FakeRun("sample"), input_shape=shape)


@pytest.mark.parametrize("scale", ["sample", "full"])
def test_unknown_network(scale):
    with pytest.raises(
        DataError, match=r"no network 'vgg' here\. Known: EfficientNetLite0, VGG16, VGG19, Res"
    ):
        load_network(FakeRun(scale), "vgg")


class Asked(Exception):
    """In place of a download."""


@pytest.fixture
def asked(monkeypatch) -> dict:
    """What Keras asks for when it needs a file of applications: file, url, hash, folder; and the sides it allows."""
    known = {}

    def get_file(fname, origin, cache_subdir, file_hash=""):
        known.update(file=fname, url=origin, folder=cache_subdir, md5=file_hash)
        raise Asked

    def obtain_input_shape(*args, default_size, min_size, **options):
        known.update(side=default_size, smallest=min_size)
        return obtain(*args, default_size=default_size, min_size=min_size, **options)

    common = sys.modules[keras.applications.imagenet_utils.decode_predictions.__module__]
    obtain = common.obtain_input_shape
    monkeypatch.setattr(common.file_utils, "get_file", get_file)
    monkeypatch.setattr(common, "obtain_input_shape", obtain_input_shape)
    return known


@pytest.mark.filterwarnings(
    "ignore:`input_shape` is undefined or non-square"
)  # MobileNetV2 takes its default
@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_addresses_and_hashes_are_those_of_keras(asked, name, include_top):
    def build():
        with keras.StatelessScope(initialize_variables=False):  # without values, in no time
            getattr(keras.applications, name)(weights="imagenet", include_top=include_top)

    # in a thread, as in `architecture_facts`: Keras then forgets the variables without values
    with ThreadPoolExecutor(1) as thread, pytest.raises(Asked):
        thread.submit(build).result()
    published = ARCHITECTURES[name].weights(name, include_top)
    assert asked == {
        "file": published.filename,
        "url": published.url,
        "folder": published.cache_folder,
        "md5": published.md5,
        "side": ARCHITECTURES[name].side,
        "smallest": ARCHITECTURES[name].smallest,
    }


def test_names_of_classes_are_those_of_keras(asked):
    """The bundled list gives Keras's own file again, byte for byte."""
    with pytest.raises(Asked):
        keras.applications.imagenet_utils.decode_predictions(np.zeros((1, 1000)))
    content = json.dumps({str(i): entry for i, entry in enumerate(imagenet_classes())})
    assert md5(content.encode()).hexdigest() == asked["md5"] == "c2c37ea517e94d9795004a39431a14cb"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_preprocessing_is_float32_and_leaves_its_argument_alone(name):
    preprocess = networks._without_side_effect(ARCHITECTURES[name].preprocess)
    whole = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), "uint8")
    for images in (whole, whole.astype("float32"), whole.astype("float64")):
        before = images.copy()
        prepared = preprocess(images)
        np.testing.assert_array_equal(images, before)
        assert prepared.dtype == np.float32 and prepared.shape == images.shape
        np.testing.assert_array_equal(prepared, preprocess(whole))
    if name.startswith(("VGG", "ResNet")):  # blue, green, red, less their means over ImageNet
        expected = whole[..., ::-1] - np.array([103.939, 116.779, 123.68])
    else:
        expected = whole / 127.5 - 1
    np.testing.assert_allclose(prepared, expected, atol=1e-4)


@pytest.mark.parametrize("name", [*ARCHITECTURES, "slim"])
def test_range_and_order_of_the_input_are_those_of_the_preprocessing(name):
    preprocess = slim_vgg16.preprocess_input if name == "slim" else ARCHITECTURES[name].preprocess
    network = Network(None, networks._without_side_effect(preprocess), 224, None, "none")
    black, white = network.value_range
    if name.startswith(("VGG", "ResNet")):
        mean = np.array([103.939, 116.779, 123.68])
        expected, step = (-mean, 255 - mean), -1
    else:
        expected, step = (np.full(3, -1), np.full(3, 1)), 1
    np.testing.assert_allclose((black, white), expected, rtol=1e-6)
    assert network.rgb_step == step
    colours = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), "uint8")
    shares = (network.preprocess(colours) - black) / (white - black)
    np.testing.assert_allclose(shares[..., :: network.rgb_step] * 255, colours, atol=1e-3)


def test_weights_from_course_data(folder, weights, base, capsys):
    (folder / BASE).symlink_to(weights)
    run = FakeRun("full")
    network = load_base(run)
    for loaded, stored in zip(network.model.weights, base.weights, strict=True):
        np.testing.assert_array_equal(loaded, stored)
    banner = (
        f"MobileNetV2: {BASE} (the reader's own); 2,257,984 parameters, SHA-256 {sha256_of(weights)[:12]}"
    )
    assert network.weights.startswith(banner) and banner in capsys.readouterr().out
    assert sha256_of(weights) in run.facts["weights_MobileNetV2_notop"]
    assert (network.side, network.decode) == (224, decode_imagenet)


def test_any_size_by_default_without_the_top(folder, weights):
    (folder / BASE).symlink_to(weights)
    network = load_network(FakeRun("full"), NAME, include_top=False)
    assert network.model.input_shape == (None, None, None, 3)
    assert network.model.compute_output_shape((2, 64, 96, 3)) == (2, 2, 3, 1280)


def test_weights_with_the_published_hash(folder, weights, hashed, built):
    (folder / BASE).symlink_to(weights)
    text = "MobileNetV2, pretrained on ImageNet, without its top; 2,257,984 parameters"
    assert load_base().weights.startswith(text)


def test_weights_from_the_cache(cache, weights, hashed, built):
    (cache / BASE).symlink_to(weights)
    assert load_base().weights.startswith("MobileNetV2, pretrained on ImageNet, without its top; ")


def test_weights_from_the_cache_where_no_hash_is_published(cache, weights, built):
    (cache / BASE).symlink_to(weights)
    text = f"MobileNetV2: {BASE} (from Keras's cache; no hash is published); "
    assert load_base().weights.startswith(text)


def test_download(folder, weights, hashed, built, serve, tmp_path):
    asked = serve(weights.read_bytes())
    assert load_base().weights.startswith("MobileNetV2, pretrained on ImageNet")
    assert asked == [f"/mobilenet_v2/{BASE}"]
    cached = tmp_path / "keras" / "models"
    assert [path.name for path in cached.iterdir()] == [BASE]
    assert sha256_of(cached / BASE) == sha256_of(weights)


def test_download_of_something_else(folder, hashed, serve, tmp_path):
    serve(b"<!doctype html>")
    with pytest.raises(DataError, match="download: "):
        load_base()
    assert not any((tmp_path / "keras" / "models").iterdir())


def test_wrong_file_in_the_cache(cache, hashed):
    (cache / BASE).write_bytes(b"half of a download")
    with pytest.raises(DataError, match="is not the published file"):
        load_base()


def test_no_weights_anywhere(folder, tmp_path):
    with pytest.raises(DataError) as caught:
        load_network(FakeRun("full"), "VGG16", include_top=False)
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    for part in (
        f"VGG16, pretrained on ImageNet, without its top ({name}) was not found",
        f"COURSE_DATA={folder}: no {name} there",
        f"Keras's cache: no {tmp_path / 'keras' / 'models' / name}",
        "download: URL fetch failure on http://127.0.0.1:9/vgg16/",
        "Two ways out: set COURSE_DATA",
    ):
        assert part in str(caught.value)


def test_no_download_without_a_published_hash(folder):
    with pytest.raises(DataError, match=f"no hash is published; fetch http.*{BASE}"):
        load_base()


@pytest.mark.parametrize("kept", [0, 100, 0.5, -1], ids=str)
def test_file_cut_short(folder, weights, kept):
    whole = weights.read_bytes()
    (folder / BASE).write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(DataError, match=rf"{BASE} cannot be read as an HDF5 file .*Replace it, or remove"):
        load_base()


@pytest.mark.parametrize("content", [b"<!doctype html>", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_no_hdf5(folder, content):
    (folder / BASE).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an HDF5 file"):
        load_base()


def test_weights_of_another_network(folder, tmp_path):
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    write_weights(other, folder / BASE)
    with pytest.raises(
        DataError, match=r"does not hold the weights of MobileNetV2 without its top \(Layer count"
    ):
        load_base()


def test_hdf5_of_something_else(folder):
    with h5py.File(folder / BASE, "w") as file:
        file["X"] = np.zeros(3)
    with pytest.raises(DataError, match="does not hold the weights of MobileNetV2 without its top"):
        load_base()


@pytest.mark.parametrize("value", [np.zeros((3, 3, 3, 16), "float32"), None])
def test_a_weight_of_another_shape_or_none(folder, weights, value):
    (folder / BASE).write_bytes(weights.read_bytes())
    with h5py.File(folder / BASE, "r+") as file:
        del file["Conv1"]["Conv1/kernel:0"]
        if value is not None:
            file["Conv1"]["Conv1/kernel:0"] = value
    with pytest.raises(DataError, match="does not hold the weights of MobileNetV2 without its top"):
        load_base()


@pytest.mark.parametrize(
    "kind", ["another file's bytes", "a link to another file", "more than the memory holds"]
)
def test_weights_that_reach_beyond_their_file(folder, weights, tmp_path, kind):
    (folder / BASE).write_bytes(weights.read_bytes())
    secret = tmp_path / "secret"
    shape = (3, 3, 3, 32)
    with h5py.File(folder / BASE, "r+") as file:
        conv, name = file["Conv1"], "Conv1/kernel:0"
        del conv[name]
        if kind == "another file's bytes":
            secret.write_bytes(bytes(4 * np.prod(shape)))
            conv.create_dataset(name, shape, "float32", external=[(str(secret), 0, secret.stat().st_size)])
        elif kind == "a link to another file":
            with h5py.File(secret, "w") as other:
                other["kernel"] = np.zeros(shape, "float32")
            conv[name] = h5py.ExternalLink(str(secret), "kernel")
        else:
            conv.create_dataset(name, (1 << 46,), "float32", chunks=(1 << 20,))
    with pytest.raises(DataError, match=r"does not hold the weights of MobileNetV2 .*(Not allowed|refusing)"):
        load_base()


def test_with_its_top(folder):
    write_weights(keras.applications.MobileNetV2(weights=None), folder / WHOLE)
    network = load_network(FakeRun("full"), NAME)
    assert network.model.output_shape == (None, 1000) and "3,538,984 parameters" in network.weights


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("VGG16", (31, 64, 3)),
        ("InceptionV3", (74, 299, 3)),
        ("MobileNetV2", (64, 16, 3)),
        ("ResNet50", (64, 64, 1)),
        ("ResNet50", (64, 64)),
    ],
)
def test_input_shapes_that_do_not_fit(folder, name, shape):
    with pytest.raises(
        DataError, match=rf"{name} takes input_shape=\(rows, columns, 3\) with at least \d\d rows"
    ):
        load_network(FakeRun("full"), name, include_top=False, input_shape=shape)


def test_input_shapes_that_do_not_fit_the_sample():
    with pytest.raises(DataError, match=r"VGG16 takes input_shape=.* with at least 32 rows and columns, not"):
        load_network(FakeRun("sample"), "VGG16", input_shape=(28, 28, 3))


def test_the_top_takes_one_size(folder):
    with pytest.raises(
        DataError, match=r"VGG16 with its top takes images of \(224, 224, 3\), not \(64, 64, 3\)"
    ):
        load_network(FakeRun("full"), "VGG16", input_shape=(64, 64, 3))


def test_names_of_imagenet_classes():
    probabilities = np.zeros((1, 1000), "float32")
    probabilities[0, [3, 999]] = 0.25, 0.75
    assert decode_imagenet(probabilities, top=2) == [("toilet tissue", 0.75), ("tiger shark", 0.25)]
    assert len(decode_imagenet(probabilities[0])) == 5


def test_predictions_of_another_shape():
    for wrong in (np.zeros((2, 1000)), np.zeros(300)):
        with pytest.raises(ValueError, match=r"have the shape \(1000,\), not"):
            decode_imagenet(wrong)


def test_no_list_of_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "CLASSES", tmp_path / "imagenet_classes.txt")
    with pytest.raises(
        DataError, match=r"imagenet_classes\.txt cannot be read .*: restore it \(git checkout\)"
    ):
        decode_imagenet(np.zeros(1000))


LIST = CLASSES.read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 of them and 0 others"),
        (LIST[: LIST.index(b"n02102040")], "has 217 of them and 0 others"),
        (LIST + b"n00000000 more\n", "has 1,001 of them and 0 others"),
        (LIST + b"<html>\n", "has 1,000 of them and 1 others"),
        (LIST.replace(b"n01440764 ", b""), "has 999 of them and 1 others"),
        (b"\xff" + LIST, "cannot be read"),
    ],
    ids=["empty", "cut short", "one more", "something else after it", "no number", "no text"],
)
def test_a_damaged_list_of_classes(tmp_path, monkeypatch, content, reason):
    path = tmp_path / "imagenet_classes.txt"
    path.write_bytes(content)
    monkeypatch.setattr(networks, "CLASSES", path)
    with pytest.raises(DataError, match=rf"{reason}.*: restore it \(git checkout\)"):
        decode_imagenet(np.zeros(1000))


def peak() -> float:
    """The most memory that this process has held, in MiB; 0 where Python cannot tell, as on Windows."""
    try:
        import resource
    except ImportError:
        return 0.0
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / (2**20 if sys.platform == "darwin" else 2**10)


@pytest.fixture(scope="module")
def facts_and_growth():
    """The facts, and by how much the peak of memory rose for them."""
    before = peak()
    facts = architecture_facts()
    with keras.StatelessScope():
        pass  # its end gives values to all variables that have none
    return facts, peak() - before


def test_facts(facts_and_growth):
    facts, _ = facts_and_growth
    # parameters and accuracy: keras.io/api/applications, and Google's page on EfficientNet-Lite; multiply-adds: the
    # papers say 15.5, 19.6, 3.8, 5.7 and 0.3, and that page 0.41
    assert facts.index.tolist() == [
        "VGG16", "VGG19", "ResNet50", "InceptionV3", "MobileNetV2", "EfficientNetLite0",
    ]  # fmt: skip
    assert facts["parameters"].tolist() == [
        138_357_544, 143_667_240, 25_636_712, 23_851_784, 3_538_984, 4_694_024,
    ]  # fmt: skip
    assert facts["parameters without top"].tolist() == [
        14_714_688, 20_024_384, 23_587_712, 21_802_784, 2_257_984, 3_413_024,
    ]  # fmt: skip
    assert facts["input side"].tolist() == [224, 224, 224, 299, 224, 224]
    assert facts["depth"].tolist() == [16, 19, 50, 48, 53, 50]
    assert facts["giga-multiply-adds"].round(2).tolist() == [15.47, 19.63, 3.86, 5.71, 0.3, 0.39]
    assert facts["ImageNet top-1"].tolist() == [0.713, 0.713, 0.749, 0.779, 0.713, 0.751]
    assert facts.dtypes.astype(str).tolist() == ["int64"] * 4 + ["float64"] * 2


def test_facts_leave_nothing_behind(facts_and_growth):
    pytest.importorskip("resource")
    assert facts_and_growth[1] < 400  # the six networks' weights are 1,360
