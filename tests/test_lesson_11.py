"""Notebook 11's scores and boxes, with the notebook's own functions, against independent calculations."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
from course import ROOT, definitions
from keras import layers, ops
from scipy.special import softmax
from sklearn.metrics import average_precision_score

from utils.digit_scenes import Scenes


class Found(NamedTuple):
    """As in the notebook."""

    scene: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    named: np.ndarray


def loss_of(loss, true, answers) -> float:
    """A notebook's loss of arrays; as in training it is given tensors."""
    tensors = (ops.convert_to_tensor(array.astype("float32")) for array in (true, answers))
    return ops.convert_to_numpy(loss(*tensors)).item()


@pytest.fixture(scope="module")
def notebook():
    around = {"np": np, "keras": keras, "layers": layers, "ops": ops, "softmax": softmax, "Found": Found}
    around |= {"SIDE": 48, "CELL": 4, "GRID": 12, "CROP": 24}
    functions = {"iou", "hits", "average_precision", "non_maximum_suppression", "suppressed"}
    functions |= {"grid_targets", "decoded", "crop_classifier", "fully_convolutional", "detection_loss"}
    functions |= {"dice_loss", "pixel_loss", "pixel_network", "block", "mean_iou"}
    return definitions(ROOT / "11_detection_and_segmentation.ipynb", functions, around)


def random_boxes(rng, number) -> np.ndarray:
    """Boxes of whole pixels in a picture of 48 × 48."""
    low = rng.integers(0, 40, (number, 2))
    return np.concatenate([low, np.minimum(low + rng.integers(2, 20, (number, 2)), 48)], axis=1).astype(float)


