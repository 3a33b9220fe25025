"""House numbers: reading MATLAB's annotations, cropping, writing and finding, and everything that can be wrong."""

import errno
import io
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from course import FakeRun
from PIL import Image

from benchmarks.svhn_preprocessing import chapters_annotations
from sample import digit_struct_writer
from utils import storage, svhn
from utils.datasets import load_svhn
from utils.digit_struct import FIELDS, read_annotations, read_boxes
from utils.storage import ROOT, DataError, sha256_of, unpack
from utils.svhn import (
    crop,
    digits_of,
    ensure_dataset,
    facts_of,
    read_split,
    standardised,
    union_box,
    write_split,
)

# label, left, top, width, height; 10 is the digit 0
BOXES = [
    np.array([[1, 20, 10, 12, 30], [9, 33, 11, 14, 30]], float),
    np.array([[7, 5, 5, 10, 20]], float),
    np.array([[10, 4, 8, 8, 16], [2, 12, 8, 8, 16], [10, 20, 8, 8, 16]], float),
    np.array([[3, 4, 8, 8, 16], [5, 12, 8, 8, 16]], float),
]
NAMES = [f"{number}.png" for number in range(1, len(BOXES) + 1)]


def write_digit_struct(path: Path, names, boxes) -> None:
    """boxes: arrays in the order of FIELDS."""
    order = [FIELDS.index(field) for field in digit_struct_writer.Box._fields]
    digit_struct_writer.write_digit_struct(
        path, names, [[digit_struct_writer.Box(*row[order]) for row in box] for box in boxes]
    )


def picture(width=60, height=50, seed=0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype("uint8"))


def write_folder(folder: Path, boxes=BOXES, names=NAMES) -> Path:
    """A split as the publisher lays it out."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        picture(seed=seed).save(folder / Path(name).name)
    write_digit_struct(folder / "digitStruct.mat", names, boxes)
    return folder


def write_archive(path: Path, folder: Path, name="train") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=name)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_folder(tmp_path / "train")


@pytest.fixture
def course_data(course_data, tmp_path, monkeypatch) -> Path:
    """The same, a build folder of its own, and no server behind the publisher's address."""
    monkeypatch.setattr(svhn, "BUILD", tmp_path)
    nowhere = {split: replace(entry, url="http://127.0.0.1:9/x.tar.gz") for split, entry in svhn.SVHN.items()}
    monkeypatch.setattr(svhn, "SVHN", nowhere)
    return course_data


# Reading the annotations


def test_annotations(folder):
    table = read_annotations(folder / "digitStruct.mat")
    assert list(table.columns) == ["image", "file", "position", *FIELDS]
    assert table["file"].tolist() == ["1.png"] * 2 + ["2.png"] + ["3.png"] * 3 + ["4.png"] * 2
    assert table["position"].tolist() == [0, 1, 0, 0, 1, 2, 0, 1]
    np.testing.assert_array_equal(table[list(FIELDS)], np.concatenate(BOXES))


def test_low_level_reading_gives_what_h5py_gives(folder):
    path = folder / "digitStruct.mat"
    for (name, boxes), (expected_name, expected) in zip(
        read_boxes(path), chapters_annotations(path), strict=True
    ):
        assert name == expected_name
        np.testing.assert_array_equal(boxes, expected)


def test_several_processes_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.parallel.IMAGES_PER_JOB", 25)
    number = 60  # three jobs
    write_digit_struct(
        tmp_path / "digitStruct.mat", [f"{i}.png" for i in range(number)], BOXES * (number // 4)
    )
    one, two = (read_boxes(tmp_path / "digitStruct.mat", workers) for workers in (1, 2))
    assert [name for name, _ in one] == [name for name, _ in two] == [f"{i}.png" for i in range(number)]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, two, strict=True))


