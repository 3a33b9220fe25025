"""Datasets: the bundled sample, or the real data from COURSE_DATA, Keras's cache or the publisher.

Every loader takes the notebook's `Run`, notes name and hash of what it loaded there, prints a banner that
says what it gave, and raises `DataError` where it cannot: it never falls back from real to sample data.
"""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from utils.run import Run

SAMPLE = Path(__file__).resolve().parent.parent / "data"

# Published by Keras; the hash is the one in keras.datasets.mnist.
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"

Split = tuple[np.ndarray, np.ndarray]


class DataError(RuntimeError):
    """A dataset is missing, damaged or not what it should be; the message says what to do."""


def load_mnist(run: Run) -> tuple[Split, Split]:
    """Handwritten digits: MNIST at full scale, scikit-learn's digits in MNIST's format in the sample.

    Returns (X_train, y_train), (X_test, y_test) as `keras.datasets.mnist.load_data` does: images uint8,
    (n, 28, 28), from 0 (paper) to 255 (ink); labels uint8, (n,), from 0 to 9. In the sample, training and
    test images are drawings of different originals, and the drawings of one original are neighbours.

    Raises DataError.
    """
    if run.scale == "sample":
        path, name = SAMPLE / "digits.npz", "sample digits"
    else:
        path, name = _find("mnist.npz", "MNIST", MNIST_URL, MNIST_SHA256)
    train, test = _read_mnist(path)
    run.note_data(name=name, sha256=_sha256(path), n_train=len(train[0]), n_test=len(test[0]))
    print(f"{name}: {len(train[0]):,} training and {len(test[0]):,} test images, 28 × 28")
    return train, test


def load_photo(path: str | Path | None = None) -> np.ndarray:
    """A photograph in grey: the one of a building that scikit-learn ships, or the reader's own.

    path: any image that Pillow reads; it is turned upright and reduced to 640 pixels at most; of an
    animation the first frame is taken. Returns float32, (rows, columns), from 0 (black) to 1 (white),
    with the weights 0.299, 0.587, 0.114 for red, green and blue (ITU-R BT.601).

    Raises DataError where the file is missing, no image, or smaller than 16 pixels.
    """
    if path is None:
        picture = Image.fromarray(load_sample_image("china.jpg"))
    else:
        try:
            with Image.open(Path(path).expanduser()) as file:
                picture = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{path} cannot be read as an image ({error}). Name a JPEG or PNG file."
            ) from error
        picture.thumbnail((640, 640))
        if min(picture.size) < 16:
            raise DataError(f"{path} is {picture.width} × {picture.height} pixels; use at least 16 × 16.")
    return np.asarray(picture.convert("L"), dtype="float32") / 255


def _read_mnist(path: Path) -> tuple[Split, Split]:
    """Read and check a file in the layout of Keras's mnist.npz."""
    keys = ("x_train", "y_train", "x_test", "y_test")
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("cut short, or no zip file at all")
        with np.load(path, allow_pickle=False) as archive:
            if missing := [key for key in keys if key not in archive]:
                raise DataError(
                    f"{path} lacks {', '.join(missing)}: this is not MNIST as Keras packs it (mnist.npz)."
                )
            arrays = {key: archive[key] for key in keys}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as an .npz archive ({error}). It is damaged or something else: replace it."
        ) from error
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        expected = {f"x_{split}": (len(images), 28, 28), f"y_{split}": (len(images),)} if images.ndim else {}
        for key in (f"x_{split}", f"y_{split}"):
            array = arrays[key]
            if array.dtype != np.uint8 or array.shape != expected.get(key) or not len(array):
                raise DataError(
                    f"{path}: {key} is {array.dtype} {array.shape}; MNIST's are uint8, images (n, 28, 28), "
                    "labels (n,), as many labels as images."
                )
        if labels.max() > 9:
            raise DataError(f"{path}: y_{split} holds the label {labels.max()}; digits go from 0 to 9.")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _find(filename: str, name: str, url: str, sha256: str) -> tuple[Path, str]:
    """Path and name of a published file: from COURSE_DATA, Keras's cache, or downloaded into that cache."""
    looked = []
    if folder := os.environ.get("COURSE_DATA"):
        path = Path(folder).expanduser() / filename
        try:
            next(path.parent.iterdir(), None)  # Path.exists alone cannot tell “unreadable” from “not there”
            found = path.exists()
        except OSError as error:
            raise DataError(
                f"COURSE_DATA={folder} cannot be read ({error.strerror}): name a folder that holds {filename}, or unset it."
            ) from error
        if found:
            return path, _given_name(path, name, sha256)
        looked.append(f"COURSE_DATA={folder}: no {filename} there")
    else:
        looked.append("COURSE_DATA: not set")

    cache = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    cached = cache / filename
    if not cached.exists():
        looked.append(f"Keras's cache: no {cached}")
    elif _sha256(cached) == sha256:
        return cached, name
    else:
        looked.append(f"Keras's cache: {cached} is not the published file (its hash differs)")

    try:
        cache.mkdir(parents=True, exist_ok=True)
        # What arrives is renamed into the cache only when it is whole and its hash is right.
        with tempfile.TemporaryDirectory(dir=cache, prefix="partial-") as partial:
            downloaded = keras.utils.get_file(
                filename, url, file_hash=sha256, cache_dir=partial, cache_subdir="."
            )
            Path(downloaded).replace(cached)
    except Exception as error:  # get_file raises plain Exception for a failed request
        looked.append(f"download: {error}")
    else:
        return cached, name

    where = "\n".join(f"  - {place}" for place in looked)
    raise DataError(
        f"{name} ({filename}) was not found.\nLooked in\n{where}\n"
        f"Two ways out: set COURSE_DATA to a folder that holds {filename}, "
        "or use the bundled sample (unset COURSE_SCALE)."
    )


def _given_name(path: Path, name: str, sha256: str) -> str:
    """What to call a file of the reader's own: published, as its folder's dataset.json says, or unverified."""
    if _sha256(path) == sha256:
        return name
    names = path.parent / "dataset.json"
    if not names.exists():
        return f"{path.name} (the reader's own)"
    try:
        given = json.loads(names.read_text(encoding="utf-8"))
        return str(given.get(path.name, f"{path.name} (the reader's own)"))
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            f'{names} is not a JSON object of names such as {{"{path.name}": "MNIST"}}: {error}'
        ) from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the file's permissions.") from error
