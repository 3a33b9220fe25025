"""A model that starts again trains as a new one does, and several steps at once are a matter of speed alone."""

import keras
import numpy as np
import pytest
from keras import layers

from utils.progress import EpochProgress
from utils.training import outputs, start_again, steps_at_once


def network(units: int = 4) -> keras.Model:
    dropout = layers.Dropout(0.5, seed=1)  # whose state has to start again, too
    return keras.Sequential([keras.Input((3,)), layers.Dense(units, "relu"), dropout, layers.Dense(1)])


def losses(model: keras.Model) -> list[float]:
    X = np.arange(24, dtype="float32").reshape(8, 3) / 24
    return model.fit(X, X.sum(axis=1), epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_losses_repeat(optimizer):
    fresh, again = network(), network()
    again.set_weights(fresh.get_weights())
    model = keras.models.clone_model(fresh)
    model.set_weights(fresh.get_weights())
    model.compile(optimizer, "mse")
    first = losses(model)
    assert losses(model) != first  # training goes on
    start_again(model, again)
    assert losses(model) == first


def test_a_schedule_begins_anew():
    model = network()
    rate = keras.optimizers.schedules.CosineDecay(0.1, 6)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
    losses(model)
    start_again(model, network())
    assert int(model.optimizer.iterations) == 0


def test_a_learning_rate_that_was_set_stays():
    model = network()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.5
    start_again(model, network())
    assert float(model.optimizer.learning_rate) == 0.5


def test_another_architecture_is_refused():
    model = network()
    model.compile("adam", "mse")
    with pytest.raises(ValueError):
        start_again(model, keras.Sequential([keras.Input((3,)), layers.Dense(1)]))


def test_steps_at_once_give_the_weights_of_single_ones():
    single, several = network(), network()
    several.set_weights(single.get_weights())
    single.compile("sgd", "mse")
    several.compile("sgd", "mse", steps_per_execution=steps_at_once(2))  # on PyTorch more than 1 is refused
    losses(single)
    losses(several)
    for one, other in zip(single.get_weights(), several.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(
    ("metric", "shown"),
    [("val_accuracy", "validation=75.0%"), ("accuracy", "training=75.0%"), ("val_loss", "validation=0.750")],
)
def test_the_bar_says_on_which_images_it_measured(metric, shown):
    progress = EpochProgress("LeNet5", metric)
    progress.set_params({"epochs": 1})
    progress.on_train_begin()
    progress.on_epoch_end(0, {metric: 0.75})
    assert shown in progress.bar.postfix
    progress.on_train_end()


@pytest.mark.parametrize("batch_size", [3, 4, 7, 100])
def test_outputs_are_those_of_predict_whatever_the_batch(batch_size):
    model, images = network(), np.random.default_rng(0).random((7, 3), dtype="float32")
    np.testing.assert_allclose(outputs(model, images, batch_size), model.predict(images, verbose=0), 1e-5)


def test_outputs_of_a_model_of_two_inputs():
    both = [keras.Input((3,)), keras.Input((1,))]
    model = keras.Model(both, layers.Dense(2)(layers.Concatenate()(both)))
    rows = [np.arange(21, dtype="float32").reshape(7, 3), np.ones((7, 1), "float32")]
    np.testing.assert_allclose(outputs(model, rows, 3), model.predict(rows, verbose=0), 1e-5)


def test_outputs_want_an_input():
    with pytest.raises(ValueError, match="no input"):
        outputs(network(), np.empty((0, 3)))
