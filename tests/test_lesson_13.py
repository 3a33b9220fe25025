"""Notebook 13's capsules, with the notebook's own functions, against sums written out, and its lesson in small."""

import ast
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from course import NOTEBOOKS, code_cells, definitions, read, source
from keras import layers, ops
from scipy.special import softmax

from utils.storage import SAMPLE

NOTEBOOK = next(path for path in NOTEBOOKS if path.name.startswith("13"))
FUNCTIONS = {"squash", "length", "route", "margin_loss", "capsule_network", "decoder", "cnn", "exchanged"}
FUNCTIONS |= {"capsule_work", "moved", "overlaid", "shifting"}


@pytest.fixture(scope="module")
def notebook():
    around = {"keras": keras, "layers": layers, "ops": ops, "np": np, "CNN_SIZE": (24, 48, 250)}
    around |= {"SHIFT": 0, "run": SimpleNamespace(seed=42)}
    for cell in code_cells(read(NOTEBOOK)):  # `definitions` takes functions alone
        for node in ast.parse(source(cell)).body:
            if isinstance(node, ast.ClassDef):
                exec(compile(ast.Module([node], []), str(NOTEBOOK), "exec"), around)
    return definitions(NOTEBOOK, FUNCTIONS, around)


def squashed(vector) -> np.ndarray:
    norm = np.linalg.norm(vector)
    return norm**2 / (1 + norm**2) * vector / norm


def routed(votes, rounds) -> np.ndarray:
    """Procedure 1 of Sabour, Frosst and Hinton (2017) for one image, sum by sum; votes[part][thing] is a vector."""
    parts, number, _ = votes.shape
    b = np.zeros((parts, number))
    for _ in range(rounds):
        c = softmax(b, axis=1)
        v = [squashed(sum(c[i, j] * votes[i, j] for i in range(parts))) for j in range(number)]
        for i in range(parts):
            for j in range(number):
                b[i, j] += votes[i, j] @ v[j]
    return np.array(v)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_layer_routes_as_the_paper_says(notebook, rounds):
    rng = np.random.default_rng(rounds)
    poses = rng.normal(size=(4, 5, 3)).astype("float32")  # images, parts, numbers
    layer = notebook["Capsules"](2, 6, rounds)
    layer.build(poses.shape)
    matrices = rng.normal(size=(5, 3, 2, 6)).astype("float32")
    layer.set_weights([matrices.reshape(5, 3, 12)])
    votes = np.einsum("bpd,pdte->bpte", poses, matrices)
    expected = np.array([routed(image, rounds) for image in votes])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(poses)), expected, atol=1e-4)


def test_rounds_matter(notebook):
    votes = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(5, 1, 2, 6)).astype("float32"))
    one, three = (ops.convert_to_numpy(notebook["route"](votes, rounds)) for rounds in (1, 3))
    assert np.abs(one - three).max() > 0.05


def test_squash_keeps_the_direction_and_stays_below_one(notebook):
    vectors = np.random.default_rng(0).normal(size=(50, 8)) * np.logspace(-2, 3, 50)[:, None]
    found = ops.convert_to_numpy(notebook["squash"](vectors.astype("float32")))
    np.testing.assert_allclose(found, [squashed(vector) for vector in vectors], rtol=1e-2, atol=1e-5)
    assert (np.linalg.norm(found, axis=1) <= 1).all()
    assert not ops.convert_to_numpy(notebook["squash"](np.zeros((1, 8), "float32"))).any()


def test_margin_loss(notebook):
    def loss(lengths):
        present = [[1.0, 0, 0]]
        return float(notebook["margin_loss"](*map(ops.convert_to_tensor, (present, [lengths])))[0])

    assert loss([0.5, 0.3, 0.05]) == pytest.approx(0.4**2 + 0.5 * 0.2**2)
    assert loss([0.95, 0.1, 0.0]) == pytest.approx(0, abs=1e-12)


def test_the_papers_sizes_and_a_fair_opponent(notebook):
    papers = notebook["capsule_network"](256, 32).count_params()
    assert (papers, papers + notebook["decoder"]((512, 1024)).count_params()) == (6_804_224, 8_215_568)
    narrow = notebook["capsule_network"](16, 4).count_params()
    assert abs(notebook["cnn"]().count_params() / narrow - 1) < 0.05


def test_exchanged_quarters_and_overlaid_digits(notebook):
    images = np.random.default_rng(0).random((20, 28, 28, 1)).astype("float32")
    broken = notebook["exchanged"](images)
    np.testing.assert_array_equal(broken[:, 4:14, 4:14], images[:, 14:24, 14:24])
    np.testing.assert_array_equal(notebook["exchanged"](broken)[:, 4:24, 4:24], images[:, 4:24, 4:24])
    digits = np.arange(20) % 10
    pairs, of_which = notebook["overlaid"](images, digits, 0)
    assert pairs.shape == images.shape and (of_which[:, 0] == digits).all()
    assert (of_which[:, 0] != of_which[:, 1]).all()
    again, _ = notebook["overlaid"](images, digits, 0)
    np.testing.assert_array_equal(pairs, again)


@pytest.mark.parametrize("name", ["capsules", "cnn"])
def test_both_networks_learn(notebook, name):
    """Three epochs on 600 digits, and each reads far more than a guess would."""
    with np.load(SAMPLE / "digits.npz") as archive:
        X, y = archive["x_train"][:800, ..., None] / np.float32(255), archive["y_train"][:800]
    keras.utils.set_random_seed(0)
    model = notebook["capsule_network"](8, 2) if name == "capsules" else notebook["cnn"]()
    model.compile(keras.optimizers.Adam(0.005), notebook["margin_loss"])
    model.fit(X[:600], np.eye(10, dtype="float32")[y[:600]], batch_size=16, epochs=3, verbose=0)
    answers = ops.convert_to_numpy(model(X[600:], training=False)).argmax(axis=1)
    assert np.mean(answers == y[600:]) > 0.35


def test_at_full_scale_training_images_are_moved_by_whole_pixels(notebook):
    assert notebook["shifting"]() == [], "not in the sample"
    (layer,) = definitions(NOTEBOOK, {"shifting"}, {**notebook, "SHIFT": 2})["shifting"]()
    image = np.zeros((200, 28, 28, 1), "float32")
    image[:, 14, 14] = 1
    assert np.array_equal(ops.convert_to_numpy(layer(image, training=False)), image)
    places = np.argwhere(ops.convert_to_numpy(layer(image, training=True)))[:, 1:3] - 14
    assert len(places) == 200, "one pixel stays one pixel"
    assert {*places[:, 0]} == {*places[:, 1]} == {-2, -1, 0, 1, 2}
