"""The sample carries notebook 02's lesson, by two standard errors over repeated splits of the originals.

The networks and their training are the notebook's own functions, on its recipe for “Does order matter?”, but the learning
rate climbs to its peak. That peak is near the largest that LeNet5 bears: without the climb the loss of a training now and
then shoots up in the first epoch, on PyTorch in two of five splits, and the training stalls.
"""

import keras
import numpy as np
import pytest
from course import NOTEBOOKS, definitions
from keras import layers

from utils.storage import SAMPLE
from utils.training import start_again

SPLITS = 3
VERSIONS = 2  # drawings of each original, neighbours in the sample
EPOCHS = 3  # the notebook's SHUFFLE_EPOCHS
BATCH = 64
WARM_UP = 20  # steps
NOTEBOOK = next(path for path in NOTEBOOKS if path.name.startswith("02"))


def accuracy(model, fit, test) -> float:
    """Train the compiled model; accuracy on the test images."""
    model.fit(*fit, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    answers = keras.ops.convert_to_numpy(model(test[0], training=False)).argmax(axis=1)
    return float(np.mean(answers == test[1]))


def of_the_notebook(X_fit: np.ndarray) -> dict:
    names = {"feedforward", "lenet5", "falling_sgd"}
    namespace = {"keras": keras, "layers": layers, "X_fit": X_fit}
    return definitions(NOTEBOOK, names, namespace)


def warmed_up(optimizer: keras.optimizers.SGD) -> keras.optimizers.SGD:
    """The same, but the learning rate climbs from zero to its peak before it falls along its cosine."""
    config = optimizer.get_config()
    schedule = config["learning_rate"]["config"]
    peak, steps = schedule["initial_learning_rate"], schedule["decay_steps"]
    schedule |= {"initial_learning_rate": 0.0, "warmup_target": peak}
    schedule |= {"warmup_steps": WARM_UP, "decay_steps": steps - WARM_UP}
    return keras.optimizers.SGD.from_config(config)


@pytest.fixture(scope="module")
def measured() -> dict[tuple[str, str], np.ndarray]:
    """Accuracy by network and order of the pixels, one value a split."""
    with np.load(SAMPLE / "digits.npz") as archive:
        X = np.concatenate([archive["x_train"], archive["x_test"]])[..., None].astype("float32") / 255
        y = np.concatenate([archive["y_train"], archive["y_test"]])
    order = np.random.default_rng(0).permutation(28 * 28)
    images = {"as drawn": X, "shuffled": X.reshape(len(X), -1)[:, order].reshape(X.shape)}
    originals = len(X) // VERSIONS
    n_test = originals // 3 * VERSIONS

    notebook = of_the_notebook(X[n_test:])
    compiled = {}
    for network in ("feedforward", "lenet5"):
        compiled[network] = notebook[network]()
        optimizer = warmed_up(notebook["falling_sgd"](EPOCHS))
        compiled[network].compile(optimizer, "sparse_categorical_crossentropy")

    results = {(network, arrangement): [] for network in compiled for arrangement in images}
    for split in range(SPLITS):
        chosen = np.random.default_rng(split).permutation(originals)
        rows = (chosen[:, None] * VERSIONS + np.arange(VERSIONS)).ravel()
        test, fit = rows[:n_test], rows[n_test:]
        for network, arrangement in results:
            A = images[arrangement]
            keras.utils.set_random_seed(split)
            start_again(compiled[network], notebook[network]())
            value = accuracy(compiled[network], (A[fit], y[fit]), (A[test], y[test]))
            results[network, arrangement].append(value)
    results = {key: np.array(values) for key, values in results.items()}
    for key, values in results.items():
        print(key, values.round(3))
    return results


def beyond_two_standard_errors(differences: np.ndarray) -> bool:
    return differences.mean() > 2 * differences.std(ddof=1) / np.sqrt(len(differences))


def test_lenet5_is_ahead(measured):
    assert beyond_two_standard_errors(measured["lenet5", "as drawn"] - measured["feedforward", "as drawn"])


def test_shuffled_pixels_cost_lenet5_more(measured):
    loss = {n: measured[n, "as drawn"] - measured[n, "shuffled"] for n in ("feedforward", "lenet5")}
    assert beyond_two_standard_errors(loss["lenet5"] - loss["feedforward"])


def test_the_feedforward_network_hardly_notices(measured):
    assert abs((measured["feedforward", "as drawn"] - measured["feedforward", "shuffled"]).mean()) < 0.02


def test_a_model_that_starts_again_is_trained_like_a_new_one():
    X, y = np.random.default_rng(0).random((64, 28, 28, 1), dtype="float32"), np.arange(64) % 10
    notebook = of_the_notebook(X)

    def trained(model) -> np.ndarray:
        model.fit(X, y, batch_size=BATCH, epochs=1, verbose=0)
        return model.get_weights()[0]

    model = notebook["feedforward"]()
    model.compile(notebook["falling_sgd"](1), "sparse_categorical_crossentropy")
    before, further = trained(model), trained(model)
    keras.utils.set_random_seed(7)
    new = notebook["feedforward"]().get_weights()
    ended = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        start_again(model, notebook["feedforward"]())
        for weight, of_new in zip(model.get_weights(), new, strict=True):
            np.testing.assert_array_equal(weight, of_new)
        ended.append(trained(model))
    assert not np.allclose(before, further, atol=1e-4)
    np.testing.assert_allclose(*ended, atol=1e-6)  # optimiser and dropout start afresh, too
