"""Satellite tiles: EuroSAT's published layouts, what can be wrong with them, and what the drawn tiles must be like."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from course import FakeRun
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sample import satellite
from utils import eurosat, storage
from utils.datasets import EUROSAT_CLASSES, load_satellite_scene, load_satellite_tiles
from utils.eurosat import read_tiles
from utils.storage import SAMPLE, DataError, digests_of, sha256_of

EACH = 10  # tiles of a class


def pictures() -> list[tuple[str, np.ndarray]]:
    """A class and a tile, for every tile; each is of one grey of its own, so that it is known again."""
    return [
        (name, np.full((64, 64, 3), 24 * place + 2 * number + 2, "uint8"))
        for place, name in enumerate(EUROSAT_CLASSES)
        for number in range(EACH)
    ]


def write_folder(path):
    for i, (name, picture) in enumerate(pictures()):
        (path / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path / name / f"{name}_{i % EACH + 1}.jpg", quality=95)


def write_zip(path, folder):
    everything = pictures()
    satellite.write_tiles(
        path, [picture for _, picture in everything], [name for name, _ in everything], folder
    )


def add(path, name, content=b"?"):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, content)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A COURSE_DATA folder, beside an empty Keras cache; there is no publisher."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    nobody = replace(eurosat.EUROSAT, url="http://127.0.0.1:9/EuroSAT_RGB.zip")
    monkeypatch.setattr(eurosat, "EUROSAT", nobody)
    return tmp_path


@pytest.mark.parametrize("where", ["EuroSAT_RGB", "2750", "EuroSAT_RGB.zip", "EuroSAT.zip"])
def test_every_published_layout(data, capsys, where):
    if where.endswith(".zip"):
        write_zip(data / where, {"EuroSAT_RGB.zip": "EuroSAT_RGB", "EuroSAT.zip": "2750"}[where])
    else:
        write_folder(data / where)
    run = FakeRun("full")
    (X_train, y_train), (X_test, y_test) = load_satellite_tiles(run)
    assert X_train.shape == (80, 64, 64, 3) and X_test.shape == (20, 64, 64, 3)
    assert X_train.dtype == X_test.dtype == y_train.dtype == np.uint8
    assert (np.bincount(y_train) == 8).all() and (np.bincount(y_test) == 2).all()
    for images, labels in ((X_train, y_train), (X_test, y_test)):
        np.testing.assert_array_equal(images.mean(axis=(1, 2, 3)).round() // 24, labels)
    greys = np.concatenate([X_train, X_test])[:, 0, 0, 0]
    greys = np.concatenate([X_train, X_test]).mean(axis=(1, 2, 3)).round(1)
    assert len(set(greys)) == 100  # none twice, none lost
    assert run.facts["name"] == f"{where} (the reader's own)" in capsys.readouterr().out
    assert run.facts["n_train"] == 80 and run.facts["n_test"] == 20
    if where.endswith(".zip"):
        assert run.facts["sha256"] == sha256_of(data / where)


def test_the_split_is_the_same_whatever_the_seed_and_in_no_order(data):
    write_folder(data / "2750")
    first, second = (load_satellite_tiles(FakeRun("full", seed)) for seed in (1, 2))
    for (images, labels), (again, labels_again) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, labels_again)
    assert (np.diff(first[0][1].astype(int)) < 0).any()


def test_a_folder_is_hashed_by_what_it_shows(data):
    write_folder(data / "2750")
    hashes = []
    for _ in range(2):
        run = FakeRun("full")
        load_satellite_tiles(run)
        hashes.append(run.facts["sha256"])
        Image.fromarray(np.zeros((64, 64, 3), "uint8")).save(data / "2750/River/River_3.jpg")
    assert hashes[0] != hashes[1]


def test_a_published_file_and_a_named_copy_say_so(data, monkeypatch):
    write_zip(data / "EuroSAT_RGB.zip", "EuroSAT_RGB")
    (md5,) = digests_of(data / "EuroSAT_RGB.zip", "md5")
    (data / "dataset.json").write_text(json.dumps({"EuroSAT_RGB.zip": "half a copy"}))
    run = FakeRun("full")
    load_satellite_tiles(run)
    assert run.facts["name"] == "half a copy"
    monkeypatch.setattr(eurosat, "EUROSAT", replace(eurosat.EUROSAT, md5=md5))
    load_satellite_tiles(run)
    assert run.facts["name"] == "EuroSAT (RGB)"


def test_keras_cache(data, monkeypatch):
    cached = data / "keras" / "datasets" / "EuroSAT_RGB.zip"
    cached.parent.mkdir(parents=True)
    write_zip(cached, "EuroSAT_RGB")
    with pytest.raises(DataError, match="is not the published file"):
        load_satellite_tiles(FakeRun("full"))
    (md5,) = digests_of(cached, "md5")
    monkeypatch.setattr(eurosat, "EUROSAT", replace(eurosat.EUROSAT, md5=md5))
    run = FakeRun("full")
    load_satellite_tiles(run)
    assert run.facts["name"] == "EuroSAT (RGB)"


def test_nothing_there_is_one_error_that_helps(data):
    with pytest.raises(DataError) as caught:
        load_satellite_tiles(FakeRun("full"))
    for part in ("EuroSAT_RGB or EuroSAT_RGB.zip", "COURSE_DATA", "Keras's cache", "127.0.0.1:9"):
        assert part in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("fault", ["missing", "unknown", "no image", "size", "name"])
def test_what_is_wrong_is_named(tmp_path, kind, fault):
    path = tmp_path / ("2750" if kind == "folder" else "EuroSAT.zip")
    left = [entry for entry in pictures() if entry[0] != "River" or fault != "missing"]
    write_zip_of = [picture for _, picture in left], [name for name, _ in left]
    if kind == "zip":
        satellite.write_tiles(path, *write_zip_of, "2750")
    else:
        satellite.write_tiles(tmp_path / "to unpack", *write_zip_of, "2750")
        with zipfile.ZipFile(tmp_path / "to unpack") as archive:
            archive.extractall(tmp_path)
    small = satellite.jpeg(np.zeros((32, 64, 3), "uint8"))
    name, content, message = {
        "missing": (".hidden", b"", "no tiles of River"),
        "unknown": ("Moon/Moon_1.jpg", b"", "no class Moon"),
        "no image": ("Forest/Forest_999.jpg", b"no image", r"Forest_999.jpg cannot be read as an image"),
        "size": ("Forest/Forest_999.jpg", small, r"Forest_999.jpg has 64 × 32 pixels"),
        "name": ("Forest/notes.txt", b"notes", r"Forest/notes.txt is no tile"),
    }[fault]
    if kind == "zip":
        add(path, f"2750/{name}", content)
    else:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_tiles(path)


def test_an_archive_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "SLACK", 1_000_000)
    with zipfile.ZipFile(tmp_path / "EuroSAT_RGB.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("EuroSAT_RGB/Forest/Forest_1.jpg", bytes(3_000_000))
    with pytest.raises(DataError, match=r"EuroSAT_RGB\.zip holds more than 1 MB"):
        read_tiles(tmp_path / "EuroSAT_RGB.zip")


def test_what_computers_leave_behind_is_passed_over(tmp_path):
    path = tmp_path / "EuroSAT_RGB.zip"
    write_zip(path, "EuroSAT_RGB")
    for name in ("__MACOSX/Forest/._x.jpg", "EuroSAT_RGB/Forest/.DS_Store", "EuroSAT_RGB/notes.txt"):
        add(path, name)
    assert len(read_tiles(path)[0]) == 100
    write_folder(tmp_path / "2750")
    (tmp_path / "2750/Forest/.DS_Store").write_bytes(b"?")
    (tmp_path / "2750/label_map.json").write_bytes(b"{}")
    assert len(read_tiles(tmp_path / "2750")[0]) == 100


@pytest.mark.parametrize(
    "name", ["2750/Forest/../../../Forest_1.jpg", "/2750/Forest/Forest_99.jpg", "..\\x.jpg"]
)
def test_a_climbing_path_is_refused(tmp_path, name):
    path = tmp_path / "EuroSAT.zip"
    write_zip(path, "2750")
    add(path, name, satellite.jpeg(np.zeros((64, 64, 3), "uint8")))
    with pytest.raises(DataError, match="climbs out of the archive"):
        read_tiles(path)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_archive(tmp_path, content):
    path = tmp_path / "EuroSAT.zip"
    if content is None:
        write_zip(path, "2750")
        content = path.read_bytes()[:-2000]
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        read_tiles(path)


def test_too_few_tiles_of_a_class(data):
    write_folder(data / "2750")
    for number in range(5, EACH + 1):
        (data / f"2750/SeaLake/SeaLake_{number}.jpg").unlink()
    with pytest.raises(DataError, match="4 tiles of SeaLake"):
        load_satellite_tiles(FakeRun("full"))


def test_a_scene_of_tiles_at_full_scale(data):
    write_folder(data / "2750")
    run = FakeRun("full")
    _, test = load_satellite_tiles(run)
    image, truth, shares = load_satellite_scene(run, test)
    assert image.shape == (704, 1024, 3) and truth.shape == shares.shape == (11, 16)
    np.testing.assert_array_equal(image[::64, ::64, 0] // 24, truth)
    np.testing.assert_array_equal(image[63::64, 63::64], image[::64, ::64])


# The drawn tiles


@pytest.fixture(scope="module")
def sample():
    return load_satellite_tiles(FakeRun("sample"))


def test_the_sample(sample):
    (X_train, y_train), (X_test, y_test) = sample
    assert X_train.shape == (1500, 64, 64, 3) and X_test.shape == (500, 64, 64, 3)
    n = satellite.TILES["fit"]
    for labels in (y_train[:n], y_train[n:], y_test):
        assert len(set(np.bincount(labels))) == 1
    assert satellite.CLASSES == EUROSAT_CLASSES
    assert sum(path.stat().st_size for path in (SAMPLE / "satellite").iterdir()) < 3_000_000


def test_no_mean_colour_decides(sample):
    """Fitted on training tiles, or on the very test tiles that it is asked about."""
    (X_train, y_train), (X_test, y_test) = sample
    colours, shown = X_train.mean(axis=(1, 2)), X_test.mean(axis=(1, 2))
    for X, y in ((colours, y_train), (shown, y_test)):
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)
        assert 0.2 < fitted.score(shown, y_test) < 0.6


def test_regions_are_of_one_part():
    """Each part draws its regions from random numbers of its own."""
    drawn = []
    for place, part in enumerate(satellite.TILES):
        rng = np.random.default_rng([satellite.SEED, place])
        drawn += [satellite.region(rng)["soil"].tobytes() for _ in range(satellite.REGIONS[part])]
    assert len(set(drawn)) == sum(satellite.REGIONS.values())


def test_a_rerun_draws_the_same_tiles(sample):
    """As JPEG files keep them: on another processor, or with another Pillow, few values may round the other way."""
    (X_train, y_train), _ = sample
    n = satellite.TILES["fit"]
    pictures, names = satellite.tiles("validation", np.random.default_rng([satellite.SEED, 1]))
    assert names == [EUROSAT_CLASSES[label] for label in y_train[n:]]
    off = np.abs(np.stack(pictures).astype(int) - X_train[n:])
    assert np.median(off) <= 3 and np.mean(off > 40) < 1e-3


def test_the_scene():
    image, truth, shares = load_satellite_scene(FakeRun("sample"), (np.empty(0), np.empty(0)))
    assert image.shape == (704, 1024, 3) and image.dtype == np.uint8
    assert set(truth.ravel()) == set(range(10))
    assert shares.min() > 0 and shares.max() <= 1
