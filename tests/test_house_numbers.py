"""The bundled house numbers: drawn again alike, fonts kept apart, and a digitStruct.mat as MATLAB writes it."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from sample import house_numbers as hn
from sample.digit_struct_writer import Box, matlab_names, write_digit_struct
from utils.digit_struct import FIELDS, number_of_images, read_range
from utils.storage import SAMPLE

FEW = 40  # images drawn again
READ = 600  # images of a split whose boxes are read: all of the test images


def names_and_boxes(path: Path) -> tuple[list[str], list[list[Box]]]:
    """What a digitStruct.mat says of its first READ images; `test_svhn.py` holds its reader against a plain one."""
    found = read_range(path, 0, min(READ, number_of_images(path)))
    names, arrays = zip(*found, strict=True)
    return list(names), [[Box(**dict(zip(FIELDS, row, strict=True))) for row in rows] for rows in arrays]


@pytest.fixture(scope="module")
def bundled(tmp_path_factory) -> dict[str, tuple[dict[str, bytes], list[list[Box]]]]:
    """Split -> files of its archive by name, and boxes."""
    found = {}
    for split, n in hn.BUNDLED.items():
        with tarfile.open(SAMPLE / "svhn" / f"{split}.tar.gz") as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}
        path = tmp_path_factory.mktemp(split) / "digitStruct.mat"
        path.write_bytes(files[f"{split}/{path.name}"])
        names, boxes = names_and_boxes(path)
        everything = [f"{i}.png" for i in range(1, n + 1)]
        assert names == everything[:READ]
        assert list(files) == [f"{split}/{name}" for name in [*everything, "digitStruct.mat"]]
        found[split] = files, boxes
    return found


@pytest.mark.parametrize("split", hn.BUNDLED)
def test_a_rerun_draws_the_same_images(bundled, split):
    """On another processor, or with another Pillow, a pixel may get the neighbouring colour of the palette."""
    files, boxes = bundled[split]
    for i, (image, drawn) in enumerate(hn.house_numbers(split, FEW, hn.BUNDLED_SEED)):
        assert drawn == boxes[i]
        stored = np.asarray(Image.open(io.BytesIO(files[f"{split}/{i + 1}.png"])).convert("RGB"), dtype=float)
        again = np.asarray(hn.with_palette(image).convert("RGB"))
        assert stored.shape == again.shape == image.shape
        assert np.abs(stored - again).mean() < 2, f"{i + 1}.png"


def test_boxes_lie_inside_their_images(bundled):
    for split, (files, boxes) in bundled.items():
        for i, digits in enumerate(boxes, 1):
            width, height = Image.open(io.BytesIO(files[f"{split}/{i}.png"])).size
            for box in digits:
                assert 0 <= box.left < box.left + box.width <= width, (split, i)
                assert 0 <= box.top < box.top + box.height <= height, (split, i)
            assert len({box.height for box in digits}) == 1
            assert hn.HEIGHTS[0] <= digits[0].height
            assert {box.label for box in digits} <= set(range(1, 11))


def test_lengths_and_labels_mix(bundled):
    for split, (_, boxes) in bundled.items():
        lengths = np.bincount([len(digits) for digits in boxes], minlength=6)[1:] / len(boxes)
        assert len(lengths) == 5
        allowed = 4 * np.sqrt(np.array(hn.LENGTHS) / len(boxes))  # four standard errors, and a little more
        assert (np.abs(lengths - hn.LENGTHS) < allowed).all(), split
        labels = np.bincount([int(box.label) for digits in boxes for box in digits])
        assert labels[0] == 0
        assert labels[1:].min() > 0.04 * labels.sum()


def test_no_font_is_in_two_parts():
    index = json.loads((SAMPLE / "numerals.json").read_text(encoding="utf-8"))
    families = {part: {entry["font"] for entry in index if entry["part"] == part} for part in hn.BUNDLED}
    assert len(families["train"]) + len(families["test"]) == len(index)
    assert not families["train"] & families["test"]
    assert not {family.split()[0] for family in families["train"]} & {f.split()[0] for f in families["test"]}
    assert {entry["licence"] for entry in index} == {"OFL-1.1", "Apache-2.0"}
    assert Image.open(SAMPLE / "numerals.png").size == (10 * hn.SIDE, len(index) * hn.SIDE)
    glyphs = {part: {g.tobytes() for font in hn.fonts(part) for g in font.glyphs} for part in hn.BUNDLED}
    assert not glyphs["train"] & glyphs["test"]


def attributes(item) -> dict[str, tuple]:
    """Name -> type and value, in the file's order."""
    found = {}
    for i in range(len(item.attrs)):
        attribute = h5py.h5a.open(item.id, index=i)
        kind, name = attribute.get_type(), attribute.name.decode()
        if isinstance(kind, h5py.h5t.TypeVlenID):
            letter = kind.get_super()
            assert (letter.get_size(), letter.get_strpad()) == (1, h5py.h5t.STR_NULLTERM)
            found[name] = ("letters", [b"".join(word).decode() for word in item.attrs[name]])
        elif isinstance(kind, h5py.h5t.TypeStringID):
            assert kind.get_strpad() == h5py.h5t.STR_NULLTERM
            assert kind.get_size() == len(item.attrs[name])
            found[name] = ("text", item.attrs[name].decode())
        else:
            found[name] = (kind.dtype.name, int(item.attrs[name]))
    return found


