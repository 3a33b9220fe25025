"""Bottleneck features: what a network makes of images, computed once and kept under build/features/."""

import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from tqdm import tqdm

from utils.networks import Network
from utils.storage import BUILD, hdf5_file, kept_as, locked, remove_earlier, sha256_of_array

FORMAT = 1  # of the files written; those of another one have other names


def bottleneck_features(
    network: Network, images: np.ndarray, cache: str, layer: str | None = None, batch_size: int = 16
) -> np.ndarray:
    """The output of a network, or of one of its layers, for each image.

    images: uint8 or float, (n, h, w, 3), from 0 to 255; the network's own preprocessing is applied. cache: the name
    under which the features are kept, for example "05-sample-train"; each backend has files of its own.
    layer: name of a layer, by default the network's output. Returns float32, (n, *shape of the layer's output).

    The file's name goes on with the hash of images, weights, the layers that have none, layer and preprocessing, so
    that features of anything else are never taken for these; they take the place of those kept under this cache
    before. A damaged file is made anew, and one line says so. Who asks while another process makes them waits.

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
    shape = (len(images), *model.compute_output_shape((1, *images.shape[1:]))[1:])
    folder, prefix = BUILD / "features", f"{cache}-{keras.backend.backend()}"
    target = kept_as(
        folder, prefix, ".h5",
        format=FORMAT,
        images=sha256_of_array(images),
        weights=sha256_of_array(*(keras.ops.convert_to_numpy(weight) for weight in model.weights)),
        layer=layer or "output",
        shape=str(shape),
        layers=str(_without_weights(model)),
        preprocessing=_described(network),
    )  # fmt: skip
    with locked(folder / prefix):
        features = _read(target, shape)
        if features is None:
            if target.exists():
                print(f"{target.name} is damaged: it is made anew.")
            features = _extract(model, network, images, batch_size, title=cache)
            with hdf5_file(target) as file:
                # with checksums, so that damage is noticed when it is read
                file.create_dataset("features", data=features, fletcher32=True)
            remove_earlier(target)
    return features


def _without_weights(model: keras.Model) -> list[tuple[str, dict]]:
    """The layers without weights, such as resizing, and their settings that say what they give."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += _without_weights(layer)
        elif not layer.weights:
            settings = layer.get_config()
            for key in ("name", "dtype", "trainable"):  # names count the models
                settings.pop(key, None)
            found.append((type(layer).__name__, settings))
    return found


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


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The features in a file; None where there is no file, or a damaged one."""
    try:
        with h5py.File(path) as file:
            features = file["features"][()]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError):
        return None
    return features if features.dtype == np.float32 and features.shape == shape else None
