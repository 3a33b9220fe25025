"""Loading: the sample, the three places for real data, and everything that can be wrong with a file."""

import hashlib
import http.server
import io
import json
import os
import re
import shutil
import socket
import threading
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from course import FakeRun
from PIL import Image

from utils import datasets, storage
from utils import published as published_files
from utils.datasets import load_mnist, load_photo
from utils.storage import DataError, sha256_of


def arrays(n_train=40, n_test=10) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"train": n_train, "test": n_test}
    images = {f"x_{s}": rng.integers(0, 256, (n, 28, 28)).astype("uint8") for s, n in sizes.items()}
    return images | {f"y_{s}": (np.arange(n) % 10).astype("uint8") for s, n in sizes.items()}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Keras cache, no COURSE_DATA, and no server behind the publisher's address."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(datasets, "MNIST", replace(datasets.MNIST, url="http://127.0.0.1:9/mnist.npz"))
    return tmp_path / "keras" / "datasets"


@pytest.fixture
def folder(cache, tmp_path, monkeypatch):
    """A COURSE_DATA folder."""
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setenv("COURSE_DATA", str(path))
    return path


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small mnist.npz that counts as the published one."""
    path = tmp_path / "published.npz"
    np.savez_compressed(path, **arrays())
    monkeypatch.setattr(datasets, "MNIST", replace(datasets.MNIST, sha256=sha256_of(path)))
    return path


@pytest.fixture
def serve(monkeypatch):
    """A local HTTP server in the publisher's place that answers every request with what it is told."""
    servers = []

    done = threading.Event()

    def start(
        body: bytes, content_type="application/octet-stream", claimed_length=None, elsewhere="", silent=False
    ):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302 if elsewhere and self.path != "/moved" else 200)
                if elsewhere:
                    self.send_header("Location", f"http://{elsewhere}:{self.server.server_port}/moved")
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(claimed_length or len(body)))
                self.end_headers()
                with suppress(OSError):  # who asked may have had enough
                    self.wfile.write(body)  # and hangs up, early where more was claimed
                if silent:
                    done.wait()

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_port}/mnist.npz"
        monkeypatch.setattr(datasets, "MNIST", replace(datasets.MNIST, url=url))

    yield start
    done.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def left_in(cache) -> list[str]:
    return sorted(p.name for p in cache.rglob("*")) if cache.exists() else []


def test_sample(cache, capsys):
    run = FakeRun("sample")
    (X_train, y_train), (X_test, y_test) = load_mnist(run)
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert X.dtype == y.dtype == np.uint8
        assert X.shape == (len(y), 28, 28)
        assert set(y) == set(range(10))
    assert run.facts["n_train"] == len(X_train)
    assert "sample digits" in capsys.readouterr().out
    assert left_in(cache) == []


def test_a_second_dataset_leaves_the_facts_of_the_first(cache):
    run = FakeRun("sample")
    run.note_data(name="scenes", n_train=1)
    load_mnist(run, note_as="digits_")
    assert run.facts["name"] == "scenes" and run.facts["n_train"] == 1
    assert run.facts["digits_name"] == "sample digits" and len(run.facts["digits_sha256"]) == 64


def test_sample_is_never_a_substitute(cache):
    with pytest.raises(DataError):
        load_mnist(FakeRun("full"))


def test_offline_with_nothing_cached_gives_one_helpful_error(cache):
    with pytest.raises(DataError) as caught:
        load_mnist(FakeRun("full"))
    message = str(caught.value)
    for part in (
        "MNIST (mnist.npz) was not found",
        "COURSE_DATA: not set",
        str(cache),
        "127.0.0.1:9",
        "Two ways out",
    ):
        assert part in message
    assert left_in(cache) == []


def test_course_data_comes_first(folder, cache, published, capsys):
    cache.mkdir(parents=True)
    shutil.copy(published, cache / "mnist.npz")
    np.savez_compressed(folder / "mnist.npz", **arrays(n_train=20))
    run = FakeRun("full")
    (X_train, _), _ = load_mnist(run)
    assert len(X_train) == 20
    assert run.facts["name"] == "mnist.npz (the reader's own)"
    assert run.facts["sha256"] == sha256_of(folder / "mnist.npz")
    assert "the reader's own" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["COURSE_DATA", "cache"])