def pixels(box) -> set[tuple[int, int]]:
    left, top, right, bottom = map(int, box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


def by_counting(one, other) -> float:
    return len(pixels(one) & pixels(other)) / len(pixels(one) | pixels(other))


def scenes_of(boxes, scene, labels=None, n=3) -> Scenes:
    boxes, scene = np.asarray(boxes, float).reshape(-1, 4), np.asarray(scene, int)
    labels = np.zeros(len(scene), int) if labels is None else np.asarray(labels)
    return Scenes(np.zeros((n, 48, 48), "uint8"), boxes, labels, scene, None)


def found_of(boxes, scene, scores, labels=None) -> Found:
    boxes, scene, scores = (
        np.asarray(boxes, float).reshape(-1, 4),
        np.asarray(scene, int),
        np.asarray(scores, float),
    )
    labels = np.zeros(len(scene), int) if labels is None else np.asarray(labels)
    return Found(scene, boxes, labels, scores, scores)


def test_iou_counts_pixels(notebook):
    boxes, others = (random_boxes(np.random.default_rng(seed), 30) for seed in (0, 1))
    expected = [[by_counting(box, other) for other in others] for box in boxes]
    np.testing.assert_allclose(notebook["iou"](boxes, others), expected, atol=1e-12)
    assert notebook["iou"](boxes, np.zeros((0, 4))).shape == (30, 0)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_scikit_learns(notebook, seed):
    """Of a list of hits scikit-learn knows nothing that was missed: its value, times the share that was found."""
    rng = np.random.default_rng(seed)
    scores, hit = np.sort(rng.random(200))[::-1], rng.random(200) < np.linspace(0.9, 0.1, 200)
    missed = int(rng.integers(0, 50))
    number = hit.sum() + missed
    expected = average_precision_score(hit, scores) * hit.sum() / number
    assert notebook["average_precision"](hit, number) == pytest.approx(expected, abs=1e-12)


def test_nothing_found_is_worth_nothing(notebook):
    nothing = found_of([], [], [])
    assert notebook["average_precision"](notebook["hits"](nothing, scenes_of([[1, 1, 9, 9]], [0])), 1) == 0
    assert len(notebook["suppressed"](nothing).scene) == 0


def test_a_digit_is_found_once_and_in_its_own_picture(notebook):
    truth = scenes_of([[0, 0, 10, 20], [20, 0, 30, 20]], [0, 0])
    boxes = [[0, 0, 10, 20], [1, 0, 11, 20], [20, 5, 30, 25], [0, 0, 10, 20], [0, 0, 10, 20]]
    found = found_of(boxes, [0, 0, 0, 1, 2], [0.5, 0.9, 0.8, 0.95, 0.1])
    # the surest first: in a picture without digits; a digit; its neighbour; the first again; another empty picture
    assert notebook["hits"](found, truth).tolist() == [False, True, True, False, False]


def test_a_wrong_name_is_no_hit_where_names_count(notebook):
    truth = scenes_of([[0, 0, 10, 20], [20, 0, 30, 20]], [0, 0], [3, 4])
    found = found_of(truth.boxes, [0, 0], [0.9, 0.8], [3, 5])
    assert notebook["hits"](found, truth).tolist() == [True, True]
    assert notebook["hits"](found, truth, named=True).tolist() == [True, False]


def test_the_demand_on_boxes_counts(notebook):
    truth, found = scenes_of([[0, 0, 10, 20]], [0]), found_of([[0, 0, 10, 12]], [0], [0.9])  # IoU 0.6
    assert [notebook["hits"](found, truth, least=least)[0] for least in (0.5, 0.59, 0.61)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_what_no_surer_kept_box_covers(notebook, seed):
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, 40), rng.random(40)
    kept = []
    for i in sorted(range(40), key=lambda i: -scores[i]):
        if all(by_counting(boxes[i], boxes[j]) <= 0.3 for j in kept):
            kept.append(i)
    assert notebook["non_maximum_suppression"](boxes, scores).tolist() == kept


def test_suppression_goes_picture_by_picture(notebook):
    found = found_of([[0, 0, 10, 20]] * 3, [0, 1, 1], [0.5, 0.6, 0.7])
    kept = notebook["suppressed"](found)
    assert sorted(zip(kept.scene.tolist(), kept.scores.tolist(), strict=True)) == [(0, 0.5), (1, 0.7)]


def test_decoding_undoes_encoding(notebook):
    boxes = np.array([[3, 4, 10, 20], [11, 4, 17, 20], [30, 30, 40, 47.5], [44, 44, 48, 48]])
    truth = scenes_of(boxes, [0, 0, 1, 2], [3, 0, 9, 5])
    exact = notebook["grid_targets"](truth)
    answers = np.zeros((*exact.shape[:3], 15))
    answers[..., 0] = np.where(exact[..., 0] > 0, 9, -9)
    inside = np.clip(exact[..., 1:3], 1e-6, 1 - 1e-6)
    answers[..., 1:3], answers[..., 3:5] = np.log(inside / (1 - inside)), exact[..., 3:5]
    answers[..., 5:] = 20 * np.eye(10)[exact[..., 5].astype(int)]
    found = notebook["decoded"](answers)
    order = np.lexsort([found.boxes[:, 0], found.scene])
    np.testing.assert_allclose(found.boxes[order], boxes, atol=1e-3)
    assert found.labels[order].tolist() == [3, 0, 9, 5]
    # the loss of these answers is next to nothing, and that of others is not
    assert loss_of(notebook["detection_loss"], exact, answers) < 0.1
    assert loss_of(notebook["detection_loss"], exact, 0 * answers) > 2


def test_an_empty_cell_is_not_asked_for_box_and_digit(notebook):
    exact = notebook["grid_targets"](scenes_of([], [], n=1))
    answers = np.zeros((1, 12, 12, 15), "float32")
    answers[..., 0] = -9
    wild = answers.copy()
    wild[..., 1:] = np.random.default_rng(0).normal(0, 5, wild[..., 1:].shape)
    losses = [loss_of(notebook["detection_loss"], exact, a) for a in (answers, wild)]
    assert losses[0] == pytest.approx(losses[1])


def test_the_sliding_classifier_says_what_the_classifier_says(notebook):
    keras.utils.set_random_seed(0)
    classifier = notebook["crop_classifier"]()
    sliding = notebook["fully_convolutional"](classifier)
    picture = np.random.default_rng(0).normal(size=(1, 48, 40, 1)).astype("float32")
    everywhere = ops.convert_to_numpy(sliding(picture))
    assert everywhere.shape == (1, 7, 5, 11)
    for row in range(7):
        crops = [picture[0, 4 * row : 4 * row + 24, 4 * column : 4 * column + 24] for column in range(5)]
        said = ops.convert_to_numpy(classifier(np.array(crops)))
        np.testing.assert_allclose(everywhere[0, row], said, atol=1e-4)


def test_networks_for_pixels_differ_in_the_skips_alone(notebook):
    without, unet = (notebook["pixel_network"](skips) for skips in (False, True))
    skips = {layer.name for layer in unet.layers} - {layer.name for layer in without.layers}
    assert {name.split("_")[0] for name in skips} - {"input"} == {"skip"}
    assert without.output_shape == unet.output_shape == (None, 48, 48, 1)


def test_losses_and_score_of_pixels(notebook):
    true = np.zeros((1, 20, 20, 1), "float32")
    true[:, 5:15, 8:12] = 1
    assert loss_of(notebook["dice_loss"], true, true) == pytest.approx(0)
    assert loss_of(notebook["dice_loss"], true, 0 * true) == pytest.approx(1 - 1 / 41)
    half = np.where(np.arange(20)[:, None, None] < 10, true, 0)
    assert loss_of(notebook["dice_loss"], true, half) == pytest.approx(1 - 41 / 61)
    assert loss_of(notebook["pixel_loss"], true, 40 * true - 20) < 1e-3
    assert notebook["mean_iou"](true > 0, half > 0) == pytest.approx((20 / 40 + 360 / 380) / 2)
