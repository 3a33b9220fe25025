"""Reading CIFAR-10's pickled batches: from the folder and the archive, and everything that can be wrong with them."""

import io
import json
import pickle
import tarfile
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from course import FakeRun

from utils import datasets, storage
from utils.cifar10 import CIFAR10, TEST_BATCH, TRAINING_BATCHES, read_batches
from utils.datasets import CIFAR10_CLASSES, load_cifar10, load_cifar10_drawings
from utils.storage import DataError, sha256_of

BATCHES = (*TRAINING_BATCHES, TEST_BATCH)


def batch(n=4, seed=0) -> dict[bytes, object]:
    rng = np.random.default_rng(seed)
    labels = [int(label) for label in rng.integers(0, 10, n)]
    return {
        b"batch_label": b"a batch",
        b"labels": labels,
        b"data": rng.integers(0, 256, (n, 3072)).astype("uint8"),
    }


def write_folder(path: Path, **changed: bytes) -> Path:
    """A folder of six small batches; changed: content of single files."""
    path.mkdir(parents=True)
    for i, name in enumerate(BATCHES):
        path.joinpath(name).write_bytes(changed.get(name, pickle.dumps(batch(seed=i), protocol=2)))
    return path


def write_archive(path: Path, folder: Path, prefix: str = "") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=prefix + CIFAR10.folder)
    return path


@pytest.fixture
def course_data(course_data, monkeypatch):
    """The same, and no server behind the publisher's address."""
    monkeypatch.setattr(
        datasets, "CIFAR10", replace(CIFAR10, url="http://127.0.0.1:9/cifar-10-python.tar.gz")
    )
    return course_data


def test_sample(capsys):
    run = FakeRun("sample")
    (X_train, y_train), (X_test, y_test) = load_cifar10(run)
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert X.dtype == y.dtype == np.uint8
        assert X.shape == (len(y), 32, 32, 3)
        assert set(y) == set(range(len(CIFAR10_CLASSES)))
    assert run.facts["name"] == "sample scenes"
    assert "sample scenes" in capsys.readouterr().out


def test_scenes_of_a_drawing_have_its_number_and_photographs_their_own():
    (X_train, y_train), _ = load_cifar10(FakeRun("sample"))
    drawings = load_cifar10_drawings(FakeRun("sample"), len(X_train))
    assert drawings.shape == (len(X_train),)
    for drawing in np.unique(drawings):
        assert len(np.unique(y_train[drawings == drawing])) == 1
    assert not set(drawings[-130:]) & set(drawings[:-130]), "the last 130 have drawings of their own"
    assert load_cifar10_drawings(FakeRun("full"), 7).tolist() == list(range(7))


def test_images_are_put_together_colour_by_colour(tmp_path):
    first = np.arange(3072).reshape(3, 32, 32) % 251
    content = {b"labels": [7], b"data": first.reshape(1, -1).astype("uint8")}
    folder = write_folder(tmp_path / "c", data_batch_1=pickle.dumps(content))
    images, labels = read_batches(folder)["train"]
    assert images.shape == (17, 32, 32, 3)  # one, and four batches of four
    assert labels[0] == 7
    assert images[0, 5, 9].tolist() == first[:, 5, 9].tolist()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_way_in_which_arrays_are_pickled(tmp_path, protocol):
    content = pickle.dumps(batch(), protocol=protocol)
    folder = write_folder(tmp_path / "c", data_batch_1=content)
    assert len(read_batches(folder)["train"][0]) == 20


def test_python_2_pickle(tmp_path):
    # as the published batches are written: protocol 2, numpy 1's module names, byte strings
    content = pickle.dumps(batch(), protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    folder = write_folder(tmp_path / "c", data_batch_1=content)
    assert len(read_batches(folder)["train"][0]) == 20


@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive_and_folder_hold_the_same(tmp_path, prefix):
    folder = write_folder(tmp_path / "c")
    archive = write_archive(tmp_path / "c.tar.gz", folder, prefix)
    for part, arrays in read_batches(folder).items():
        for ours, theirs in zip(arrays, read_batches(archive)[part], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "c.tar.gz"]  # nothing is unpacked


def test_course_data_names_the_copy(course_data, capsys):
    folder = write_folder(course_data / CIFAR10.folder)
    course_data.joinpath("dataset.json").write_text(json.dumps({CIFAR10.folder: "CIFAR-10 (a copy)"}))
    run = FakeRun("full")
    (X_train, _), (X_test, _) = load_cifar10(run)
    assert (len(X_train), len(X_test)) == (20, 4)
    assert run.facts["name"] == "CIFAR-10 (a copy)"
    assert run.facts["sha256"] == sha256_of(folder)
    assert "CIFAR-10 (a copy): 20 training and 4 test images" in capsys.readouterr().out


def test_the_published_folder_is_recognised(course_data, monkeypatch):
    folder = write_folder(course_data / CIFAR10.folder)
    hashes = {name: md5(folder.joinpath(name).read_bytes()).hexdigest() for name in BATCHES}
    monkeypatch.setattr(datasets, "CIFAR10", replace(CIFAR10, folder_md5=hashes))
    run = FakeRun("full")
    load_cifar10(run)
    assert run.facts["name"] == "CIFAR-10"
    folder.joinpath("test_batch").write_bytes(pickle.dumps(batch(seed=9), protocol=2))
    load_cifar10(run)
    assert run.facts["name"] == "cifar-10-batches-py (the reader's own)"


def test_the_hash_of_a_folder_is_that_of_sha256sum(tmp_path):
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    # printf 1 > a; printf 2 > b; sha256sum * | sha256sum
    expected = "68c2919f4305e50800082ab7f11eb17d96c7832f59154e97b1d373a5179a63ea"
    assert sha256_of(tmp_path) == expected


def test_the_archive_in_course_data(course_data, tmp_path):
    write_archive(course_data / CIFAR10.filename, write_folder(tmp_path / "c"))
    run = FakeRun("full")
    load_cifar10(run)
    assert run.facts["name"] == "cifar-10-python.tar.gz (the reader's own)"


def test_the_archive_that_keras_keeps(course_data, tmp_path, monkeypatch):
    cache = tmp_path / "keras" / "datasets"
    cache.mkdir(parents=True)
    archive = write_archive(cache / CIFAR10.cached, write_folder(tmp_path / "c"))
    monkeypatch.setattr(datasets, "CIFAR10", replace(CIFAR10, sha256=sha256_of(archive)))
    run = FakeRun("full")
    load_cifar10(run)
    assert run.facts["name"] == "CIFAR-10"


def test_nothing_anywhere(course_data):
    with pytest.raises(DataError) as caught:
        load_cifar10(FakeRun("full"))
    for part in (
        "CIFAR-10 (cifar-10-batches-py or cifar-10-python.tar.gz) was not found",
        "no cifar-10-batches-py or",
        "Two ways out",
    ):
        assert part in str(caught.value)


def test_a_missing_batch(tmp_path):
    folder = write_folder(tmp_path / "c")
    folder.joinpath("data_batch_3").unlink()
    archive = write_archive(tmp_path / "c.tar.gz", folder)
    for path in (folder, archive):
        with pytest.raises(DataError, match=r"lacks data_batch_3: CIFAR-10"):
            read_batches(path)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1], ids=str)
