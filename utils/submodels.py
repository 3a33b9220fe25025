"""Parts of a network, up to a layer or on to the score of a class, and checks of its input."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

SMALLEST = 16  # pixels
BATCH = 16  # images: on a processor larger ones take longer, image for image
Score = Callable[..., Any]  # Keras tensors (n, h, w, channels), … -> (n,)


def class_score(model: keras.Model, target: int | np.ndarray, start: str | None = None) -> Score:
    """A function from images, or from the output of layer start, to the score of class target before the softmax.

    target: one class for all images, or int (n,), one for each. Raises ValueError for a model that does not end in
    classes, a class that it does not have, or a layer around which there is another path.
    """
    targets = _checked_targets(model, target)
    part, dense = _before_softmax(model, start)
    return lambda x: _score(part(x, training=False), dense, targets)


def scores(model: keras.Model, images: np.ndarray, target: int | np.ndarray) -> np.ndarray:
    """The scores of `class_score` for many images, float32 (n,): without gradients, by the compiled network."""
    targets = _checked_targets(model, target)
    part, dense = _before_softmax(model, None)
    size = min(BATCH, len(images))  # one size of batch, so that the network is compiled once
    batches = (images[i : i + size] for i in range(0, len(images), size))
    values = np.concatenate(
        [part.predict_on_batch(np.resize(b, (size, *b.shape[1:])))[: len(b)] for b in batches]
    )
    return ops.convert_to_numpy(_score(values, dense, targets))


def _checked_targets(model: keras.Model, target: int | np.ndarray) -> np.ndarray:
    if len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise ValueError(f"{model.name} should have one output, (n, classes), not {model.output_shape}.")
    targets = np.atleast_1d(target)
    if wrong := [int(place) for place in targets if not 0 <= place < model.output_shape[-1]]:
        raise ValueError(f"class {wrong[0]}: {model.name} has the classes 0 to {model.output_shape[-1] - 1}.")
    return targets


@lru_cache(maxsize=4)  # so that what is compiled for a model is compiled once
def _before_softmax(model: keras.Model, start: str | None) -> tuple[keras.Model, keras.layers.Dense | None]:
    """The network from its input, or from layer start, to its scores, or to what its last dense layer takes, and that layer."""
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    before = isinstance(last, keras.layers.Softmax) or activation in ("softmax", "sigmoid")
    try:
        part = keras.Model(
            model.get_layer(start).output if start else model.inputs[0],
            last.input if before else model.output,
        )
    except ValueError as error:  # from Keras, where the graph is not cut in two
        raise ValueError(
            f"{model.name} has a path around {start}: choose a layer that all paths go through."
        ) from error
    return part, last if before and isinstance(last, keras.layers.Dense) else None


def _score(values: Any, dense: keras.layers.Dense | None, targets: np.ndarray) -> Any:
    """The score of each image's class, or of the one class of all."""
    values = ops.convert_to_tensor(values)
    if dense is None:
        return ops.sum(values * ops.one_hot(targets, values.shape[-1], dtype="float32"), axis=-1)
    kernels = ops.transpose(ops.take(dense.kernel, targets, axis=1))  # a row an image, or one for all
    found = ops.sum(values * kernels, axis=-1)
    return found + ops.take(dense.bias, targets) if dense.use_bias else found


def up_to(model: keras.Model, layer: str) -> keras.Model:
    """The network from its input to a layer. Raises ValueError, with the layers there are."""
    names = _names(model)
    if layer not in names:
        near = difflib.get_close_matches(layer, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{model.name} has no layer {layer!r}: {hint}It has {', '.join(names)}.")
    if isinstance(model.get_layer(layer), keras.Model):
        raise ValueError(
            f"{layer} is a network within {model.name}: build {model.name} on {layer}.output instead."
        )
    return keras.Model(model.inputs[0], model.get_layer(layer).output)


def _names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers]


def checked_units(part: keras.Model, layer: str, units: Sequence[int]) -> list[int]:
    """The units as integers, where the layer has them; else ValueError."""
    units = [int(unit) for unit in units]
    if wrong := [unit for unit in units if not 0 <= unit < part.output_shape[-1]]:
        raise ValueError(f"{layer} has the units 0 to {part.output_shape[-1] - 1}, not {wrong}.")
    return units


def checked_images(images: np.ndarray, rank: int) -> np.ndarray:
    """The images (rank 4) or one image (rank 3) as float32; ValueError where they are not what a model takes."""
    images = np.asarray(images)
    shape = "one image, (h, w, 3)" if rank == 3 else "images, (n, h, w, 3)"
    if images.ndim != rank or min(images.shape[-3:-1]) < SMALLEST or not len(images):
        raise ValueError(f"{shape}, of {SMALLEST} pixels or more is needed, not the shape {images.shape}.")
    if images.dtype.kind != "f":
        raise ValueError(f"images as the model's preprocessing makes them are float, not {images.dtype}.")
    return images.astype("float32")


def outputs(part: Callable, images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """What a network or a part of one gives for the images, batch by batch."""
    for start in range(0, len(images), batch_size):
        yield ops.convert_to_numpy(part(images[start : start + batch_size], training=False))
