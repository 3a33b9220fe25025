"""State dictionaries for tests, laid out as `torch.save` wrote them up to PyTorch 1.5; no PyTorch is needed."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {"float32": "FloatStorage", "int64": "LongStorage"}


class Name:
    """Pickled as the bare name of something in a module, which need not exist."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def __call__(self):
        raise NotImplementedError("pickle asks for something callable, and does not call it")


class Storage:
    """What numbers are stored in. kind, size: what the tensors say of it, where that is to be wrong."""

    def __init__(self, numbers: np.ndarray, kind: str = "", size: int | None = None):
        self.numbers = np.ascontiguousarray(numbers).ravel()
        self.kind = kind or KINDS[str(numbers.dtype)]
        self.size = len(self.numbers) if size is None else size


class Tensor:
    """A view of a storage; offset and strides count elements, as PyTorch's do."""

    def __init__(self, storage: Storage, shape: tuple, strides: tuple, offset: int = 0):
        self.storage, self.shape, self.strides, self.offset = storage, shape, strides, offset

    def __reduce__(self):
        hooks = OrderedDict()
        view = (self.storage, self.offset, self.shape, self.strides, False, hooks)
        return Name("torch._utils", "_rebuild_tensor_v2"), view


class Call:
    """Pickled as the call of something in a module; where a state is given, it is then set on the result."""

    def __init__(self, name: Name, *arguments: Any, state: Any = None):
        self.name, self.arguments, self.state = name, arguments, state

    def __reduce__(self):
        return self.name, self.arguments, self.state


class _Pickler(pickle._Pickler):  # the one in Python, which can be told how to write a name
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.keys: dict[Storage, str] = {}

    def save_name(self, name: Name) -> None:
        self.write(pickle.GLOBAL + f"{name.module}\n{name.name}\n".encode())

    dispatch = pickle._Pickler.dispatch | {Name: save_name}

    def persistent_id(self, item: Any) -> tuple | None:
        if not isinstance(item, Storage):
            return None
        key = self.keys.setdefault(item, str(94_000_000 + len(self.keys)))
        return ("storage", Name("torch", item.kind), key, "cpu", item.size, None)


def pickled(content: Any) -> tuple[bytes, dict[Storage, str]]:
    """A pickle of protocol 2, and the key of each storage in it."""
    pickler = _Pickler(stream := io.BytesIO())
    pickler.dump(content)
    return stream.getvalue(), pickler.keys


def contiguous(array: np.ndarray) -> Tensor:
    strides = tuple(stride // array.itemsize for stride in array.copy(order="C").strides)
    return Tensor(Storage(array), array.shape, strides)


def parts_of_file(tensors: Any, **facts: Any) -> list[bytes]:
    """The five pickles and the storages of a file. tensors: arrays or Tensors by name, or anything else to pickle."""
    if isinstance(tensors, dict):
        described = OrderedDict()
        for name, item in tensors.items():
            described[name] = contiguous(item) if isinstance(item, np.ndarray) else item
        described._metadata = OrderedDict([("", {"version": 1})])  # as PyTorch notes it
        tensors = described
    state, keys = pickled(tensors)
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}} | facts
    order = sorted(keys.items(), key=lambda item: item[1])
    return [
        pickled(0x1950A86A20F9469CFC6C)[0],
        pickled(1001)[0],
        pickled(facts)[0],
        state,
        pickled([key for _, key in order])[0],
        *(len(stored.numbers).to_bytes(8, "little") + stored.numbers.tobytes() for stored, _ in order),
    ]


def state_dict_file(path: Path, tensors: Any, **facts: Any) -> Path:
    """Write such a file."""
    path.write_bytes(b"".join(parts_of_file(tensors, **facts)))
    return path
