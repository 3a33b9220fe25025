"""utils/interpret.py and notebook 05's own maps on small networks whose right answer is known by construction, and the command conv_filter_viz."""

from itertools import product

import keras
import numpy as np
import pytest
from course import ROOT, definitions
from keras import layers, ops
from PIL import Image
from weights import write_weights

from utils import conv_filter_viz, interpret, networks, slim_vgg16, submodels
from utils.networks import ARCHITECTURES, Network

SIDE, SQUARE = 32, np.s_[5:11, 5:11]
RED, GREEN, BLUE = range(3)
NOTEBOOK = definitions(
    ROOT / "05_bottleneck_features.ipynb",
    {"saliency", "occlusion", "grad_cam"},
    {
        "ops": ops,
        "np": np,
        "product": product,
        "interpret": interpret,
        "class_score": submodels.class_score,
        "scores": submodels.scores,
    },
)
saliency, occlusion, grad_cam = (NOTEBOOK[name] for name in ("saliency", "occlusion", "grad_cam"))
MAPS = {
    "saliency": lambda model, image, target: saliency(model, image[None], target)[0],
    "occlusion": lambda model, image, target: occlusion(model, image[None], target, size=5, stride=3)[0],
    "grad_cam": lambda model, image, target: grad_cam(model, image[None], target, layer="excess")[0],
    "lime": interpret.lime,
}


