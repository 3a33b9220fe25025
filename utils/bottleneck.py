"""Bottleneck features: what a network makes of images, computed once and kept under build/features/."""

import os
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from filelock import FileLock
from tqdm import tqdm

from utils.networks import Network
from utils.storage import BUILD, DataError, sha256_of_array

FORMAT = 1  # of the files written; one of another format is made anew
# the name of an attribute of the file -> what is told where it differs
REASONS = {
    "format": "another format",
    "images": "other images",
    "weights": "other weights",
    "layer": "another layer",
    "shape": "another shape",
    "preprocessing": "other preprocessing",
}


def bottleneck_features(
    network: Network, images: np.ndarray, cache: str, layer: str | None = None, batch_size: int = 64
) -> np.ndarray:
    """The output of a network, or of one of its layers, for each image.

    images: uint8 or float, (n, h, w, 3), from 0 to 255; the network's own preprocessing is applied. cache: the name
    under which the features are kept, for example "05-sample-train"; each backend has a file of its own.
    layer: name of a layer, by default the network's output. Returns float32, (n, *shape of the layer's output).

    Features kept for other images, weights, layers or preprocessing, or in a damaged file, are made anew, and one
    line says why. Who asks while another process makes them waits.

    Raises ValueError for images of another shape, an unknown layer, or a cache that is no plain name; DataError where
    the file cannot be written.
    """
    if np.ndim(images) != 4 or np.shape(images)[3] != 3 or not len(images):
        raise ValueError(f"images have the shape (n, rows, columns, 3), not {np.shape(images)}.")
    if not cache or cache != Path(cache).name:
        raise ValueError(f"cache={cache!r} is no plain name, such as 'train'.")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} is no positive number.")
    model = network.model
    if layer:
        model = keras.Model(
            model.inputs, model.get_layer(layer).output
        )  # ValueError: no such layer, those there are
    wanted = {
        "format": FORMAT,
        "images": sha256_of_array(images),
        "weights": sha256_of_array(*(keras.ops.convert_to_numpy(weight) for weight in model.weights)),
        "layer": layer or "output",
        "shape": str((len(images), *model.compute_output_shape((1, *images.shape[1:]))[1:])),
        "preprocessing": _described(network),
    }
    target = BUILD / "features" / f"{cache}-{keras.backend.backend()}.h5"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            features, why_not = _read(target, wanted)
            if features is None:
                if why_not:
                    print(f"{target.name} is made anew: {why_not}")
                features = _extract(model, network, images, batch_size, title=cache)
                _write(target, features, wanted)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error}). Free some space, or mend its folder's permissions; "
            "then run this again."
        ) from error
    return features


def _described(network: Network) -> str:
    """What the preprocessing makes of one pixel."""
    pixel = np.array([0, 100, 255], "uint8")
    prepared = np.ravel(network.preprocess(pixel.reshape(1, 1, 1, 3)))
    return f"{pixel.tolist()} becomes {[round(float(value), 3) for value in prepared]}"


def _extract(
    model: keras.Model, network: Network, images: np.ndarray, batch_size: int, title: str
) -> np.ndarray:
    features = None
    batch_size = min(batch_size, len(images))
    bar = tqdm(total=len(images), desc=title, unit="image", file=sys.stdout, delay=3, leave=False, ncols=100)
    with bar:
        for start in range(0, len(images), batch_size):
            batch = network.preprocess(images[start : start + batch_size])
            number = len(batch)
            if number < batch_size:  # one size of batch, so that the network is compiled once
                batch = np.pad(batch, [(0, batch_size - number), (0, 0), (0, 0), (0, 0)])
            output = np.asarray(model.predict_on_batch(batch))[:number]
            if features is None:
                features = np.empty((len(images), *output.shape[1:]), "float32")
            features[start : start + number] = output
            bar.update(number)
    return features


def _read(path: Path, wanted: dict) -> tuple[np.ndarray | None, str]:
    """The features in a file, or None and why not ("" where there is no file)."""
    if not path.exists():
        return None, ""
    try:
        with h5py.File(path) as file:
            differing = [why for name, why in REASONS.items() if file.attrs.get(name) != wanted[name]]
            if differing:
                return None, ", ".join(differing)
            features = file["features"][()]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError):
        return None, "the file is damaged"
    if features.dtype != np.float32 or str(features.shape) != wanted["shape"]:
        return None, "the file is damaged"
    return features, ""


def _write(target: Path, features: np.ndarray, notes: dict) -> None:
    """Write the file complete or not at all."""
    partial = target.with_name(f"{target.name}.part{os.getpid()}")
    try:
        with h5py.File(partial, "w") as file:
            # with checksums, so that damage is noticed when it is read
            file.create_dataset("features", data=features, fletcher32=True)
            file.attrs.update(dtype="float32", **notes)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
