"""layer_table and the figures: what they show, not how it looks."""

import json
import re

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score, roc_curve

from utils.plotting import (
    confusion_heatmap,
    learning_curves,
    moving_convolution,
    moving_threshold,
    show_architecture,
    show_images,
    show_numbers,
    show_scans,
    show_thresholds,
)
from utils.tables import layer_table, multiply_adds

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def model() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, name="convolution"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(2, name="dense"),
        ]
    )


def test_layer_table():
    table = layer_table(model())
    assert list(table.index) == ["convolution", "flatten", "dense", "total"]
    assert list(table["type"]) == ["Conv2D", "Flatten", "Dense", ""]
    assert list(table["output shape"]) == ["6 × 6 × 3", "108", "2", ""]
    assert list(table["parameters"]) == ["30", "0", "218", "248"]


def test_multiply_adds():
    by_hand = 6 * 6 * (3 * 3 * 1 * 3) + 108 * 2
    assert multiply_adds(model()) == by_hand
    inputs = keras.Input((8, 8, 1))
    nested = keras.Model(inputs, keras.layers.Dense(5)(model()(inputs)))
    assert multiply_adds(nested) == by_hand + 2 * 5


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [
        (keras.layers.DepthwiseConv2D(3), 6 * 6 * 9 * 4),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 6 * 9 * 4 * 2),
        (keras.layers.SeparableConv2D(5, 3), 6 * 6 * (9 * 4 + 4 * 5)),
        (keras.layers.SeparableConv2D(5, 3, strides=2, padding="same"), 4 * 4 * (9 * 4 + 4 * 5)),
        (keras.layers.Conv2D(6, 3, groups=2), 6 * 6 * 9 * 2 * 6),
        (keras.layers.Conv2DTranspose(5, 2, strides=2), 8 * 8 * 4 * 4 * 5),
        (keras.layers.BatchNormalization(), 0),
    ],
)
def test_multiply_adds_of_other_convolutions(layer, by_hand):
    inputs = keras.Input((8, 8, 4))
    assert multiply_adds(keras.Model(inputs, layer(inputs))) == by_hand


def test_multiply_adds_with_a_shortcut():
    inputs = keras.Input((8, 8, 4))
    branch = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    projection = keras.layers.Conv2D(4, 1)(inputs)
    joined = keras.Model(inputs, keras.layers.Add()([branch, projection, inputs]))
    assert multiply_adds(joined) == 8 * 8 * (9 + 1) * 4 * 4


def test_layer_table_does_not_change_with_training():
    network = model()
    before = layer_table(network)
    network.compile("adam", "mse")
    network.fit(np.zeros((4, 8, 8, 1)), np.zeros((4, 2)), verbose=0)
    assert layer_table(network).equals(before)


@pytest.mark.parametrize("shape", [(7, 5, 6), (7, 5, 6, 1), (7, 5, 6, 3)])
def test_show_images_draws_each_once(shape):
    images = np.random.default_rng(0).random(shape)
    show_images(images, titles=[str(i) for i in range(7)], columns=3, title="seven")
    figure = plt.gcf()
    drawn = [axis for axis in figure.axes if axis.images]
    assert len(figure.axes) == 9
    assert [axis.get_title() for axis in drawn] == [str(i) for i in range(7)]
    np.testing.assert_array_equal(drawn[2].images[0].get_array(), images[2].squeeze())


def test_learning_curves_mark_the_kept_epoch():
    history = {"accuracy": [0.1, 0.5, 0.9], "val_accuracy": [0.2, 0.6, 0.6]}
    learning_curves({"A": history, "B": history}, title="two")
    figure = plt.gcf()
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["A", "B"]
    training, validation, kept = figure.axes[0].lines
    np.testing.assert_array_equal(training.get_ydata(), history["accuracy"])
    np.testing.assert_array_equal(validation.get_xdata(), [1, 2, 3])
    assert (float(kept.get_xdata()[0]), float(kept.get_ydata()[0])) == (2, 0.6)


def test_the_kept_epoch_may_be_chosen_by_another_metric():
    history = {"auc_roc": [0.5, 0.6, 0.7], "val_auc_roc": [0.5, 0.6, 0.5], "val_within": [0.4, 0.4, 0.5]}
    learning_curves({"A": history}, title="one", metric="auc_roc", label="AUC", chosen_by="val_within")
    axis = plt.gcf().axes[0]
    assert axis.get_ylabel() == "AUC"
    assert (float(axis.lines[2].get_xdata()[0]), float(axis.lines[2].get_ydata()[0])) == (3, 0.5)


def test_titles_in_colours_and_no_room_for_empty_ones():
    images = np.zeros((4, 8, 8, 3))
    show_images(images, ["a", "", "", ""], columns=2, colours=["red", "blue", "blue", "blue"])
    assert plt.gcf().axes[0].title.get_color() == "red"
    one_row = plt.gcf().get_size_inches()[1]
    show_images(images, ["a", "", "b", ""], columns=2)
    assert plt.gcf().get_size_inches()[1] - one_row == pytest.approx(0.25)