def colour_network(top="dense", scale=1.0):
    """Class 1 is red less blue, class 0 nothing: per pixel what exceeds 0.5 of a channel, averaged over the image."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="excess")(inputs)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dense(2, activation="softmax" if top == "dense" else None, name="classes")(x)
    if top == "layer":
        x = layers.Softmax()(x)
    elif top == "activation":
        x = layers.Activation("softmax")(x)
    model = keras.Model(inputs, x, name="colours")
    kernel = np.zeros((3, 3, 3, 3))
    kernel[1, 1] = np.eye(3)
    model.get_layer("excess").set_weights([kernel, np.full(3, -0.5)])
    evidence = np.array([[0, scale], [0, 0], [0, -scale]])
    model.get_layer("classes").set_weights([evidence, np.array([0.0, 7.0])])
    return model


def quadrant(i):
    """The two slices of quadrant i: top left, top right, bottom left, bottom right."""
    half = SIDE // 2
    top, left = i // 2 * half, i % 2 * half
    return np.s_[top : top + half, left : left + half]


def squares(*colours):
    """A dark image with a square of 6 pixels in the middle of each quadrant, of these colours or none."""
    image = np.full((SIDE, SIDE, 3), 0.1, dtype="float32")
    for i, colour in enumerate(colours):
        if colour is not None:
            image[quadrant(i)][SQUARE][..., colour] = 0.9
    return image


def small_network(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(5, 3, padding="same", activation="relu", name="second"),
            layers.GlobalAveragePooling2D(name="average"),
            layers.Dense(4, activation="softmax", name="classes"),
        ],
        name="small",
    )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


# The gradient


@pytest.mark.parametrize("compiled", [False, True])
def test_gradient_of_a_polynomial_is_the_known_one(compiled):
    images, weights, factors = noise(3, 20, 18, 3), noise(20, 18, 3, seed=1), np.float32([1, 2, -3])

    def score(x, factor):
        return factor * ops.sum(ops.convert_to_tensor(weights) * x**2, axis=(1, 2, 3))

    scores, gradients = interpret.input_gradient(score, images, factors, compiled=compiled)
    np.testing.assert_allclose(scores, factors * (weights * images**2).sum(axis=(1, 2, 3)), rtol=1e-3)
    np.testing.assert_allclose(gradients, factors[:, None, None, None] * 2 * weights * images, rtol=1e-5)
    assert scores.dtype == gradients.dtype == np.float32


def test_gradient_is_compiled_once_where_asked():
    calls = []

    def score(x):
        calls.append(None)
        return ops.sum(x**2, axis=(1, 2, 3))

    for seed in range(6):
        images = noise(2, 16, 16, 3, seed=seed)
        _, gradients = interpret.input_gradient(score, images, compiled=True)
        np.testing.assert_allclose(gradients, 2 * images, rtol=1e-5)
    if keras.backend.backend() != "torch":
        assert len(calls) == 1


def test_score_that_ignores_the_image_has_no_gradient():
    _, gradients = interpret.input_gradient(lambda x: ops.sum(0 * x, axis=(1, 2, 3)), noise(1, 16, 16, 3))
    assert not gradients.any()


def test_score_of_another_shape():
    with pytest.raises(ValueError, match=r"\(2, 16\).*\(2,\)"):
        interpret.input_gradient(lambda x: ops.sum(x, axis=(2, 3)), noise(2, 16, 16, 3))


def test_unknown_backend(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    with pytest.raises(RuntimeError, match=r"openvino.*KERAS_BACKEND"):
        interpret.input_gradient(lambda x: ops.sum(x, axis=(1, 2, 3)), noise(1, 16, 16, 3))


# What decides


@pytest.mark.parametrize("where", range(4))
@pytest.mark.parametrize("method", MAPS)
def test_maps_point_to_the_quadrant_that_alone_decides(method, where):
    colours = [GREEN, GREEN, GREEN, GREEN]
    colours[where] = RED
    found = MAPS[method](colour_network(), squares(*colours), 1)
    assert found.shape == (SIDE, SIDE)
    positive = np.maximum(found, 0)
    assert positive[quadrant(where)].sum() > 0.9 * positive.sum() > 0


@pytest.mark.parametrize("method", MAPS)
def test_what_speaks_against_the_class(method):
    found = MAPS[method](colour_network(), squares(RED, None, None, BLUE), 1)
    against = found[quadrant(3)]
    if method == "saliency":  # the size of the gradient alone
        np.testing.assert_allclose(against, found[quadrant(0)])
    elif method == "grad_cam":
        assert not against.any()
    else:
        assert (against[SQUARE] < 0).all() and (found[quadrant(0)][SQUARE] > 0).all()


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("top", ["layer", "activation", "none"])
def test_scores_are_those_before_the_softmax(method, top):
    image = squares(RED, GREEN, BLUE, RED)
    expected = MAPS[method](colour_network(), image, 1)
    np.testing.assert_allclose(MAPS[method](colour_network(top), image, 1), expected, atol=1e-6)


def test_sure_network_is_explained_too():
    model, image = colour_network(scale=1e4), squares(RED, None, None, None)
    assert model.predict(image[None], verbose=0)[0, 1] == 1
    expected = np.where(image[..., RED] > 0.5, 1e4 / SIDE**2, 0)
    np.testing.assert_allclose(MAPS["saliency"](model, image, 1), expected, rtol=1e-5)


def test_changed_weights_change_the_map():
    model, image = colour_network(), squares(RED, None, None, None)
    before = {name: MAPS[name](model, image, 1) for name in ("saliency", "occlusion", "grad_cam")}
    model.get_layer("classes").set_weights([np.array([[0, 2], [0, 0], [0, 0]]), np.zeros(2)])
    for name, values in before.items():
        np.testing.assert_allclose(MAPS[name](model, image, 1), 2 * values, rtol=1e-4, atol=1e-8)


def test_a_batch_of_images_each_with_its_class():
    keras.utils.set_random_seed(3)
    model, images, targets = small_network(), noise(3, 24, 24, 3), np.array([2, 0, 3])
    for method, options in (
        (saliency, {}),
        (occlusion, {"size": 8, "stride": 8}),
        (grad_cam, {"layer": "second"}),
    ):
        together = method(model, images, targets, **options)
        for i in range(3):
            alone = method(model, images[i : i + 1], int(targets[i]), **options)[0]
            np.testing.assert_allclose(together[i], alone, atol=1e-6)
        assert np.abs(together - method(model, images, 0, **options)).max() > 1e-4


@pytest.mark.parametrize("top", ["dense", "layer", "activation", "none"])
def test_scores_without_gradients_are_the_same(top):
    model, images = colour_network(top), noise(40, SIDE, SIDE, 3)
    targets = np.arange(40) % 2
    expected = np.asarray(ops.convert_to_numpy(submodels.class_score(model, targets)(images)))
    np.testing.assert_allclose(submodels.scores(model, images, targets), expected, rtol=1e-5)
    np.testing.assert_allclose(
        submodels.scores(model, images, 1)[targets == 1], expected[targets == 1], rtol=1e-5
    )
    assert np.ptp(expected) > 1


def test_grad_cam_by_hand():
    model, image = colour_network(), squares(RED, GREEN, BLUE, RED)
    maps = interpret.feature_maps(model, image[None], "excess")[0]
    expected = np.maximum(maps @ [1, 0, -1], 0) / SIDE**2
    np.testing.assert_allclose(MAPS["grad_cam"](model, image, 1), expected, atol=1e-8)


def test_path_around_a_layer():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, padding="same", strides=2, name="in")(inputs)
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="branch")(x)
    x = layers.Add(name="sum")([x, y])
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    assert grad_cam(model, noise(1, 32, 32, 3), 2, layer="sum").shape == (1, 32, 32)
    with pytest.raises(ValueError, match="a path around branch"):
        grad_cam(model, noise(1, 32, 32, 3), 2, layer="branch")


def test_occlusion_by_hand():
    model, image = colour_network(), squares(RED, None, None, None)
    (found,) = occlusion(model, image[None], 1, size=16, stride=16)
    fall = (0.9 - 0.5) * 36 / SIDE**2  # the mean colour is below 0.5
    np.testing.assert_allclose(found[quadrant(0)], fall, rtol=1e-4)
    np.testing.assert_allclose(found[quadrant(1)], 0, atol=1e-6)


def test_lime_repeats_itself_and_finds_the_contribution():
    model, image = colour_network(), squares(RED, GREEN, BLUE, RED)
    found = interpret.lime(model, image, 1, seed=3)
    np.testing.assert_array_equal(found, interpret.lime(model, image, 1, seed=3))
    assert np.abs(found - interpret.lime(model, image, 1, seed=4)).max() > 0
    labels = interpret.superpixels(image)
    assert set(np.unique(labels)) == set(range(labels.max() + 1)) and labels.max() < 40
    added = sum(found[labels == label][0] for label in np.unique(labels[quadrant(0)][SQUARE]))
    assert added == pytest.approx((0.9 - 0.5) * 36 / SIDE**2, rel=0.3)


# What units see


def test_feature_maps_are_the_layers_outputs_whatever_the_batch():
    model, images = (
        colour_network(),
        np.stack([squares(RED, GREEN, BLUE, None), squares(None, RED, None, BLUE)] * 3),
    )
    maps = interpret.feature_maps(model, images, "excess", batch_size=4)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, np.maximum(images - 0.5, 0), atol=1e-6)
    assert interpret.feature_maps(model, images, "average").shape == (6, 3)


def test_strongest_images_first():
    images = np.full((7, 16, 16, 3), 0.1, dtype="float32")
    peaks = [0.7, 0.2, 0.9, 0.6, 1.0, 0.8, 0.3]
    for image, peak in zip(images, peaks, strict=True):
        image[3, 4, BLUE] = peak
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(3, 1, name="same")])
    model.set_weights([np.eye(3)[None, None], np.zeros(3)])
    places, activations = interpret.strongest(model, images, "same", BLUE, n=3, batch_size=2)
    assert places.tolist() == [4, 2, 5]
    np.testing.assert_allclose(activations, [1.0, 0.9, 0.8], rtol=1e-6)
    assert len(interpret.strongest(model, images, "same", RED, n=9)[0]) == 7


def test_filter_pictures_excite_their_filters():
    model, done = small_network(), []
    pictures, reached = interpret.visualise_filters(
        model, "second", side=24, steps=10, batch_size=2, progress=done.append
    )
    _, before = interpret.visualise_filters(model, "second", side=24, steps=0)
    assert pictures.shape == (5, 24, 24, 3) and pictures.dtype == np.uint8
    assert (reached > 3 * before).all() and (reached > 0.04).all()
    assert done == [2, 2, 1]
    shown = pictures.astype("float32") / 127.5 - 1
    means = interpret.feature_maps(model, shown, "second").mean(axis=(1, 2))
    assert (
        means.argmax(axis=0) == np.arange(5)
    ).mean() >= 0.8  # a picture excites its own filter more than others do


def test_filters_in_batches_are_those_one_at_a_time():
    model = small_network()
    together = interpret.visualise_filters(model, "second", [3, 0, 4], side=16, steps=4, batch_size=8)
    for i, unit in enumerate((3, 0, 4)):
        alone = interpret.visualise_filters(model, "second", [unit], side=16, steps=4)
        assert np.abs(together[0][i].astype(int) - alone[0][0]).max() <= 2
        np.testing.assert_allclose(together[1][i], alone[1][0], rtol=1e-3)


def test_filter_picture_of_a_known_filter():
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(1, 1, name="only", activation="relu")])
    model.set_weights([np.reshape([1.0, -1.0, 0.0], (1, 1, 3, 1)), np.ones(1)])
    picture = interpret.visualise_filters(model, "only", side=16, value_range=(0, 255))[0][0].astype(float)
    red, green, blue = picture.mean(axis=(0, 1))
    assert red > blue + 20 > green + 40


def test_filter_pictures_do_not_depend_on_where_the_range_of_a_channel_begins():
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 3, name="only")])
    model.set_weights([noise(3, 3, 3, 2), np.full(2, 1000.0)])
    low = np.float32([-104, -117, -124])
    pictures = [
        interpret.visualise_filters(model, "only", side=16, steps=5, value_range=value_range)[0].astype(int)
        for value_range in [(0, 255), (low, low + 255)]
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


# Errors


def test_unknown_layer_names_the_nearest_and_all():
    with pytest.raises(
        ValueError, match=r"'secnd': did you mean second\? .*first, pool, second, average, classes"
    ):
        interpret.feature_maps(small_network(), noise(1, 16, 16, 3), "secnd")
    with pytest.raises(ValueError, match="'block5_conv1': It has first, pool"):
        interpret.visualise_filters(small_network(), "block5_conv1")


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("target", [-1, 2])
def test_unknown_class(method, target):
    with pytest.raises(ValueError, match=f"class {target}.*0 to 1"):
        MAPS[method](colour_network(), squares(), target)


@pytest.mark.parametrize("shape", [(1, SIDE, SIDE, 3), (SIDE, SIDE), (15, SIDE, 3), (SIDE, 15, 3)])
def test_image_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"one image.*16 pixels"):
        interpret.lime(colour_network(), np.zeros(shape, dtype="float32"), 1)


def test_other_bad_input():
    model, image = colour_network(), squares()
    with pytest.raises(ValueError, match="float, not uint8"):
        interpret.lime(model, image.astype("uint8"), 1)
    with pytest.raises(ValueError, match="images"):
        interpret.feature_maps(model, image, "excess")
    with pytest.raises(ValueError, match="units 0 to 2, not \\[3\\]"):
        interpret.strongest(model, image[None], "excess", 3)
    with pytest.raises(ValueError, match="units 0 to 2, not \\[-1, 5\\]"):
        interpret.visualise_filters(model, "excess", [-1, 0, 5])
    with pytest.raises(ValueError, match="choose a convolution"):
        interpret.visualise_filters(model, "classes", [0])
    with pytest.raises(ValueError, match="one output"):
        interpret.lime(keras.Model(model.input, model.get_layer("excess").output), image, 1)


def test_network_within_a_network():
    base = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(2, 3)], name="base")
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), base, layers.Flatten(), layers.Dense(2)], name="outer"
    )
    with pytest.raises(ValueError, match=r"base is a network within outer.*base\.output"):
        interpret.feature_maps(model, squares()[None], "base")


# The command


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(slim_vgg16, "slim_vgg16", lambda **options: small_network())


def test_command_writes_the_sheet(small, tmp_path, capsys):
    output = tmp_path / "filters.png"
    output.write_text("an older one")
    conv_filter_viz.main(f"--layer second --output {output} --best 3 --side 20 --steps 3".split())
    with Image.open(output) as image:
        assert image.format == "PNG" and image.size == (45, 45)
        assert not np.asarray(image)[25:, 25:].any()  # three of four places are taken
    assert [path.name for path in tmp_path.iterdir()] == ["filters.png"]
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{output}: 3 filters of second") and captured.out.count("\n") == 1
    assert "slim VGG16" in captured.err and "5/5" in captured.err


def test_command_draws_the_strongest_of_the_first_filters(small, tmp_path):
    network = Network(small_network(), slim_vgg16.preprocess_input, 64, None, "random")
    scores = conv_filter_viz.draw(network, "second", tmp_path / "a.png", 4, 2, 16, 3)
    _, all_scores = interpret.visualise_filters(small_network(), "second", range(4), side=16, steps=3)
    np.testing.assert_allclose(scores, np.sort(all_scores)[:-3:-1], rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--layer secnd --output {}/a.png", "did you mean second"),
        ("--layer second --output {}/none/a.png", "there is no folder"),
        ("--layer second --output {}/a.jpg", "ends in .png"),
        ("--layer second --output {}/a.png --steps 0", "positive"),
        ("--layer second --output {}/a.png --side 8 --steps 1", "16 pixels"),
        ("--output {}/a.png", "--layer"),
        ("--layer second --output {}/a.png --network ResNet50", "ResNet50 does not come with the sample"),
        ("--layer second --output {}/a.png --network vgg", "Known: EfficientNetLite0, VGG16"),
    ],
)
def test_command_says_what_is_wrong(small, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        conv_filter_viz.main(options.format(tmp_path).split())
    assert stop.value.code in (1, 2)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_command_without_weights(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(slim_vgg16, "WEIGHTS", tmp_path / "none.npz")
    with pytest.raises(SystemExit):
        conv_filter_viz.main(f"--layer conv1 --output {tmp_path}/a.png".split())
    assert "none.npz is missing" in capsys.readouterr().err


@pytest.fixture
def full(tmp_path, monkeypatch):
    """The full scale with an empty COURSE_DATA and Keras cache, no server behind Keras's address."""
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setenv("COURSE_SCALE", "full")
    monkeypatch.setenv("COURSE_DATA", str(path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(networks, "KERAS", "http://127.0.0.1:9/")
    return path


@pytest.mark.parametrize(
    ("name", "layer", "colour", "reached"),
    [("VGG16", "block1_conv1", BLUE, 255 - 103.939), ("MobileNetV2", "Conv1", RED, 1)],
)
def test_command_at_full_scale_knows_range_and_colours(full, tmp_path, capsys, name, layer, colour, reached):
    model = getattr(keras.applications, name)(weights=None, include_top=False)
    first = model.get_layer(layer)
    kernel = np.zeros(first.kernel.shape)
    kernel[1, 1, 0] = 1  # every filter likes the first channel
    first.set_weights([kernel, *first.get_weights()[1:]])
    write_weights(model, full / ARCHITECTURES[name].weights(name, False).filename)

    chosen = "" if name == "VGG16" else f"--network {name}"
    conv_filter_viz.main(
        f"--layer {layer} --output {tmp_path}/a.png {chosen} --filters 2 --best 1 --side 32".split()
    )
    captured = capsys.readouterr()
    assert f"mean activations {reached:.3g} to {reached:.3g}\n" in captured.out
    assert captured.err.startswith("full scale") and f"{name}: " in captured.err
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).mean(axis=(0, 1)).argmax() == colour
    assert not (tmp_path / "keras").exists()

    with pytest.raises(SystemExit) as stop:
        conv_filter_viz.main(f"--layer {layer} --output {tmp_path}/b.png {chosen} --side 31".split())
    assert stop.value.code == 1
    assert capsys.readouterr().err.endswith(f"\n{name} takes pictures of 32 pixels or more: --side 32.\n")


@pytest.mark.parametrize("scale", ["full", "half"])
def test_command_at_full_scale_says_in_a_line_what_is_missing(full, tmp_path, capsys, monkeypatch, scale):
    monkeypatch.setenv("COURSE_SCALE", scale)
    with pytest.raises(SystemExit) as stop:
        conv_filter_viz.main(f"--layer block5_conv1 --output {tmp_path}/a.png".split())
    assert stop.value.code == 1
    message = capsys.readouterr().err.splitlines()[-1]
    if scale == "full":
        assert message.startswith("VGG16, pretrained on ImageNet, without its top (vgg16_weights")
        assert "was not found. Looked in" in message and "set COURSE_DATA" in message
    else:
        assert message.startswith("COURSE_SCALE='half' is not a scale")
    assert not (tmp_path / "a.png").exists()