def test_no_annotations(tmp_path):
    with pytest.raises(DataError, match=r"digitStruct.mat cannot be read .*No such file"):
        read_annotations(tmp_path / "digitStruct.mat")


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1, 0.0])
def test_annotations_cut_short(folder, share):
    path = folder / "digitStruct.mat"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"digitStruct.mat cannot be read"):
        read_annotations(path)


def test_annotations_of_matlabs_older_format(tmp_path):
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128) + bytes(500))
    with pytest.raises(DataError, match=r"older format 5.0.*take the digitStruct.mat"):
        read_annotations(path)


def test_annotations_without_the_struct(tmp_path):
    path = tmp_path / "digitStruct.mat"
    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(DataError, match="cannot be read as SVHN's annotations"):
        read_annotations(path)


@pytest.mark.parametrize("shapes", [((3, 1), (2, 1)), ((0, 1), (0, 1)), ((1, 3), (1, 3))])
def test_annotations_of_another_shape(tmp_path, shapes):
    path = tmp_path / "digitStruct.mat"
    with h5py.File(path, "w") as file:
        for name, shape in zip(("name", "bbox"), shapes, strict=True):
            file.create_dataset(f"digitStruct/{name}", shape, h5py.ref_dtype)
    with pytest.raises(DataError, match=r"digitStruct holds .*expected names \(n, 1\)"):
        read_annotations(path)


def test_a_broken_annotation_is_named(folder):
    path = folder / "digitStruct.mat"
    with h5py.File(path, "r+") as file:
        del file[file["digitStruct/bbox"][2, 0]]["top"]
    with pytest.raises(DataError, match="annotation of image 3 cannot be read"):
        read_annotations(path)


def test_a_reference_to_nothing_is_named(folder):
    path = folder / "digitStruct.mat"
    with h5py.File(path, "r+") as file:
        file["digitStruct/name"][1, 0] = h5py.Reference()
    with pytest.raises(DataError, match="annotation of image 2 cannot be read"):
        read_annotations(path)


# Boxes, labels and greys


def test_union_box_by_hand():
    boxes = [[20, 10, 10, 30], [32, 12, 8, 30]]  # from 20, 10 to 40, 42: 20 wide, 32 high
    assert union_box(boxes, (100, 100)) == (18, 6, 42, 46)
    assert union_box(boxes, (100, 100), margin=0) == (20, 10, 40, 42)
    assert union_box(boxes, (41, 43)) == (18, 6, 41, 43)
    assert union_box([[-3, -4, 10, 10]], (100, 100)) == (0, 0, 8, 7)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([5, 5, 0, 10], "no size"), ([5, 5, 10, -1], "no size"), ([np.nan, 5, 10, 10], "no size"),
        ([100, 5, 10, 10], "outside"), ([5, 80, 10, 10], "outside"), ([-20, 5, 20, 10], "outside"),
    ],
)  # fmt: skip
def test_a_box_that_cannot_be(box, message):
    with pytest.raises(ValueError, match=message):
        union_box([[10, 10, 5, 5], box], (100, 80))


def test_digits_of():
    assert digits_of(np.array([1, 10, 3.0])) == [1, 0, 3, 10, 10]
    assert digits_of(np.array([0, 9])) == [0, 9, 10, 10, 10]


@pytest.mark.parametrize("labels", [[11], [-1], [1.5], [np.nan]])
def test_a_label_that_cannot_be(labels):
    with pytest.raises(ValueError, match="label outside 0 to 10"):
        digits_of(np.array(labels))


def test_more_than_five_digits():
    with pytest.raises(ValueError, match="more than 5 digits"):
        digits_of(np.ones(6))
    with pytest.raises(ValueError, match="no digits"):
        digits_of(np.ones(0))


