"""Files: written complete or not at all, and named after what they are made from."""

import json
import os
import subprocess
import sys

import h5py
import nbformat
import pytest
from nbclient import NotebookClient

from utils.storage import (
    ROOT,
    DataError,
    atomic,
    hdf5_file,
    kept_as,
    locked,
    remove_earlier,
    sha256_of,
    write_json,
    write_text,
)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_hidden_files_do_not_change_a_folders_hash(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    before = sha256_of(tmp_path)
    (tmp_path / ".DS_Store").write_text("what a file manager left")
    assert sha256_of(tmp_path) == before
    (tmp_path / "b.txt").write_text("b")
    assert sha256_of(tmp_path) != before


def test_atomic_replaces_the_file_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.npz"
    for content in ("first", "second"):
        with atomic(path) as partial:
            partial.write_text(content)
            assert partial.parent == path.parent and partial.suffix == ".npz"
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == content and names(path.parent) == ["a.npz"]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
@pytest.mark.parametrize("written", [True, False])
def test_after_an_exception_the_old_file_stays_and_nothing_else(tmp_path, fault, written):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(type(fault)) as caught, atomic(path) as partial:
        if written:
            partial.write_text("half")
        raise fault
    assert caught.value is fault
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_nothing_written_is_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic(path):
        pass
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_a_place_that_cannot_be_taken_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match=r"a\.txt"):
        write_text(tmp_path / "a.txt", "text")
    assert names(tmp_path) == ["a.txt"]


def test_two_processes_write_to_names_of_their_own(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    with atomic(path) as first:
        monkeypatch.setattr("os.getpid", lambda: 1)
        with atomic(path) as second:
            second.write_text("second")
        first.write_text("first")
    assert path.read_text() == "first"


def test_json_that_cannot_be_written_leaves_the_old(tmp_path):
    write_json(tmp_path / "a.json", {"é": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"é": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_kept_file_is_named_after_all_it_is_made_from(tmp_path):
    facts = {"images": "ab", "side": 32, "margin": 0.1}
    path = kept_as(tmp_path, "train-32", ".h5", **facts)
    assert path == kept_as(tmp_path, "train-32", ".h5", **dict(reversed(facts.items())))
    assert path.parent == tmp_path and path.name.startswith("train-32-") and path.suffix == ".h5"
    changed = [{"images": "ac"}, {"side": 33}, {"margin": 0.2}, {"format": 1}]
    others = {kept_as(tmp_path, "train-32", ".h5", **facts | change) for change in changed}
    assert len(others) == 4 and path not in others


def test_earlier_files_of_the_same_prefix_go_and_no_others(tmp_path):
    keep = [kept_as(tmp_path, prefix, ".h5", x=1) for prefix in ("train", "train-2", "2-train")]
    keep += [tmp_path / "train-notes.h5", tmp_path / "train.h5", tmp_path / "train.lock"]
    earlier = [kept_as(tmp_path, "train", ".h5", x=x) for x in (2, 3)]
    killed = tmp_path / f".{earlier[0].name}.part.77.h5"  # by a writer that was killed
    for path in [*keep, *earlier, killed]:
        path.write_text("x")
    remove_earlier(keep[0])
    assert names(tmp_path) == sorted(path.name for path in keep)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from utils.storage import hdf5_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # as on a disk that is full then
try:
    with hdf5_file(Path(sys.argv[1])) as file:
        file.create_dataset("features", data=np.ones((3_000, 32), "float32"), fletcher32=True)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files can be limited on Unix only")
def test_a_disk_that_fills_while_hdf5_is_written_does_not_end_the_process(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, tmp_path / "a.h5"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "File too large\n", "")
    assert names(tmp_path) == []


def test_an_hdf5_file_is_written_whole(tmp_path):
    with hdf5_file(tmp_path / "a.h5") as file:
        file["a"] = [1, 2, 3]
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file["a"]) == [1, 2, 3]
    with pytest.raises(ValueError, match="half"), hdf5_file(tmp_path / "a.h5") as file:
        file["b"] = [1]
        raise ValueError("half")
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == ["a"]


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "build").write_text("a file where the folder should be")
    with (
        pytest.raises(DataError, match=r"build cannot be written .*Free some space"),
        locked(tmp_path / "build" / "a"),
    ):
        pytest.fail("the lock is not held")
    full = OSError(28, "No space left on device")
    with pytest.raises(DataError, match="No space left on device"), locked(tmp_path / "other" / "a"):
        raise full
    with locked(tmp_path / "other" / "a"):  # it was released
        pass


@pytest.mark.parametrize(("setting", "shown"), [("", "DataError: MNIST was not found."), ("1", "Traceback")])
def test_jupyter_shows_the_message_of_our_errors_alone(setting, shown):
    cell = nbformat.v4.new_code_cell(
        "from utils.storage import DataError\nraise DataError('MNIST was not found.')"
    )
    client = NotebookClient(nbformat.v4.new_notebook(cells=[cell]), allow_errors=True, kernel_name="python3")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COURSE_TRACEBACK": setting}
    (output,) = client.execute(env=env).cells[0].outputs
    (traceback,) = output["traceback"][:1]
    assert traceback.startswith(shown)
    assert (len(output["traceback"]) == 1) == (not setting)
