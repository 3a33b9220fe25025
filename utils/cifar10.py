"""CIFAR-10 as its authors publish it: six pickled batches, in a folder or in the archive, read without trusting them.

A pickle is a program: loading one from a stranger can run any code. These are loaded by an unpickler that knows
the few names that arrays need and refuses all others.
"""

import io
import pickle
import tarfile
import zlib
from pathlib import Path

import numpy as np

from utils.published import Published
from utils.storage import DataError, bounded

TRAINING_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_BATCH = "test_batch"

CIFAR10 = Published(
    name="CIFAR-10",
    filename="cifar-10-python.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    cached="cifar-10-batches-py-target_archive",
    folder="cifar-10-batches-py",
    folder_md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)

# What a pickled array is made of: numpy's names before and since version 2, and how Python 3 writes bytes for Python 2.
_HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs: not loaded")
        return super().find_class(module, name)


def read_batches(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and labels of the training and test batches, from the folder or the .tar.gz at path.

    Returns {"train": (images, labels), "test": (images, labels)}: uint8, (n, 32, 32, 3) and (n,).
    Nothing is unpacked to disk. Raises DataError where a batch is missing, damaged or of another shape.
    """
    contents = _folder(path) if path.is_dir() else _archive(path)
    if missing := [name for name in (*TRAINING_BATCHES, TEST_BATCH) if name not in contents]:
        raise DataError(
            f"{path} lacks {', '.join(missing)}: CIFAR-10 (the Python version) has data_batch_1 to 5 and test_batch. "
            "Take it from the publisher again."
        )
    batches = {
        name: _read_batch(contents[name], f"{path}: {name}") for name in (*TRAINING_BATCHES, TEST_BATCH)
    }
    images, labels = zip(*(batches[name] for name in TRAINING_BATCHES), strict=True)
    return {"train": (np.concatenate(images), np.concatenate(labels)), "test": batches[TEST_BATCH]}


def _folder(path: Path) -> dict[str, bytes]:
    try:
        wanted = [path / name for name in (*TRAINING_BATCHES, TEST_BATCH)]
        return {file.name: file.read_bytes() for file in wanted if file.is_file()}
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read ({error.strerror}): check its permissions."
        ) from error


def _archive(path: Path) -> dict[str, bytes]:
    contents = {}
    try:
        with tarfile.open(path) as archive:
            for member in bounded(path, archive):
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                if member.isfile() and folder == CIFAR10.folder and name in (*TRAINING_BATCHES, TEST_BATCH):
                    contents[name] = archive.extractfile(member).read()
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as a .tar.gz archive ({error}). It is damaged or something else: replace it."
        ) from error
    return contents


def _read_batch(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # damaged pickles raise almost anything, as the module's documentation says
        raise DataError(
            f"{where} cannot be loaded: {error or type(error).__name__}. Replace the file."
        ) from error
    if not isinstance(batch, dict) or not {b"data", b"labels"} <= batch.keys():
        raise DataError(f"{where} is no batch of CIFAR-10: it holds no dictionary with data and labels.")
    data, labels = batch[b"data"], batch[b"labels"]
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (3072,)
        or not len(data)
    ):
        found = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{where}: the images are {found}; CIFAR-10's are uint8 (10000, 3072).")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{where}: the labels are no list of whole numbers.")
    if len(labels) != len(data):
        raise DataError(f"{where}: {len(labels)} labels for {len(data)} images.")
    if min(labels) < 0 or max(labels) > 9:
        wrong = min(labels) if min(labels) < 0 else max(labels)
        raise DataError(f"{where}: holds the label {wrong}; CIFAR-10's classes go from 0 to 9.")
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # stored colour by colour
    return images, np.array(labels, dtype="uint8")