def test_standardised():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype("uint8")
    images[1] = 77  # of one grey
    X = standardised(images)
    assert X.shape == (3, 8, 8, 1) and X.dtype == np.float32
    np.testing.assert_allclose(X[[0, 2]].mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(X[[0, 2]].std(axis=(1, 2, 3)), 1, atol=1e-5)
    assert not X[1].any()
    expected = images[0] @ [0.2989, 0.5870, 0.1140]
    np.testing.assert_allclose(X[0, ..., 0], (expected - expected.mean()) / expected.std(), atol=1e-5)


def test_crop_is_what_lies_in_the_box(tmp_path):
    pixels = np.zeros((40, 60, 3), "uint8")
    pixels[10:30, 20:40] = (250, 10, 120)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        crop(tmp_path / "a.png", [[20, 10, 20, 20]], side=8, margin=0), np.full((8, 8, 3), (250, 10, 120))
    )


# Writing a split


def test_write_and_read(folder, tmp_path):
    target = tmp_path / "new" / "train.h5"
    assert write_split(folder, target) == {}
    split = read_split(target)
    assert split["images"].shape == (4, 32, 32, 3) and split["images"].dtype == np.uint8
    assert split["X"].shape == (4, 32, 32, 1) and split["X"].dtype == np.float32
    np.testing.assert_array_equal(split["length"], [2, 1, 3, 2])
    np.testing.assert_array_equal(split["digits"][2], [0, 2, 0, 10, 10])
    assert split["file"].tolist() == NAMES
    np.testing.assert_array_equal(split["images"][1], crop(folder / "2.png", BOXES[1][:, 1:]))
    np.testing.assert_allclose(split["X"], standardised(split["images"]), atol=0.002)
    facts = facts_of(target)
    assert facts == {"annotated": 4, "kept": 4, "skipped": "0"}


def test_half_precision_is_rounded_rightly(tmp_path):
    names = [f"{i}.png" for i in range(60)]  # about 60,000 values, some just below a power of two
    folder = write_folder(tmp_path / "train", [np.array([[1, 0, 0, 60, 50]], float)] * 60, names)
    write_split(folder, tmp_path / "x.h5")
    split = read_split(tmp_path / "x.h5")
    expected = standardised(split["images"])
    just_below = np.abs(np.log2(np.abs(expected[expected != 0])) % 1 - 1) < 1e-4
    assert just_below.sum() > 3
    np.testing.assert_array_equal(split["X"], expected.astype("float16").astype("float32"))


def test_several_processes_write_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.parallel.IMAGES_PER_JOB", 25)
    number = 60  # three jobs
    names = [f"{i}.png" for i in range(number)]
    folder = write_folder(tmp_path / "train", (BOXES * number)[:number], names)
    (folder / "37.png").unlink()
    for workers in (1, 2):
        assert write_split(folder, tmp_path / f"{workers}.h5", workers=workers) == {
            "image missing": ["37.png"]
        }
    one, two = (read_split(tmp_path / f"{workers}.h5") for workers in (1, 2))
    assert len(one["length"]) == number - 1
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def broken_image(folder):
    (folder / "2.png").write_bytes(b"no image")