def test_a_file_is_hashed_once(folder, cache, published, monkeypatch, where):
    digests, hashed = storage.digests_of, []
    for module in (storage, published_files):
        monkeypatch.setattr(module, "digests_of", lambda *args: hashed.append(args) or digests(*args))
    path = (folder if where == "COURSE_DATA" else cache) / "mnist.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(published, path)
    load_mnist(FakeRun("full"))
    assert hashed == [(path, "sha256")]


def test_a_folder_of_a_dataset_is_hashed_once_whatever_hashes_are_published(tmp_path):
    folder = tmp_path / "batches"
    folder.mkdir()
    for name in "ba":
        (folder / name).write_text(name)
    md5 = {name: hashlib.md5(name.encode()).hexdigest() for name in "ab"}
    entry = published_files.Published("Letters", "letters.zip", "", folder_md5=md5)
    assert published_files.described(folder, entry) == (folder, "Letters", sha256_of(folder))
    (folder / "a").write_text("other")
    found = published_files.described(folder, entry)
    assert (found.name, found.sha256) == ("batches (the reader's own)", sha256_of(folder))
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in "ab"]
    assert found.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_dataset_json_names_a_copy(folder):
    np.savez_compressed(folder / "mnist.npz", **arrays())
    (folder / "dataset.json").write_text(json.dumps({"mnist.npz": "MNIST (a copy)"}))
    run = FakeRun("full")
    load_mnist(run)
    assert run.facts["name"] == "MNIST (a copy)"


@pytest.mark.parametrize("content", ["{", '["MNIST"]'], ids=["no JSON", "no object"])
def test_broken_dataset_json(folder, content):
    np.savez_compressed(folder / "mnist.npz", **arrays())
    (folder / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=r"dataset\.json is not a JSON object"):
        load_mnist(FakeRun("full"))


def test_the_published_file_keeps_its_name_in_course_data(folder, published):
    shutil.copy(published, folder / "mnist.npz")
    run = FakeRun("full")
    load_mnist(run)
    assert run.facts["name"] == "MNIST"


def test_cache_is_used_without_a_network(cache, published):
    cache.mkdir(parents=True)
    shutil.copy(published, cache / "mnist.npz")
    (X_train, _), _ = load_mnist(FakeRun("full"))
    assert len(X_train) == 40


def test_course_data_without_the_file_goes_on_to_the_cache(folder, cache, published):
    cache.mkdir(parents=True)
    shutil.copy(published, cache / "mnist.npz")
    run = FakeRun("full")
    load_mnist(run)
    assert run.facts["name"] == "MNIST"


def test_download(cache, published, serve):
    serve(published.read_bytes())
    (X_train, _), _ = load_mnist(FakeRun("full"))
    assert len(X_train) == 40
    assert left_in(cache) == ["mnist.npz"]


def test_download_replaces_a_wrong_file_in_the_cache_only_when_it_succeeds(cache, published, serve):
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"half of an earlier download")
    with pytest.raises(DataError, match="its hash differs"):
        load_mnist(FakeRun("full"))
    assert (cache / "mnist.npz").read_bytes() == b"half of an earlier download"
    serve(published.read_bytes())
    load_mnist(FakeRun("full"))
    assert (cache / "mnist.npz").read_bytes() == published.read_bytes()


