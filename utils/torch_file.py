"""Reading PyTorch's old format of files (up to version 1.5) without PyTorch, and without running what they hold.

Such a file is five pickles in a row (a magic number, the version of the format, facts about the machine, the state
dictionary, the list of its storages), then each storage: its length in eight bytes and its numbers, all
little-endian. A pickle may name any function for the reader to call; this reader knows the five names that a state
dictionary takes and refuses every other.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from utils.storage import DataError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    dtype: np.dtype
    key: str
    size: int


class _Tensor(NamedTuple):
    """A tensor as the pickle describes it, before its numbers are read; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StateDict(OrderedDict):
    """PyTorch notes each module's version on it, as an attribute, which nobody here needs."""

    def __setstate__(self, state: Any) -> None:
        pass


def _rebuild_tensor(storage, offset, shape, strides, requires_grad, hooks) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


ALLOWED = {
    ("collections", "OrderedDict"): _StateDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no state dictionary needs")
        return ALLOWED[module, name]

    def persistent_load(self, description: Any) -> _Storage:
        kind, dtype, key, _device, size, view = description
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError(f"it holds {description!r} in the place of a storage")
        return _Storage(dtype, key, size)


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dictionary that `torch.save` wrote in the old format: float32 or int64, by name.

    Nothing in the file is run. Raises DataError where it is missing, cut short, of another format, or asks for
    anything but tensors.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file)
    except Exception as error:  # a damaged pickle fails in many ways
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise DataError(
            f"{path} cannot be read as a PyTorch state dictionary in the old format: {reason}. "
            "Nothing in it was run; install or fetch the file again."
        ) from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
        raise ValueError("it begins otherwise")
    if not _Unpickler(file).load()["little_endian"]:
        raise ValueError("its numbers are big-endian")
    tensors, keys = _Unpickler(file).load(), _Unpickler(file).load()
    described = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages = {}
    for key in keys:
        dtype, _, size = described[key]
        stored = int.from_bytes(file.read(8), "little")
        content = file.read(size * dtype.itemsize)
        if stored != size or len(content) != size * dtype.itemsize:
            raise ValueError("it ends too early")
        storages[key] = np.frombuffer(content, dtype)
    return {str(name): _strided(storages[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _strided(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor's numbers, in its own order of dimensions: PyTorch may store them in another."""
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.offset, *tensor.strides, 0) < 0 or last >= len(storage) or not all(tensor.shape):
        raise ValueError("a tensor lies outside its storage")
    steps = tuple(step * storage.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps).copy()
