"""Parts of a network, up to a layer or on to the score of a class, and checks of its input."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

SMALLEST = 16  # pixels
Score = Callable[..., Any]  # Keras tensors (n, h, w, channels), … -> (n,)


def class_score(model: keras.Model, target: int, start: str | None = None) -> Score:
    """A function from images, or from the output of layer start, to the score of class target before the softmax."""
    if len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise ValueError(f"{model.name} should have one output, (n, classes), not {model.output_shape}.")
    if not 0 <= target < model.output_shape[-1]:
        raise ValueError(f"class {target}: {model.name} has the classes 0 to {model.output_shape[-1] - 1}.")
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
    if not (before and isinstance(last, keras.layers.Dense)):
        return lambda x: part(x, training=False)[:, target]

    def score(x):
        scores = ops.matmul(part(x, training=False), last.kernel[:, target])
        return scores + last.bias[target] if last.use_bias else scores

    return score


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


def last_spatial(model: keras.Model) -> str:
    """The name of the last layer with rows and columns that is no pooling."""
    for layer in reversed(model.layers):
        if len(getattr(layer.output, "shape", ())) == 4 and "Pooling" not in type(layer).__name__:
            return layer.name
    raise ValueError(f"{model.name} has no layer with rows and columns.")


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


def covered_scores(score: Score, image: np.ndarray, covered: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Scores of the image with pixels covered by its mean colour; covered: bool (n, h, w)."""
    colour = image.mean(axis=(0, 1))
    masks = (covered[i : i + batch_size, ..., None] for i in range(0, len(covered), batch_size))
    return np.concatenate([ops.convert_to_numpy(score(np.where(mask, colour, image))) for mask in masks])
