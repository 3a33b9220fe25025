"""What several notebooks do with a model that is trained, or asked, more than once."""

import keras
import numpy as np


def start_again(model: keras.Model, fresh: keras.Model) -> None:
    """Put a compiled model back to a start: the variables of a fresh one, and its optimiser as new.

    Quicker than to compile anew. fresh: a model of the same layers, not compiled; its weights and the states of its
    random layers are copied. A learning rate that was set since compiling stays. Raises ValueError where the two
    have other variables.
    """
    optimizer = model.optimizer.from_config(model.optimizer.get_config())
    for each in (model.optimizer, optimizer):
        if not each.built:
            each.build(model.trainable_variables)
    now = [*model.variables, *model.optimizer.variables]
    for variable, value in zip(now, [*fresh.variables, *optimizer.variables], strict=True):
        variable.assign(keras.ops.copy(value))  # JAX gives a model's arrays away when it trains: share none


def steps_at_once(number: int) -> int:
    """The number where Keras can train so many batches in one call, else 1: for `compile(steps_per_execution=…)`.

    The callbacks then look on less often, which saves small networks much of their time. On PyTorch Keras refuses
    any number but 1.
    """
    return 1 if keras.backend.backend() == "torch" else number


def outputs(model: keras.Model, inputs: np.ndarray | list[np.ndarray], batch_size: int = 100) -> np.ndarray:
    """What a model gives in prediction, (n, …), in batches of at most so many rows; inputs: (n, …), or a list of such.

    The values of `predict`, which sets up an iterator at every call; that takes longer than a small network needs for
    some hundred images. Raises ValueError where there is no row.
    """
    number = len(keras.tree.flatten(inputs)[0])
    if not number:
        raise ValueError("outputs: there is no input to predict from.")
    batches = np.array_split(np.arange(number), -(-number // batch_size))
    parts = [keras.tree.map_structure(lambda rows, of=batch: rows[of], inputs) for batch in batches]
    return np.concatenate([model.predict_on_batch(part) for part in parts])