def test_a_truncated_batch(tmp_path, kept):
    whole = pickle.dumps(batch(), protocol=2)
    content = whole[: int(len(whole) * kept) if isinstance(kept, float) else kept]
    folder = write_folder(tmp_path / "c", data_batch_2=content)
    with pytest.raises(DataError, match=r"data_batch_2 cannot be loaded"):
        read_batches(folder)


def test_a_truncated_archive(tmp_path):
    archive = write_archive(tmp_path / "c.tar.gz", write_folder(tmp_path / "c"))
    archive.write_bytes(archive.read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"c\.tar\.gz cannot be read as a \.tar\.gz archive"):
        read_batches(archive)


@pytest.mark.parametrize("content", [b"", b"<!doctype html>"], ids=["empty", "html"])
def test_no_archive(tmp_path, content):
    path = tmp_path / "c.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as a \.tar\.gz archive|lacks data_batch_1"):
        read_batches(path)


def test_an_archive_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SLACK", 1_000_000)
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(f"{CIFAR10.folder}/data_batch_1")
        member.size = 3_000_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(DataError, match=r"c\.tar\.gz holds more than 1 MB"):
        read_batches(tmp_path / "c.tar.gz")


def test_an_archive_that_climbs_out(tmp_path):
    content = pickle.dumps(batch(), protocol=2)
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        for name in BATCHES:
            member = tarfile.TarInfo(f"{CIFAR10.folder}/{name}")
            if name == "data_batch_1":
                member = tarfile.TarInfo("../../outside")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match="lacks data_batch_1"):
        read_batches(tmp_path / "c.tar.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["c.tar.gz"]


class Harmful:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("hidden", [False, True], ids=["at the top", "inside the labels"])
def test_a_pickle_that_runs_code_is_never_loaded(tmp_path, hidden):
    victim = tmp_path / "victim"
    harmful = batch() | {b"labels": [Harmful(victim)]} if hidden else Harmful(victim)
    folder = write_folder(tmp_path / "c", test_batch=pickle.dumps(harmful))
    with pytest.raises(DataError, match=r"test_batch cannot be loaded: it asks for pathlib.*not loaded"):
        read_batches(folder)
    assert not victim.exists()
    pickle.loads(pickle.dumps(harmful))  # which would have
    assert victim.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({b"data": np.zeros((4, 3071), "uint8")}, r"the images are uint8 \(4, 3071\)"),
        ({b"data": np.zeros((4, 32, 32, 3), "uint8")}, r"the images are uint8 \(4, 32, 32, 3\)"),
        ({b"data": np.zeros((4, 3072))}, r"the images are float64"),
        ({b"data": np.zeros((0, 3072), "uint8"), b"labels": []}, r"the images are uint8 \(0, 3072\)"),
        ({b"data": np.array(1, "uint8")}, r"the images are uint8 \(\)"),
        ({b"data": [0] * 3072}, "the images are list"),
        ({b"labels": [0, 1, 2]}, "3 labels for 4 images"),
        ({b"labels": [0, 1, 2, 10]}, "holds the label 10; CIFAR-10's classes go from 0 to 9"),
        ({b"labels": [0, 1, 2, -1]}, "holds the label -1"),
        ({b"labels": [0, 1, 2, 3.5]}, "the labels are no list of whole numbers"),
        ({b"labels": "0123"}, "the labels are no list of whole numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_content(tmp_path, changed, message):
    folder = write_folder(tmp_path / "c", data_batch_5=pickle.dumps(batch() | changed))
    with pytest.raises(DataError, match=f"data_batch_5.*{message}"):
        read_batches(folder)


@pytest.mark.parametrize("content", [[], {"data": 1}, None], ids=["list", "text keys", "nothing"])
def test_no_batch(tmp_path, content):
    folder = write_folder(tmp_path / "c", data_batch_5=pickle.dumps(content))
    with pytest.raises(DataError, match="data_batch_5 is no batch of CIFAR-10"):
        read_batches(folder)