def test_digit_struct_is_laid_out_as_matlab_lays_it(tmp_path):
    """The facts are those of the digitStruct.mat that SVHN publishes."""
    path = tmp_path / "digitStruct.mat"
    two = [Box(219, 246, 77, 81, 1), Box(219, 323, 81, 96, 10)]
    write_digit_struct(path, ["1.png", "12.png"], [two, [Box(30.5, -1, 2, 14, 5)]])
    content = path.read_bytes()
    assert content[:20] == b"MATLAB 7.3 MAT-file,"
    assert content[:124].rstrip(b"\0").endswith(b" HDF5 schema 1.00 .                     ")
    assert content[124:512] == b"\x00\x02IM".ljust(388, b"\0")
    assert content[512:520] == b"\x89HDF\r\n\x1a\n"
    assert names_and_boxes(path) == (["1.png", "12.png"], [two, [Box(30.5, -1, 2, 14, 5)]])

    with h5py.File(path) as file:
        assert set(file) == {"#refs#", "digitStruct"}
        refs, struct = file["#refs#"], file["digitStruct"]
        # a: the empty value; b, c: names; d: a struct and its ten numbers, e to n; o: a struct with numbers inside
        assert set(refs) == set("abcdefghijklmno")
        assert attributes(file) == attributes(refs) == {}
        assert attributes(struct) == {
            "MATLAB_class": ("text", "struct"),
            "MATLAB_fields": ("letters", ["name", "bbox"]),
        }
        assert attributes(refs["a"]) == {
            "MATLAB_class": ("text", "canonical empty"),
            "MATLAB_empty": ("uint8", 1),
        }
        assert (refs["a"].dtype, refs["a"].shape) == (np.uint64, (2,))
        for field, expected in {"name": "bc", "bbox": "do"}.items():
            assert attributes(struct[field]) == {}
            assert struct[field].shape == (2, 1)
            assert [file[reference].name for reference in struct[field][:, 0]] == [
                f"/#refs#/{x}" for x in expected
            ]
        for key, length in {"b": 5, "c": 6}.items():
            assert attributes(refs[key]) == {
                "H5PATH": ("text", f"/#refs#/{key}"),
                "MATLAB_class": ("text", "char"),
                "MATLAB_int_decode": ("int32", 2),
            }
            assert (refs[key].dtype, refs[key].shape) == (np.uint16, (length, 1))
        for key in "do":
            assert attributes(refs[key]) == {
                "H5PATH": ("text", f"/#refs#/{key}"),
                "MATLAB_class": ("text", "struct"),
                "MATLAB_fields": ("letters", ["height", "left", "top", "width", "label"]),
            }
            assert set(refs[key]) == set(Box._fields)
        for field, keys in zip(Box._fields, ["ef", "gh", "ij", "kl", "mn"], strict=True):
            column = refs["d"][field]
            assert attributes(column) == {}
            assert h5py.check_ref_dtype(column.dtype) is h5py.Reference
            assert [file[reference].name for reference in column[:, 0]] == [f"/#refs#/{key}" for key in keys]
            numbers = [(refs[key], key) for key in keys] + [
                (refs["o"][field], "oo")
            ]  # MATLAB repeats the name
            for number, name in numbers:
                assert attributes(number) == {
                    "H5PATH": ("text", f"/#refs#/{name}"),
                    "MATLAB_class": ("text", "double"),
                }
                assert (number.dtype, number.shape) == (np.float64, (1, 1))
                assert number.id.get_create_plist().get_layout() == h5py.h5d.COMPACT


def test_objects_are_named_in_matlabs_order():
    names = matlab_names()
    first = [next(names).decode() for _ in range(64)]
    assert "".join(first[:62]) == "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890"
    assert first[62:] == ["ab", "bb"]


def test_a_digit_struct_needs_boxes(tmp_path):
    with pytest.raises(ValueError, match="at least one box"):
        write_digit_struct(tmp_path / "digitStruct.mat", ["1.png"], [[]])


def test_an_archive_is_the_same_bytes_again(tmp_path):
    for name in ("first", "second"):
        hn.write_split(tmp_path / name / "test.tar.gz", "test", 6, seed=1)
    first, second = ((tmp_path / name / "test.tar.gz").read_bytes() for name in ("first", "second"))
    assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest()
    assert first[4:8] == bytes(4)  # the time in gzip's header
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        assert {(member.mtime, member.uid, member.uname) for member in archive} == {(0, 0, "")}


def test_a_failed_write_leaves_the_old_archive(tmp_path, monkeypatch):
    path = tmp_path / "test.tar.gz"
    path.write_bytes(b"old")

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hn, "write_digit_struct", full_disk)
    with pytest.raises(OSError, match="No space left"):
        hn.write_split(path, "test", 1, seed=1)
    assert path.read_bytes() == b"old"
