"""A pretrained network that ships with the course: it plays the part of keras.applications.VGG16.

`sample/pretrained.py` trains it, on scenes of 300 kinds of emoji that show none of CIFAR-10's classes;
`data/README.md` says how well it does.
"""

from functools import cache
from pathlib import Path

import keras
import numpy as np
from keras import layers

from utils.storage import SAMPLE, DataError, read_npz

WEIGHTS = SAMPLE / "slim_vgg16.npz"
# Convolutions and filters of each block; VGG16 has four times as many filters.
BLOCKS = ((2, 16), (2, 32), (3, 64), (3, 128), (3, 128))


def slim_vgg16(
    weights: str | Path | None = "emoji",
    include_top: bool = True,
    classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """VGG16 with a quarter of the filters and a slimmer top (configuration D of Simonyan & Zisserman, 2014).

    Input: float32, (n, rows, columns, 3), from -1 to 1 (`preprocess_input`), at least 32 × 32; it was trained on
    32 × 32 to 128 × 128. Thirteen 3 × 3 convolutions with ReLU, named block1_conv1 to block5_conv3, each followed
    by batch normalisation (block1_bn1 …), which the original of 2014 did not have yet; block1_pool to block5_pool
    halve rows and columns. include_top: average block5_pool over rows and columns and add the softmax layer
    "predictions" in place of VGG16's three dense layers. Output: float32, (n, classes); without the top
    (n, rows / 32, columns / 32, 128).

    weights: "emoji" for those that ship with the course, a file like theirs, or None for random ones (He normal).
    classes: as many as the weights have, and 300 by default.

    Raises DataError where the file of weights is missing, damaged or another network's, ValueError where it has
    another number of classes.
    """
    path = WEIGHTS if weights == "emoji" else weights
    stored = _read(Path(path)) if path is not None else None
    if stored and include_top and classes not in (None, len(stored["classes"])):
        raise ValueError(
            f"{len(stored['classes'])} classes come with these weights: use include_top=False, or weights=None."
        )
    if classes is None:
        classes = len(stored["classes"]) if stored else 300

    x = inputs = keras.Input(input_shape)
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for i in range(1, convolutions + 1):
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                name=f"block{block}_conv{i}",
            )(x)
            x = layers.BatchNormalization(name=f"block{block}_bn{i}")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="average")(x)
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    model = keras.Model(inputs, x, name="slim_vgg16")

    if stored:
        _set_weights(model, stored, path)
    return model


def preprocess_input(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 255 as the network expects them: float32, from -1 to 1, the same shape."""
    return np.asarray(images, dtype="float32") / 127.5 - 1


def decode(predictions: np.ndarray, top: int = 5) -> list[tuple[str, float]]:
    """Names and probabilities of the top classes of one image, most likely first.

    predictions: (300,), or (1, 300) as `model.predict` gives it.
    """
    names = class_names()
    probabilities = np.squeeze(predictions)
    if probabilities.shape != (len(names),):
        raise ValueError(
            f"predictions of one image have the shape ({len(names)},), not {np.shape(predictions)}."
        )
    return [(names[i], float(probabilities[i])) for i in np.argsort(-probabilities, kind="stable")[:top]]


@cache
def class_names() -> tuple[str, ...]:
    """The names of the classes, in the order of the softmax layer. Raises DataError."""
    return tuple(str(name) for name in _read(WEIGHTS)["classes"])


def stored_form(model: keras.Model, names: list[str]) -> dict[str, np.ndarray]:
    """What a file of weights holds: "classes", the names, and for each weight "layer/weight", float16."""
    weights = {weight.path: keras.ops.convert_to_numpy(weight).astype("float16") for weight in model.weights}
    return {"classes": np.array(names), **weights}


def _set_weights(model: keras.Model, stored: dict[str, np.ndarray], path: str | Path) -> None:
    for weight in model.weights:
        array = stored.get(weight.path)
        if array is None or array.shape != tuple(weight.shape) or not np.isfinite(array).all():
            found = (
                "lacks it"
                if array is None
                else f"has {array.dtype} {array.shape}, or values that are no numbers"
            )
            raise DataError(
                f"{path}: {weight.path} should be of shape {tuple(weight.shape)}; the file {found}. "
                "These are another network's weights: restore the file (git checkout)."
            )
        weight.assign(array.astype("float32"))


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of weights; DataError where it is missing, damaged or something else."""
    stored = read_npz(path)
    if stored.get("classes", np.empty(0)).dtype.kind != "U":
        raise DataError(
            f"{path} has no names of classes: this is no file of slim_vgg16's weights. Restore it (git checkout)."
        )
    return stored
