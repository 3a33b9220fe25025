"""Notebook 06's lesson, with the notebook's own functions: few labelled images are enough for a new head on a frozen base.

Every split draws its own scenes, with `sample/scenes.py`; no drawing is in both parts. The CNN from scratch is given
twice as many steps as the head.
"""

import sys

import keras
import numpy as np
import pytest
from course import ROOT, FakeRun, definitions
from keras import layers, ops
from tqdm import tqdm

from sample.scenes import scenes
from utils.networks import load_network

SPLITS = (100, 101, 102)  # the bundled scenes have another
LABELLED, STEPS = 100, 50
SCENES = {"fit": LABELLED, "validation": 10, "test": 300}  # no more are looked at, and drawing takes its time


@pytest.fixture(scope="module")
def notebook():
    """The notebook's functions, with what they need around them."""
    keras.utils.set_random_seed(0)
    run = FakeRun("sample")
    base = load_network(run, "VGG16", include_top=False, input_shape=(32, 32, 3))
    around = {
        "keras": keras,
        "layers": layers,
        "ops": ops,
        "np": np,
        "sys": sys,
        "tqdm": tqdm,
        "run": run,
    }
    around |= {"base": base, "names": range(10), "SIDE": 32, "BATCH": 16, "TUNING_RATE": 5e-3}
    functions = {
        "new_head",
        "outputs",
        "accuracy",
        "learn",
        "freeze_normalisation",
        "small_cnn",
        "model_above",
    }
    return definitions(ROOT / "06_transfer_learning.ipynb", functions, around)


@pytest.fixture(scope="module")
def ahead(notebook) -> np.ndarray:
    """By how much the new head on the frozen base beats a small CNN trained from scratch, one value a split."""
    base, new_head, learn, accuracy = (notebook[name] for name in ("base", "new_head", "learn", "accuracy"))
    head = new_head()
    head.compile("adam", "sparse_categorical_crossentropy")
    scratch = notebook["small_cnn"]()
    differences = []
    for split in SPLITS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sample.scenes.SCENES", SCENES)
            drawn = scenes(split)
        chosen = np.concatenate(
            [np.flatnonzero(drawn["y_train"] == label)[: LABELLED // 10] for label in range(10)]
        )
        images, labels = base.preprocess(drawn["x_train"][chosen]), drawn["y_train"][chosen]
        shown, answers = base.preprocess(drawn["x_test"]), drawn["y_test"]
        keras.utils.set_random_seed(split)
        new = new_head().get_weights()
        learn(head, new, notebook["outputs"](base.model, images), labels, 1e-3, STEPS, "head")
        transferred = accuracy(head, notebook["outputs"](base.model, shown), answers)
        random = keras.models.clone_model(scratch).get_weights()
        learn(scratch, random, images, labels, 3e-3, 2 * STEPS, "from scratch")
        differences.append(transferred - accuracy(scratch, shown, answers))
        print(split, round(transferred, 3), round(transferred - differences[-1], 3))
    return np.array(differences)


def test_transfer_is_far_ahead_of_training_from_scratch_with_few_labelled_images(ahead):
    assert ahead.mean() > 0.15
    assert ahead.mean() > 2 * ahead.std(ddof=1) / np.sqrt(len(ahead))


@pytest.mark.parametrize("cut", [None, "block3_pool"])
def test_fine_tuning_moves_what_is_above_the_cut_but_no_batch_normalisation(notebook, cut):
    model, start = notebook["model_above"](cut)
    images = np.random.default_rng(0).uniform(-1, 1, (32, *model.input_shape[1:])).astype("float32")
    weights = start + notebook["new_head"]().get_weights()
    notebook["learn"](model, weights, images, np.arange(32) % 10, 5e-3, 2, "tuning")
    for weight, before in zip(model.weights, weights, strict=True):
        same = np.array_equal(ops.convert_to_numpy(weight), before)
        assert same == ("bn" in weight.path), weight.path


def test_training_starts_afresh(notebook):
    """The same start and the same images give the same weights, whatever the model did before."""
    head = notebook["new_head"]()
    head.layers[2].rate = 0.0  # dropout draws other units each time
    head.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, *head.input_shape[1:])).astype("float32"), np.arange(40) % 10
    start = head.get_weights()
    ended = []
    for _ in range(2):
        notebook["learn"](head, start, features, labels, 1e-2, 5, "head")
        ended.append(head.get_weights())
    for first, second in zip(*ended, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    assert not np.allclose(ended[0][0], start[0], atol=1e-3)