@pytest.mark.parametrize("claimed", [True, False], ids=["connection lost", "shorter than published"])
def test_interrupted_download(cache, published, serve, claimed):
    whole = published.read_bytes()
    serve(whole[: len(whole) // 2], claimed_length=len(whole) if claimed else None)
    with pytest.raises(DataError, match="download: "):
        load_mnist(FakeRun("full"))
    assert left_in(cache) == []


def test_a_server_that_falls_silent_is_given_up(cache, published, serve, monkeypatch):
    monkeypatch.setattr(published_files, "SILENT", 0.3)
    whole = published.read_bytes()
    serve(whole[: len(whole) // 2], claimed_length=len(whole), silent=True)
    with pytest.raises(DataError, match=r"download: .*timed out"):
        load_mnist(FakeRun("full"))
    assert left_in(cache) == []
    assert socket.getdefaulttimeout() is None


def test_server_that_answers_with_html(cache, published, serve):
    serve(b"<!doctype html><title>Sign in to the network</title>", content_type="text/html")
    with pytest.raises(DataError, match="download: "):
        load_mnist(FakeRun("full"))
    assert left_in(cache) == []


def test_another_host_may_give_the_published_file_and_no_other(cache, published, serve):
    serve(published.read_bytes()[:-1] + b"x", elsewhere="localhost")
    with pytest.raises(DataError, match="download: "):
        load_mnist(FakeRun("full"))
    assert left_in(cache) == []
    serve(published.read_bytes(), elsewhere="localhost")
    (X_train, _), _ = load_mnist(FakeRun("full"))
    assert len(X_train) == 40


def test_truncated_file(folder, published):
    whole = published.read_bytes()
    (folder / "mnist.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"mnist\.npz cannot be read as an \.npz archive"):
        load_mnist(FakeRun("full"))


def test_damaged_inside(folder, published):
    content = bytearray(published.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    (folder / "mnist.npz").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load_mnist(FakeRun("full"))


@pytest.mark.parametrize("content", [b"not a zip", b"", b"\x93NUMPY"], ids=["text", "empty", "half an npy"])
def test_no_zip(folder, content):
    (folder / "mnist.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive"):
        load_mnist(FakeRun("full"))


def test_an_npy_file_under_the_name(folder):
    with (folder / "mnist.npz").open("wb") as file:
        np.save(file, np.zeros((3, 28, 28), "uint8"))
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive"):
        load_mnist(FakeRun("full"))


def test_a_zip_of_something_else(folder):
    with zipfile.ZipFile(folder / "mnist.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match="lacks x_train, y_train, x_test, y_test"):
        load_mnist(FakeRun("full"))


def npy_header(size: int) -> bytes:
    header = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(header, facts)
    return header.getvalue()


def test_an_archive_that_would_fill_the_memory(folder, monkeypatch):
    """Zeros compress a thousandfold; images do not."""
    monkeypatch.setattr(storage, "SLACK", 1_000_000)
    with zipfile.ZipFile(folder / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", npy_header(2_000_000) + bytes(2_000_000))
    with monkeypatch.context() as patch:
        patch.setattr(np, "load", None)  # it is not even tried
        with pytest.raises(DataError, match=r"mnist\.npz holds more than 1 MB.*publisher"):
            load_mnist(FakeRun("full"))
    with zipfile.ZipFile(folder / "mnist.npz", "w") as archive:
        archive.writestr("x_train.npy", npy_header(1 << 50))  # a petabyte, it says
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive \(Unable to allocate"):
        load_mnist(FakeRun("full"))


def test_pickled_content_is_never_loaded(folder):
    np.savez(folder / "mnist.npz", **arrays() | {"x_train": np.array([{}], dtype=object)})
    with pytest.raises(DataError, match=r"cannot be read as an \.npz archive"):
        load_mnist(FakeRun("full"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("x_train", np.zeros((40, 28, 28), "float32")),
        ("x_train", np.zeros((40, 784), "uint8")),
        ("x_test", np.zeros((10, 32, 32), "uint8")),
        ("x_train", np.uint8(3)),
        ("y_train", np.zeros(40, "int64")),
        ("y_train", np.zeros(39, "uint8")),
        ("y_test", np.zeros((10, 1), "uint8")),
        ("y_test", np.zeros((0,), "uint8")),
        ("y_test", np.full(10, 10, "uint8")),
    ],
    ids=["float", "flat", "32 x 32", "scalar", "int64", "one too few", "column", "none", "label 10"],
)
def test_wrong_shape_dtype_or_label(folder, key, value):
    np.savez_compressed(folder / "mnist.npz", **arrays() | {key: value})
    with pytest.raises(DataError, match=rf"mnist\.npz: .*{key.split('_')[1]}"):
        load_mnist(FakeRun("full"))


def test_course_data_that_is_no_folder(folder, tmp_path, monkeypatch):
    for wrong in (tmp_path / "nowhere", tmp_path / "a file"):
        monkeypatch.setenv("COURSE_DATA", str(wrong))
        if wrong.name == "a file":
            wrong.write_text("")
        with pytest.raises(DataError, match=r"COURSE_DATA=.* cannot be read"):
            load_mnist(FakeRun("full"))


@pytest.mark.parametrize("where", ["COURSE_DATA", "cache"])
def test_folders_that_may_not_be_looked_into(folder, cache, monkeypatch, where):
    """Path.exists raises an error then, on some versions of Python."""
    refused = folder if where == "COURSE_DATA" else cache
    exists, iterdir = Path.exists, Path.iterdir

    def refuse(function):
        def refusing(path, **options):
            if path.is_relative_to(refused) and path != refused:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, **options)

        return refusing

    monkeypatch.setattr(Path, "exists", refuse(exists))
    monkeypatch.setattr(Path, "iterdir", refuse(iterdir))
    entry = replace(datasets.MNIST, under="svhn")
    said = "cannot be read (Permission denied)" if where == "COURSE_DATA" else "was not found"
    with pytest.raises(DataError, match=re.escape(said)):
        published_files.find(entry)


def test_unreadable_folder(folder, monkeypatch):
    folder.chmod(0)
    if os.access(folder, os.R_OK):  # root reads everything: say what the system says to others

        def refuse(path):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        load_mnist(FakeRun("full"))
    folder.chmod(0o755)


def test_no_home_directory(cache, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")

    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(DataError, match="there is no home directory; set HOME or KERAS_HOME"):
        load_mnist(FakeRun("full"))


def test_cache_that_cannot_be_written(cache, published, serve):
    serve(published.read_bytes())
    cache.parent.write_text("a file where the cache's folder should be")
    with pytest.raises(DataError, match="download: "):
        load_mnist(FakeRun("full"))


def test_photo(capsys):
    run = FakeRun("sample")
    photo = load_photo(run)
    assert run.facts["name"] == "china.jpg, which scikit-learn ships" and len(run.facts["sha256"]) == 64
    assert capsys.readouterr().out == "china.jpg, which scikit-learn ships: 427 × 640 pixels, in grey\n"
    assert photo.shape == (427, 640)
    assert photo.dtype == np.float32
    assert 0 <= photo.min() < photo.max() <= 1
    colour = load_photo(run, colour=True)
    assert colour.shape == (427, 640, 3)
    assert "in colour" in capsys.readouterr().out
    np.testing.assert_allclose(colour @ np.float32([0.299, 0.587, 0.114]), photo, atol=1.5 / 255)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "1"])
def test_a_picture_of_the_readers_own(tmp_path, mode):
    path = tmp_path / "picture.tif"
    Image.fromarray(np.full((900, 1200, 3), 200, "uint8")).convert(mode).save(path)
    photo = load_photo(FakeRun("sample"), path)
    assert photo.shape == (480, 640)
    assert photo.mean() > 0.5


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("L", (40, 30), value) for value in (255, 0)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert load_photo(FakeRun("sample"), tmp_path / "film.gif").min() == 1


@pytest.mark.parametrize(
    "content", [None, b"", b"GIF89a", b"no image"], ids=["missing", "empty", "cut short", "text"]
)
def test_no_picture(tmp_path, content):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"picture\.png cannot be read as an image"):
        load_photo(FakeRun("sample"), path)


def test_a_picture_too_small(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(DataError, match=r"dot\.png is 1 × 1 pixels"):
        load_photo(FakeRun("sample"), tmp_path / "dot.png")


def test_a_picture_that_is_a_strip(tmp_path):
    Image.new("RGB", (4000, 40)).save(tmp_path / "strip.png")
    with pytest.raises(DataError, match=r"strip\.png is a strip of 640 × 6 pixels once it is reduced"):
        load_photo(FakeRun("sample"), tmp_path / "strip.png")
