"""Write SVHN's digitStruct.mat laid out as MATLAB lays it: HDF5 behind a block of 512 bytes.

The layout is that of the files that SVHN publishes, down to names, order and types of objects and attributes.
Two things are left out, so that a rerun gives the same bytes: objects carry no time of writing, and the date in
the header is fixed.
"""

import functools
import itertools
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5p, h5r, h5s, h5t, ref_dtype

USER_BLOCK = 512  # bytes
HEADER = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, Created on: Thu Jan  1 00:00:00 1970 HDF5 schema 1.00 ."
LETTERS = string.ascii_letters + "1234567890"  # the figures of MATLAB's names in #refs#
MOST_COMPACT = 64_000  # bytes; what HDF5 can store inside an object's header


class Box(NamedTuple):
    """One digit: pixels from the image's upper left corner; label 10 is the digit 0. The fields' order is MATLAB's."""

    height: float
    left: float
    top: float
    width: float
    label: float


def matlab_names() -> Iterator[bytes]:
    """The names of the objects in #refs#, in the order of their making: a, b, … Z, 1, … 0, ab, bb, …"""
    for number in itertools.count():
        name = LETTERS[number % len(LETTERS)]
        while number := number // len(LETTERS):
            name += LETTERS[number % len(LETTERS)]
        yield name.encode()


@functools.cache
def string_type(length: int) -> h5t.TypeStringID:
    """Text of a fixed length without room for a final zero, as MATLAB stores it."""
    kind = h5t.C_S1.copy()
    kind.set_size(length)
    return kind


class Writer:
    """The few kinds of objects that such a file consists of; h5py's low level, because there are many of each."""

    def __init__(self, file: h5f.FileID):
        self.root, self.refs = h5g.create(file, b"digitStruct"), h5g.create(file, b"#refs#")
        self.names = matlab_names()
        self.scalar, self.letter = h5s.create(h5s.SCALAR), h5t.vlen_create(string_type(1))
        self.layout = h5p.create(h5p.DATASET_CREATE)
        self.layout.set_obj_track_times(False)

    def attribute(self, owner, key: bytes, kind, value: np.ndarray) -> None:
        space = h5s.create_simple(value.shape) if value.ndim else self.scalar
        h5a.create(owner, key, kind, space).write(value, mtype=kind)

    def text(self, owner, key: bytes, value: bytes) -> None:
        self.attribute(owner, key, string_type(len(value)), np.array(value))

    def struct(self, owner, fields: Sequence[str]) -> None:
        """Mark a group as a struct. Each field's name is a list of letters; h5py would cut them off, so they are
        given as HDF5 wants them in memory: lengths and addresses."""
        self.text(owner, b"MATLAB_class", b"struct")
        letters = [np.frombuffer(field.encode(), np.uint8) for field in fields]
        pointers = [(len(field), field.ctypes.data) for field in letters]
        memory = np.array(pointers, dtype=[("length", np.uintp), ("address", np.uintp)])
        self.attribute(owner, b"MATLAB_fields", self.letter, memory)

    def array(self, owner, key: bytes, kind, values: np.ndarray) -> h5d.DatasetID:
        self.layout.set_layout(
            h5d.COMPACT if values.size * kind.get_size() < MOST_COMPACT else h5d.CONTIGUOUS
        )
        dataset = h5d.create(owner, key, kind, h5s.create_simple(values.shape), self.layout)
        dataset.write(h5s.ALL, h5s.ALL, values)
        return dataset

    def value(self, owner, key: bytes, path: bytes, kind, values, matlab_class: bytes) -> h5d.DatasetID:
        dataset = self.array(owner, key, kind, values)
        self.text(dataset, b"H5PATH", b"/#refs#/" + path)
        self.text(dataset, b"MATLAB_class", matlab_class)
        return dataset

    def references(self, owner, key: bytes, names: list[bytes]) -> None:
        """A column of references to objects in #refs#."""
        column = np.empty((len(names), 1), dtype=ref_dtype)
        column[:, 0] = [h5r.create(self.refs, name, h5r.OBJECT) for name in names]
        self.array(owner, key, h5t.STD_REF_OBJ, column)

    def number(self, owner, key: bytes, path: bytes, number: float) -> None:
        self.value(owner, key, path, h5t.IEEE_F64LE, np.array([[number]], dtype=float), b"double")

    def empty(self) -> None:
        """What MATLAB puts first: the array for every empty value."""
        dataset = self.array(self.refs, next(self.names), h5t.STD_U64LE, np.zeros(2, dtype=np.uint64))
        self.text(dataset, b"MATLAB_class", b"canonical empty")
        self.attribute(dataset, b"MATLAB_empty", h5t.STD_U8LE, np.array(1, dtype=np.uint8))

    def name(self, name: str) -> bytes:
        """A file's name, characters in a column; returns where it is."""
        key, letters = next(self.names), np.frombuffer(name.encode("utf-16-le"), "<u2")[:, None]
        dataset = self.value(self.refs, key, key, h5t.STD_U16LE, letters, b"char")
        self.attribute(dataset, b"MATLAB_int_decode", h5t.STD_I32LE, np.array(2, dtype=np.int32))
        return key

    def bbox(self, boxes: Sequence[Box]) -> bytes:
        """The boxes of an image: numbers where it has one digit, else references to numbers; returns where."""
        key = next(self.names)
        group = h5g.create(self.refs, key)
        self.text(group, b"H5PATH", b"/#refs#/" + key)
        self.struct(group, Box._fields)
        for field, values in zip(Box._fields, zip(*boxes, strict=True), strict=True):
            if len(values) == 1:
                self.number(group, field.encode(), key + key, values[0])
                continue
            places = [next(self.names) for _ in values]
            for place, value in zip(places, values, strict=True):
                self.number(self.refs, place, place, value)
            self.references(group, field.encode(), places)
        return key


def write_digit_struct(path: Path, names: Sequence[str], boxes: Sequence[Sequence[Box]]) -> None:
    """Write digitStruct.mat: the images' file names, and for each image the boxes of its digits, one or more."""
    if len(names) != len(boxes) or not all(boxes):
        raise ValueError("every image needs a name and at least one box")
    created = h5p.create(h5p.FILE_CREATE)
    created.set_userblock(USER_BLOCK)
    file = h5f.create(str(path).encode(), h5f.ACC_TRUNC, created)
    writer = Writer(file)
    writer.empty()
    places = {
        "name": [writer.name(name) for name in names],
        "bbox": [writer.bbox(digits) for digits in boxes],
    }
    writer.struct(writer.root, list(places))
    for field, where in places.items():
        writer.references(writer.root, field.encode(), where)
    file.close()
    with path.open("r+b") as block:  # the text, no subsystem, version 2.0, and the mark of the byte order
        block.write(HEADER.ljust(116) + bytes(8) + b"\x00\x02IM")
