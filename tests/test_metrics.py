"""auc_roc against scikit-learn's exact AUC; sequence_accuracy by hand."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from utils.metrics import auc_roc, sequence_accuracy, whole_numbers_right

N = 20_000
TOLERANCE = 1e-4


def scores(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of one kind: labels (N,) of 0 and 1, scores (N,) float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    signal = rng.normal(size=N) + 0.5 * y
    if kind == "easy":
        p = 1 / (1 + np.exp(-2 * signal - y))
    elif kind == "narrow":  # all scores within 0.003 of each other
        p = 0.5 + 0.0015 * np.tanh(signal)
    elif kind == "narrow, off centre":
        p = 0.1 + 0.0015 * np.tanh(signal)
    elif (
        kind == "tied"
    ):  # 45 % of the scores are exactly 0.5, as the chapter's ReLU before the sigmoid makes them
        p = 1 / (1 + np.exp(-np.maximum(signal - 0.2, 0)))
    elif kind == "few values":
        p = np.round(1 / (1 + np.exp(-signal)), 1)
    return y, p.astype("float32")


KINDS = ["easy", "narrow", "narrow, off centre", "tied", "few values"]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["(n,)", "(n, 1)"])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_sklearn_over_batches(kind, shape):
    y, p = scores(kind)
    metric = auc_roc()
    for batch in np.array_split(np.arange(N), 37):
        metric.update_state(y[batch].reshape(shape), p[batch].reshape(shape))
    assert float(metric.result()) == pytest.approx(roc_auc_score(y, p), abs=TOLERANCE)


def test_the_cases_are_what_they_claim():
    _, narrow = scores("narrow")
    assert np.ptp(narrow) <= 0.003
    y, tied = scores("tied")
    assert np.mean(tied == 0.5) > 0.4
    keras_auc = keras.metrics.AUC()  # 200 thresholds, its default: what this metric is here for
    y, narrow = scores("narrow")
    keras_auc.update_state(y, narrow)
    assert abs(float(keras_auc.result()) - roc_auc_score(y, narrow)) > 0.002


def test_ties_count_one_half():
    metric = auc_roc()
    metric.update_state(np.array([0, 1, 0, 1]), np.array([0.3, 0.3, 0.3, 0.3]))
    assert float(metric.result()) == 0.5


def test_sample_weight():
    y, p = scores("easy")
    weight = np.random.default_rng(1).uniform(0, 3, N)
    metric = auc_roc()
    metric.update_state(y, p, sample_weight=weight)
    assert float(metric.result()) == pytest.approx(roc_auc_score(y, p, sample_weight=weight), abs=TOLERANCE)


@pytest.mark.parametrize(
    ("y", "p"),
    [([1, 1], [0.2, 0.3]), ([0, 1], [0.2, 1.5]), ([0, 1], [-0.1, 0.5]), ([0, 1], [float("nan"), 0.5])],
    ids=["one class", "above 1", "below 0", "NaN"],
)
def test_undefined_is_nan_never_a_number(y, p):
    metric = auc_roc()
    metric.update_state(np.array(y), np.array(p, "float32"))
    assert np.isnan(float(metric.result()))


def test_two_scores_a_sample_are_refused():
    with pytest.raises(ValueError, match="one score a sample"):
        auc_roc().update_state(np.zeros(3), np.zeros((3, 2)))


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    network.compile("sgd", "binary_crossentropy", metrics=[auc_roc])
    return network


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["(n,)", "(n, 1)"])
def test_in_compile_two_models_share_no_state(shape):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1000)
    X = (rng.normal(size=(1000, 2)) + y[:, None]).astype("float32")
    first, second = model(), model()
    history = first.fit(
        X, y.reshape(shape), epochs=2, batch_size=64, verbose=0, validation_data=(X, y.reshape(shape))
    )
    expected = roc_auc_score(y, first.predict(X, verbose=0)[:, 0])
    assert history.history["val_auc_roc"][-1] == pytest.approx(expected, abs=TOLERANCE)

    opposite = 1 - y  # the second model sees other labels: any state of the first would show
    measured = second.evaluate(X, opposite.reshape(shape), batch_size=64, verbose=0, return_dict=True)[
        "auc_roc"
    ]
    assert measured == pytest.approx(
        roc_auc_score(opposite, second.predict(X, verbose=0)[:, 0]), abs=TOLERANCE
    )


def test_its_configuration_makes_it_again():
    again = auc_roc.from_config(auc_roc(num_thresholds=9, name="roc").get_config())
    assert (again.num_thresholds, again.name, again.dtype) == (9, "roc", "float32")


def test_an_instance_survives_saving(tmp_path):
    network = model()
    network.compile("sgd", "binary_crossentropy", metrics=[auc_roc()])
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"auc_roc": auc_roc})
    y, X = np.array([0, 1, 0, 1]), np.array([[0, 0], [1, 1], [0.2, 0.1], [0.9, 0.8]], "float32")
    assert again.evaluate(X, y, verbose=0, return_dict=True) == network.evaluate(
        X, y, verbose=0, return_dict=True
    )


def test_whole_numbers_by_hand():
    true = [[2, 1, 9, 10], [1, 7, 10, 10], [3, 1, 2, 3], [2, 4, 4, 10], [1, 0, 10, 10]]
    predicted = [
        [2, 1, 9, 3],  # right: what stands beyond the length does not count
        [2, 7, 10, 10],  # wrong length
        [3, 1, 2, 4],  # wrong last digit
        [2, 5, 4, 10],  # wrong first digit
        [1, 0, 1, 1],  # right
    ]
    assert whole_numbers_right(true, predicted).tolist() == [True, False, False, False, True]
    assert sequence_accuracy(true, predicted) == 0.4


@pytest.mark.parametrize("shapes", [((3, 4), (3, 5)), ((3,), (3,)), ((0, 4), (0, 4))])
def test_whole_numbers_of_shapes_that_do_not_fit(shapes):
    with pytest.raises(ValueError, match="must be"):
        sequence_accuracy(*(np.zeros(shape, int) for shape in shapes))
