"""Notebook 06's lesson, with the notebook's own functions: few labelled images are enough for a new layer on a frozen base.

Every split draws its own scenes, with `sample/scenes.py`; no drawing is in both parts.
"""

import sys

import keras
import numpy as np
import pytest
from course import ROOT, FakeRun, definitions
from keras import layers, ops
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from sample.scenes import scenes
from utils.efficientnet_lite0 import stage_ends
from utils.networks import load_network
from utils.training import outputs

SPLITS = (100, 101, 102)  # the bundled scenes have another
LABELLED, STEPS = 100, 80  # steps of 32 images, for the CNN from scratch
SCENES = {"fit": LABELLED, "validation": 10, "test": 300}  # no more are looked at, and drawing takes its time
STAGES = ("stem", *(f"stage {i}" for i in range(1, 8)), "last convolution")


@pytest.fixture(scope="module")
def notebook():
    """The notebook's functions, with what they need around them."""
    keras.utils.set_random_seed(0)
    around = {
        "keras": keras,
        "layers": layers,
        "ops": ops,
        "np": np,
        "sys": sys,
        "tqdm": tqdm,
        "outputs": outputs,
    }
    around |= {"LogisticRegression": LogisticRegression, "StandardScaler": StandardScaler}
    around["lite0"] = load_network(FakeRun("sample"), include_top=False, input_shape=(32, 32, 3))
    around |= {"ENDS": dict(zip(STAGES, stage_ends(), strict=True)), "SIDE": 32, "BATCH": 16}
    functions = {"part", "linear", "new_layer_on", "new_head", "small_cnn"}
    functions |= {"restart", "accuracy", "learn"}
    return definitions(ROOT / "06_transfer_learning.ipynb", functions, around)


@pytest.fixture(scope="module")
def ahead(notebook) -> np.ndarray:
    """By how much a new layer on the frozen stages 1 to 5 beats a CNN trained from scratch, one value a split."""
    accuracy, prepare = notebook["accuracy"], notebook["lite0"].preprocess
    base, scratch = notebook["part"](None, "stage 5"), notebook["small_cnn"](10)
    scratch.compile(keras.optimizers.SGD(momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
    differences = []
    for split in SPLITS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sample.scenes.SCENES", SCENES)
            drawn = scenes(split)
        labels, answers = drawn["y_train"], drawn["y_test"]
        chosen = np.concatenate([np.flatnonzero(labels == label)[: LABELLED // 10] for label in range(10)])
        images, labels, shown = prepare(drawn["x_train"][chosen]), labels[chosen], prepare(drawn["x_test"])
        weights, biases = notebook["linear"](outputs(base, images).mean(axis=(1, 2)), labels)
        said = (outputs(base, shown).mean(axis=(1, 2)) @ weights + biases).argmax(axis=1)
        keras.utils.set_random_seed(split)
        random = keras.models.clone_model(scratch).get_weights()
        notebook["learn"](scratch, random, images, labels, 0.02, STEPS, split, size=32)
        differences.append(np.mean(said == answers) - accuracy(scratch, shown, answers))
        print(split, round(np.mean(said == answers), 3), round(differences[-1], 3))
    return np.array(differences)


def test_transfer_is_far_ahead_of_training_from_scratch_with_few_labelled_images(ahead):
    assert ahead.mean() > 0.1
    assert ahead.mean() > 2 * ahead.std(ddof=1) / np.sqrt(len(ahead))


@pytest.mark.parametrize("start", [None, "stage 3"])
def test_fine_tuning_moves_everything_but_batch_normalisation(notebook, start):
    stages = notebook["part"](start, "stage 5")
    model = notebook["new_layer_on"](stages, 10)
    model.compile("adam", "sparse_categorical_crossentropy")
    images = np.random.default_rng(0).uniform(-1, 1, (32, *model.input_shape[1:])).astype("float32")
    weights = model.get_weights()
    notebook["learn"](model, weights, images, np.arange(32) % 10, 1e-3, 2, 0)
    for weight, before in zip(model.weights, weights, strict=True):
        same = np.array_equal(ops.convert_to_numpy(weight), before)
        assert same == ("bn" in weight.path), weight.path


def test_the_logistic_regression_is_the_new_layer(notebook):
    """Its weights in the dense layer give the same answers as on features computed before."""
    stages = notebook["part"](None, "stage 5")
    model = notebook["new_layer_on"](stages, 3)
    images = np.random.default_rng(0).uniform(-1, 1, (30, 32, 32, 3)).astype("float32")
    features, labels = outputs(stages, images).mean(axis=(1, 2)), np.arange(30) % 3
    weights, biases = notebook["linear"](features, labels)
    model.set_weights([*stages.get_weights(), weights, biases])
    said = outputs(model, images).argmax(axis=1)
    np.testing.assert_array_equal(said, (features @ weights + biases).argmax(axis=1))
    assert np.mean(said == labels) > 0.8


def test_training_starts_afresh(notebook):
    """The same start and the same images give the same weights, whatever the model did before."""
    head = notebook["new_head"](20)
    dropout = next(layer for layer in head.layers if isinstance(layer, layers.Dropout))
    dropout.rate = 0.0  # dropout draws other units each time
    head.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 20)).astype("float32"), np.arange(40) % 10
    start = head.get_weights()
    ended = []
    for _ in range(2):
        notebook["learn"](head, start, features, labels, 1e-2, 5, 0)
        ended.append(head.get_weights())
    for first, second in zip(*ended, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    assert not np.allclose(ended[0][0], start[0], atol=1e-3)
