"""Files of weights for tests, laid out as Keras publishes its own."""

from pathlib import Path

import h5py
import keras
import numpy as np


def write_weights(model: keras.Model, path: Path) -> Path:
    """A file in the layout of Keras's own, as Keras 2 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = []
            for weight in layer.trainable_weights + layer.non_trainable_weights:
                names.append(f"{layer.name}/{weight.name}:0".encode())
                group[names[-1]] = keras.ops.convert_to_numpy(weight)
            group.attrs["weight_names"] = names or np.empty(0, "S1")
    return path
