"""Reading PyTorch's old format of files (up to version 1.5) without PyTorch, and without running what they hold.

Such a file is five pickles in a row (a magic number, the version of the format, facts about the machine, the state
dictionary, the list of its storages), then each storage: its length in eight bytes and its numbers, all
little-endian. A pickle may name any function for the reader to call; this reader knows the five names that a state
dictionary takes and refuses every other.
"""

import math
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
    size: int  # in elements


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


# A pickle may set attributes of whatever a name stands for. These two have none, where a class or a function has.
class _MakeStateDict:
    __slots__ = ()

    def __call__(self) -> _StateDict:
        return _StateDict()


class _RebuildTensor:
    __slots__ = ()

    def __call__(self, storage, offset, shape, strides, requires_grad, hooks) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor has no storage")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


ALLOWED = {
    ("collections", "OrderedDict"): _MakeStateDict(),
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    **{("torch", name): name for name in DTYPES},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no state dictionary needs")
        return ALLOWED[module, name]

    def persistent_load(self, description: Any) -> _Storage:
        match description:
            case ("storage", str(kind), str(key), _, int(size), None) if kind in DTYPES and size >= 0:
                return _Storage(DTYPES[kind], key, size)
        raise pickle.UnpicklingError("it holds something else in the place of a storage")


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dictionary that `torch.save` wrote in the old format: float32 or int64, by name.

    Nothing in the file is run, and the arrays take no more memory than the file. Raises DataError where it is missing,
    cut short, of another format, or asks for anything but tensors.
    """
    try:
        path = Path(path)
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except Exception as error:  # a damaged pickle fails in many ways
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise DataError(
            f"{path} cannot be read as a PyTorch state dictionary in the old format: {reason}. "
            "Nothing in it was run; install or fetch the file again."
        ) from error


def _read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    if file.peek(4)[:4] == b"PK\3\4":
        raise ValueError("it is a zip archive, as PyTorch writes since 1.6")
    if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != PROTOCOL:
        raise ValueError("it begins otherwise")
    if not _Unpickler(file).load()["little_endian"]:
        raise ValueError("its numbers are big-endian")
    tensors, keys = _Unpickler(file).load(), _Unpickler(file).load()
    described = _storages(tensors)
    if sorted(keys) != sorted(described):
        raise ValueError("its tensors have other storages than it lists")
    if sum(8 + storage.size * storage.dtype.itemsize for storage in described.values()) != size - file.tell():
        raise ValueError("it ends too early, or too late")
    storages = {}
    for key in keys:
        dtype, _, length = described[key]
        if int.from_bytes(file.read(8), "little") != length:
            raise ValueError("a storage is longer or shorter than its tensors say")
        storages[key] = np.frombuffer(file.read(length * dtype.itemsize), dtype)
    return {name: _strided(name, storages[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _storages(tensors: Any) -> dict[str, _Storage]:
    """The storages of the tensors, by key; ValueError where these are no tensors with names, or too large."""
    if not isinstance(tensors, dict):
        raise ValueError(f"it holds {type(tensors).__name__}, no dictionary")
    described: dict[str, _Storage] = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ValueError("its dictionary holds something other than tensors with names")
        if described.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise ValueError(f"{name} describes its storage otherwise than another tensor")
    used = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if used > sum(storage.size for storage in described.values()):
        raise ValueError("its tensors have more numbers than its storages")
    return described


def _strided(name: str, storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """The tensor's numbers, in its own order of dimensions: PyTorch may store them in another."""
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    if (
        min(tensor.offset, *tensor.strides, 0) < 0
        or min(tensor.shape, default=1) < 1
        or max(last + 1, math.prod(tensor.shape)) > len(storage)
    ):
        raise ValueError(f"{name} lies outside its storage")
    steps = tuple(step * storage.itemsize for step in tensor.strides)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps).copy()