def test_confusion_heatmap_colours_mistakes_only():
    confusion_heatmap(np.array([[9, 2], [0, 7]]), ["a", "b"], "title")
    figure = plt.gcf()
    axis = figure.axes[0]
    np.testing.assert_array_equal(axis.collections[0].get_array().reshape(2, 2), [[0, 2], [0, 0]])
    assert [text.get_text() for text in axis.texts] == ["9", "2", "", "7"]


def test_show_numbers_writes_every_number_in_its_cell():
    arrays = {"a": np.array([[1.25, -2.0]]), "b": np.array([[-0.04], [3.0]])}
    show_numbers(arrays, title="two")
    first, second = plt.gcf().axes
    assert [text.get_text() for text in first.texts] == ["1.2", "-2"]
    assert [text.get_text() for text in second.texts] == ["0", "3"]
    assert second.texts[1].get_position() == (0, 1)


def test_show_numbers_frames_the_part_that_is_named():
    show_numbers({"one": np.eye(3), "two": np.eye(2)}, title="two", frames={"two": (0, 1, 2, 1)})
    one, two = plt.gcf().axes
    (frame,) = two.patches
    assert not one.patches and frame.get_xy() == (0.5, -0.5)
    assert (frame.get_width(), frame.get_height()) == (1, 2)


def test_show_scans_says_what_becomes_of_the_size():
    show_scans({"a": {"padding": 1, "stride": 2}, "b": {"dilation": 2}}, title="two", size=6)
    a, b = plt.gcf().axes
    titles = [axis.get_title(loc="left") for axis in (a, b)]
    assert titles == ["a:\n6 × 6 becomes 3 × 3", "b:\n6 × 6 becomes 2 × 2"]
    assert len(b.patches) == 36 + 9 and b.lines[0].get_xdata()[0] == 2.5


def test_a_moving_convolution_needs_no_network_and_is_small():
    page = moving_convolution(np.arange(36).reshape(6, 6), np.eye(3))._repr_html_()
    assert "[0, 1, 2, 3, 4, 5]" in page and "[0.0, 1.0, 0.0]" in page
    assert 2_000 < len(page.encode()) < 5_000
    assert "http" not in page and "src=" not in page
    parts = ("play", "at", "s", "p", "d", "c", "sum", "k")
    assert set(re.findall(r'id="(.*?)"', page)) == {"conv2d"} | {f"conv2d-{part}" for part in parts}
    assert len(plt.gcf().axes) == 3


def example_scores(n: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    positive = rng.random(n) < 0.5
    return 1 / (1 + np.exp(-rng.normal(np.where(positive, 0.2, -0.2), 0.4))), positive


def test_a_moving_threshold_needs_no_network_and_is_small():
    scores, positive = example_scores()
    page = moving_threshold(scores, positive, ("up", "down"))._repr_html_()
    assert 2_000 < len(page.encode()) < 6_000
    assert "http" not in page and "src=" not in page
    assert set(re.findall(r'id="(.*?)"', page)) == {"cut"} | {
        f"cut-{part}" for part in ("play", "at", "t", "c", "sum")
    }
    ups, downs, first, width = (
        json.loads(re.search(rf"\b{name} = (\[.*?\]|[\d.]+)", page)[1]) for name in ("P", "N", "FROM", "WIDE")
    )
    assert (sum(ups), sum(downs)) == (positive.sum(), (~positive).sum())
    at = 20  # of the slider: what the page counts above it is what the threshold leaves
    said = scores >= first + at * width
    assert (sum(ups[at:]), sum(downs[at:])) == (np.sum(said & positive), np.sum(said & ~positive))
    assert len(plt.gcf().axes) == 4


def test_show_thresholds_gives_scikit_learns_precision_recall_and_roc_curve():
    scores, positive = example_scores(200)
    scores = scores.round(2)  # with ties
    show_thresholds(scores, positive, [0.4, 0.6], "two")
    first, second, roc = plt.gcf().axes
    for axis, threshold in ((first, 0.4), (second, 0.6)):
        precision, recall = (
            metric(positive, scores >= threshold) for metric in (precision_score, recall_score)
        )
        assert (
            axis.get_title(loc="left")
            == f"threshold {threshold:.2f}:\nprecision {precision:.0%}, recall {recall:.0%}"
        )
    x, y, _ = roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc.lines[0].get_xdata(), x)
    np.testing.assert_allclose(roc.lines[0].get_ydata(), y)


def test_show_architecture_draws_each_shape_once():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(12, 3, name="a"),
            keras.layers.ReLU(name="b"),
            keras.layers.Flatten(),
        ]
    )
    model.add(keras.layers.Dense(4, name="c"))
    show_architecture(model, title="small")
    (axis,) = plt.gcf().axes
    assert [text.get_text() for text in axis.texts] == ["input\n8 × 8 × 1", "a\n6 × 6 × 12", "c\n4"]
    assert len(axis.patches) == 1 + 8 + 1  # eight maps of a stack at most