def image_cut_short(folder):
    content = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(content[: len(content) // 2])


def image_missing(folder):
    (folder / "2.png").unlink()


def image_is_a_folder(folder):
    (folder / "2.png").unlink()
    (folder / "2.png").mkdir()


def with_boxes(boxes):
    def change(folder):
        write_digit_struct(folder / "digitStruct.mat", NAMES, [BOXES[0], np.array(boxes, float), *BOXES[2:]])

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (broken_image, "image unreadable"),
        (image_cut_short, "image unreadable"),
        (image_missing, "image missing"),
        (image_is_a_folder, "image unreadable"),
        (with_boxes([[7, 90, 5, 10, 10]]), "box outside the image"),
        (with_boxes([[7, 5, 5, 0, 10]]), "box of no size"),
        (with_boxes([[11, 5, 5, 10, 10]]), "label outside 0 to 10"),
        (with_boxes([[d, 5 * d, 5, 5, 10] for d in range(1, 7)]), "more than 5 digits"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_counted(folder, tmp_path, change, reason):
    change(folder)
    assert write_split(folder, tmp_path / "x.h5") == {reason: ["2.png"]}
    assert facts_of(tmp_path / "x.h5")["skipped"] == f"1: {reason} (2.png)"
    assert read_split(tmp_path / "x.h5")["file"].tolist() == ["1.png", "3.png", "4.png"]


def test_a_name_that_climbs_out_is_not_followed(tmp_path):
    folder = write_folder(tmp_path / "train", names=["1.png", "../2.png", "3.png", "4.png"])
    (folder / "2.png").rename(tmp_path / "2.png")
    assert write_split(folder, tmp_path / "x.h5") == {"no plain file name": ["../2.png"]}


def test_long_lists_are_cut(folder, tmp_path):
    skipped = {"image missing": [f"{i}.png" for i in range(36)], "box of no size": ["x.png"]}
    assert svhn.describe_skipped(skipped) == (
        "37: box of no size (x.png), image missing (0.png, 1.png, 2.png and 33 more)"
    )


def test_no_usable_image_is_an_error(folder, tmp_path):
    for name in NAMES:
        (folder / name).unlink()
    with pytest.raises(DataError, match=r"no image can be used; skipped 4: image missing"):
        write_split(folder, tmp_path / "x.h5")
    assert not list(tmp_path.glob("*x.h5*"))


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_no_half_file(folder, tmp_path, monkeypatch, fault):
    target = tmp_path / "x.h5"
    write_split(folder, target)
    earlier = target.read_bytes()
    with monkeypatch.context() as patch:

        def failing(file, rows):
            file["length"].resize(2, axis=0)
            raise fault

        patch.setattr(svhn, "_append", failing)
        expected = DataError if isinstance(fault, OSError) else KeyboardInterrupt
        with pytest.raises(expected, match="No space left" if isinstance(fault, OSError) else None):
            write_split(folder, target)
    assert [path.name for path in tmp_path.glob("*x.h5*")] == ["x.h5"]
    assert target.read_bytes() == earlier
    write_split(folder, target)
    assert len(read_split(target)["length"]) == 4


# Unpacking


def test_unpack(folder, tmp_path):
    unpack(write_archive(tmp_path / "train.tar.gz", folder), tmp_path / "deep" / "raw", "train")
    assert sorted(path.name for path in (tmp_path / "deep" / "raw").iterdir()) == [*NAMES, "digitStruct.mat"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["raw"]


def climbing(name, link=""):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        else:
            member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return content.getvalue()


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, monkeypatch):
    """Zeros compress a thousandfold; images do not."""
    monkeypatch.setattr(storage, "SLACK", 1_000_000)
    archive = tmp_path / "train.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for number in range(1, 9):
            entry = tarfile.TarInfo(f"train/{number}.png")
            entry.size = 500_000
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    written = []
    extract = tarfile.TarFile.makefile

    def counted(self, entry, path):
        written.append(entry.size)
        return extract(self, entry, path)

    monkeypatch.setattr(tarfile.TarFile, "makefile", counted)
    with pytest.raises(DataError, match=r"train.tar.gz holds more than 1 MB.*publisher"):
        unpack(archive, tmp_path / "out" / "raw", "train")
    assert sum(written) <= 1_100_000
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (climbing("../../outside.png"), "not safe to unpack"),
        (climbing("train/link", "/etc/passwd"), "not safe to unpack"),
        (climbing("train/link", "../../.."), "not safe to unpack"),
        (climbing("test/1.png"), "holds no folder train"),
        (b"no archive", "damaged or no tar archive"),
        (b"", "damaged or no tar archive"),
    ],
    ids=["climbs", "a link outside", "a link that climbs", "another split", "no archive", "empty"],
)
def test_archives_that_are_not_unpacked(tmp_path, content, message):
    archive = tmp_path / "in" / "train.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(content)
    with pytest.raises(DataError, match=message):
        unpack(archive, tmp_path / "out" / "raw", "train")
    assert not list((tmp_path / "out").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("share", [0.9, 0.3])
def test_an_archive_cut_short(folder, tmp_path, share):
    archive = write_archive(tmp_path / "train.tar.gz", folder)
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    with pytest.raises(DataError, match="damaged or no tar archive"):
        unpack(archive, tmp_path / "out" / "raw", "train")
    assert not list((tmp_path / "out").iterdir())


# Finding, making once, loading


def test_from_the_readers_archives(course_data, folder, capsys):
    for split in ("train", "test"):
        write_archive(course_data / "svhn" / f"{split}.tar.gz", folder, split)
    (course_data / "dataset.json").write_text('{"svhn": "rendered numbers"}')
    run = FakeRun("full")
    train, test = load_svhn(run, side=16)
    assert train["X"].shape == test["X"].shape == (4, 16, 16, 1)
    assert capsys.readouterr().out == (
        "rendered numbers, train: kept 4 of 4 images, skipped 0\n"
        "rendered numbers, test: kept 4 of 4 images, skipped 0\n"
    )
    assert run.facts["name"] == "rendered numbers" and run.facts["n_train"] == 4
    assert len(run.facts["sha256"]) == 64 and run.facts["sha256"] != run.facts["sha256_test"]


def test_from_the_readers_folders_with_extra(course_data, capsys):
    for split in ("train", "test", "extra"):
        write_folder(course_data / "svhn" / split)
    (course_data / "svhn" / "extra" / "1.png").unlink()
    run = FakeRun("full")
    train, test = load_svhn(run, extra=True, partial=True)
    assert (len(train["length"]), len(test["length"])) == (7, 4)
    assert "extra: kept 3 of 4 images, skipped 1: image missing (1.png)" in capsys.readouterr().out
    assert run.facts["name"] == "svhn (the reader's own) with extra, extra: 3 of 4 images"


def large_split(course_data, split, missing):
    """A split of 20 images, so many of them missing."""
    names = [f"{i}.png" for i in range(1, 21)]
    folder = write_folder(course_data / "svhn" / split, BOXES * 5, names)
    for name in names[:missing]:
        (folder / name).unlink()


def test_a_few_missing_images_do_not_stop_it(course_data):
    for split, missing in {"train": 2, "test": 0}.items():
        large_split(course_data, split, missing)
    run = FakeRun("full")
    assert len(load_svhn(run)[0]["length"]) == 18
    assert run.facts["name"] == "svhn (the reader's own)"


def test_more_than_a_tenth_missing_stops_it_every_time(course_data):
    for split, missing in {"train": 3, "test": 0}.items():
        large_split(course_data, split, missing)
    run, message = FakeRun("full"), r"train: only 17 of 20 images .*image missing \(1.png.*PARTIAL = True"
    for _ in range(2):  # the second time the file is there
        with pytest.raises(DataError, match=message):
            load_svhn(run)
    assert len(load_svhn(run, partial=True)[0]["length"]) == 17
    assert run.facts["name"] == "svhn (the reader's own), train: 17 of 20 images"
    with pytest.raises(DataError, match=message):
        load_svhn(run)


def test_nothing_found(course_data):
    with pytest.raises(DataError) as caught:
        load_svhn(FakeRun("full"))
    message = str(caught.value)
    assert f"COURSE_DATA={course_data}: no svhn/train or svhn/train.tar.gz there" in message
    assert "download:" in message and "Two ways out" in message


def test_extra_is_not_downloaded_without_a_hash(course_data):
    for split in ("train", "test"):
        write_folder(course_data / "svhn" / split)
    with pytest.raises(DataError, match="no hash is published; fetch http"):
        load_svhn(FakeRun("full"), extra=True)


def test_an_archive_in_the_cache_must_be_the_published_one(course_data, folder, tmp_path):
    cached = write_archive(tmp_path / "keras" / "datasets" / "svhn_train.tar.gz", folder)
    with pytest.raises(DataError, match="is not the published file"):
        load_svhn(FakeRun("full"))
    assert cached.exists()


def test_made_once_and_again_when_something_changed(course_data, monkeypatch):
    source = write_folder(course_data / "svhn" / "train")
    made, run = [], FakeRun("full")
    monkeypatch.setattr(svhn, "write_split", lambda *args: made.append(args[2:4]) or write_split(*args))
    path, name, sha256 = ensure_dataset(run, "train")
    assert (name, sha256) == ("svhn (the reader's own)", sha256_of(source))
    assert ensure_dataset(run, "train").path == path and len(made) == 1
    assert ensure_dataset(run, "train", side=24).path != path and len(made) == 2
    assert ensure_dataset(run, "train", margin=0.2).path != path
    assert made[-1] == (32, 0.2) and len(made) == 3
    path.write_bytes(b"damaged")
    assert ensure_dataset(run, "train").path == path
    assert len(made) == 4 and len(read_split(path)["length"]) == 4
    monkeypatch.setattr(svhn, "FORMAT", -1)
    assert ensure_dataset(run, "train").path != path and len(made) == 5
    picture(seed=9).save(source / "1.png")
    other = ensure_dataset(run, "train").path
    assert other != path and len(made) == 6
    kept = sorted(file.name[: -len("-0123456789abcdef.h5")] for file in other.parent.glob("*.h5"))
    assert kept == ["train-24-0.1", "train-32-0.1", "train-32-0.2"]  # one each: the earlier ones are gone


def test_damage_within_the_file_is_noticed(folder, tmp_path):
    target = tmp_path / "x.h5"
    write_split(folder, target)
    with h5py.File(target) as file:
        place = file["X"].id.get_chunk_info(0)
    content = bytearray(target.read_bytes())
    content[place.byte_offset + 50] ^= 255
    target.write_bytes(content)
    with pytest.raises(DataError, match=r"x.h5 is missing or damaged .*delete it"):
        read_split(target)


@pytest.mark.parametrize(("scale", "split"), [("sample", "extra"), ("full", "validation")])
def test_unknown_splits(scale, split):
    with pytest.raises(DataError, match="There is no split"):
        svhn.raw_split(FakeRun(scale), split)


ASK = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from utils import storage, svhn
log, svhn.BUILD = Path(sys.argv[1]), Path(sys.argv[2])
original = svhn.write_split
def slow(*args):
    with log.open("a") as file:
        file.write("made\\n")
    time.sleep(1)
    return original(*args)
svhn.write_split = slow
print(len(svhn.read_split(svhn.ensure_dataset(SimpleNamespace(scale="full"), "train").path)["length"]))
"""


def test_two_who_ask_at_the_same_time_make_it_once(course_data, folder, tmp_path):
    write_archive(course_data / "svhn" / "train.tar.gz", folder)
    command = [sys.executable, "-c", ASK, str(tmp_path / "log"), str(tmp_path / "build")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    asking = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in asking] == ["4\n", "4\n"]
    assert (tmp_path / "log").read_text() == "made\n"


def test_a_maker_that_was_killed_does_not_block_the_next(course_data, folder, tmp_path):
    write_archive(course_data / "svhn" / "train.tar.gz", folder)
    log, build = tmp_path / "log", tmp_path / "build"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    patient = ASK.replace("sleep(1)", "sleep(600)")
    process = subprocess.Popen([sys.executable, "-c", patient, str(log), str(build)], env=environment)
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert log.exists() and not list(build.rglob("train-32-0.1-*.h5"))
    assert len(read_split(ensure_dataset(FakeRun("full"), "train").path)["length"]) == 4


def test_the_sample_comes_in_the_publishers_form(capsys):
    run = FakeRun("sample")
    train, test = load_svhn(run)
    assert capsys.readouterr().out.count("skipped 0") == 2
    for split in (train, test):
        assert split["X"].shape[1:] == (32, 32, 1) and set(np.unique(split["length"])) == {1, 2, 3, 4, 5}
        beyond = np.arange(5) >= split["length"][:, None]
        assert (split["digits"][beyond] == svhn.NO_DIGIT).all() and (split["digits"][~beyond] <= 9).all()
