"""A reader's own images: every kind of file that turns up, and everything that can be wrong with one or with a folder."""

import contextlib
import shutil

import numpy as np
import pytest
from course import FakeRun
from PIL import Image

from utils.images import (
    ENDINGS,
    ImageFolder,
    load_image,
    load_image_folder,
    load_own_images,
    load_photographs,
)
from utils.storage import DataError, sha256_of_array

RED = (200, 40, 60)


def picture(size=(40, 30), colour=RED) -> Image.Image:
    return Image.new("RGB", size, colour)


def saved(folder, name, image=None, **options):
    folder.mkdir(parents=True, exist_ok=True)
    (image or picture()).save(folder / name, **options)
    return folder / name


def assert_is(image, colour, side=32, tolerance=6):
    assert image.dtype == np.uint8
    assert image.shape == (side, side, 3)
    np.testing.assert_allclose(
        image.reshape(-1, 3).astype(int), np.tile(colour, (side**2, 1)), atol=tolerance
    )


@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_formats(tmp_path, ending):
    assert_is(load_image(saved(tmp_path, f"a{ending}"), 32), RED)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "CMYK", "YCbCr", "RGBA"])
def test_modes(tmp_path, mode):
    name = "a.jpg" if mode in ("CMYK", "YCbCr") else "a.png"
    grey = (204, 204, 204)
    image = picture(colour=(255, 255, 255) if mode == "1" else grey).convert(mode)
    assert_is(load_image(saved(tmp_path, name, image), 20), (255,) * 3 if mode == "1" else grey, side=20)


def test_the_middle_square_in_its_proportions(tmp_path):
    image = picture((60, 20), (0, 0, 0))
    image.paste(RED, (20, 0, 40, 20))
    assert_is(load_image(saved(tmp_path, "a.png", image), 20), RED, side=20, tolerance=0)


def test_transparent_becomes_white(tmp_path):
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert_is(load_image(saved(tmp_path, "a.png", image), 20), (255,) * 3, side=20)
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, *RED])
    assert_is(load_image(saved(tmp_path, "p.png", palette, transparency=1), 20), (255,) * 3, side=20)
    assert_is(load_image(saved(tmp_path, "q.png", palette, transparency=0), 20), RED, side=20)


def test_animation_gives_its_first_frame(tmp_path):
    path = saved(tmp_path, "a.gif", picture(), save_all=True, append_images=[picture(colour=(0, 0, 255))])
    assert_is(load_image(path, 20), RED, side=20)


def test_turned_upright_as_exif_says(tmp_path):
    image = picture((40, 40), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 40, 20))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    loaded = load_image(saved(tmp_path, "a.jpg", image, exif=exif, quality=95), 40)
    assert loaded[:, 25:].min() > 200 and loaded[:, :15].max() < 50


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((20, 20), 51_400, "uint16"), 200),
        (np.full((20, 20), 257, "uint16"), 1),
        (np.full((20, 20), 51_400, "int32"), 200),
        (np.full((20, 20), 200, "int32"), 200),
        (np.full((20, 20), 0.5, "float32"), 128),
        (np.full((20, 20), 130.0, "float32"), 130),
        (np.full((20, 20), np.nan, "float32"), 0),
    ],
    ids=["16 bits", "16 bits, dark", "32 bits", "32 bits, small", "0 to 1", "0 to 255", "no numbers"],
)
def test_more_than_8_bits(tmp_path, values, expected):
    path = saved(tmp_path, "a.tif", Image.fromarray(values))
    assert_is(load_image(path, 20), (expected,) * 3, side=20, tolerance=0)


def test_png_of_16_bits(tmp_path):
    path = saved(tmp_path, "a.png", Image.fromarray(np.full((20, 20), 51_400, "uint16")))
    assert_is(load_image(path, 20), (200,) * 3, side=20, tolerance=0)


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (400, 15)])
def test_too_small(tmp_path, size):
    path = saved(tmp_path, "a.png", picture(size))
    with pytest.raises(DataError, match=rf"a\.png is {size[0]} × {size[1]} pixels; use at least 16 × 16"):
        load_image(path, 32)


def test_smallest(tmp_path):
    assert_is(load_image(saved(tmp_path, "a.png", picture((16, 16))), 32), RED)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("ending", sorted(ENDINGS))
def test_cut_short_anywhere(tmp_path, ending):
    rng = np.random.default_rng(0)
    path = saved(tmp_path, f"a{ending}", Image.fromarray(rng.integers(0, 256, (40, 40, 3), "uint8")))
    whole = path.read_bytes()
    for kept in (0, 3, 20, len(whole) // 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match="cannot be read as an image"):
            load_image(path, 32)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_bytes_changed_anywhere_give_an_image_or_one_kind_of_error(tmp_path):
    rng = np.random.default_rng(0)
    for ending in (".png", ".tif", ".gif", ".jpg"):
        path = saved(tmp_path, f"a{ending}", Image.fromarray(rng.integers(0, 256, (20, 20, 3), "uint8")))
        whole = np.frombuffer(path.read_bytes(), "uint8")
        for _ in range(40):
            changed = whole.copy()
            changed[rng.integers(len(whole), size=8)] = rng.integers(0, 256, 8)
            path.write_bytes(changed.tobytes())
            with contextlib.suppress(DataError):
                assert load_image(path, 32).shape == (32, 32, 3)


@pytest.mark.parametrize("content", [None, b"no image", b"<svg/>"], ids=["missing", "text", "svg"])
def test_no_image(tmp_path, content):
    path = tmp_path / "a.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image.*Name a JPEG or PNG"):
        load_image(path, 32)
    with pytest.raises(DataError, match="cannot be read as an image"):
        load_image(tmp_path, 32)


@pytest.fixture
def folder(tmp_path):
    """Two classes, two images each."""
    path = tmp_path / "images"
    for name, colour in {"b cats": RED, "a dogs": (0, 80, 160)}.items():
        saved(path / name, "1.png", picture(colour=colour))
        saved(path / name, "2.JPG", picture(colour=colour), format="JPEG", quality=95)
    return path


def test_a_folder(folder):
    run = FakeRun("full")
    data = load_image_folder(run, folder, side=24)
    assert isinstance(data, ImageFolder)
    assert data.sha256 == sha256_of_array(data.images, data.labels)
    assert run.facts == {"own_images": f"4 images in 2 classes, SHA-256 {data.sha256}"}
    assert data.images.shape == (4, 24, 24, 3) and data.images.dtype == np.uint8
    assert data.class_names == ("a dogs", "b cats")
    assert data.labels.tolist() == [0, 0, 1, 1] and data.labels.dtype == np.int64
    assert_is(data.images[2], RED, side=24)
    assert data.report == "images: 4 of 4 images in 2 classes (a dogs 2, b cats 2), skipped 0"


def test_course_data(folder, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(folder.parent))
    assert load_image_folder(FakeRun("full")).images.shape == (4, 64, 64, 3)


def test_what_is_no_image_is_passed_over(folder):
    for name in ("notes.txt", ".hidden.png", "._1.png", "Thumbs.db"):
        (folder / "b cats" / name).write_text("x")
    (folder / ".cache").mkdir()
    (folder / "readme.md").write_text("x")
    assert load_image_folder(FakeRun("full"), folder).report.endswith("(a dogs 2, b cats 2), skipped 0")


def test_images_that_cannot_be_used_are_counted_and_named(folder):
    whole = (folder / "b cats" / "1.png").read_bytes()
    (folder / "b cats" / "3.png").write_bytes(whole[:60])
    (folder / "a dogs" / "4.jpg").write_text("no image")
    saved(folder / "a dogs", "5.png", picture((8, 8)))
    data = load_image_folder(FakeRun("full"), folder)
    assert data.labels.tolist() == [0, 0, 1, 1] and len(data.images) == 4
    assert data.report.startswith("images: 4 of 7 images in 2 classes")
    assert data.report.endswith(
        "skipped 3: too small (a dogs/5.png), unreadable (a dogs/4.jpg, b cats/3.png)"
    )


def test_a_class_without_images(folder):
    (folder / "c birds").mkdir()
    with pytest.raises(DataError, match=r"no images in c birds\. Put .*\.jpg.* files there, or remove"):
        load_image_folder(FakeRun("full"), folder)


def test_a_class_without_an_image_that_can_be_read(folder):
    for path in (folder / "b cats").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"no image of b cats can be used; skipped 2: unreadable \(b cats/1"):
        load_image_folder(FakeRun("full"), folder)


def test_nothing_that_can_be_read(folder):
    for path in folder.rglob("*.*"):
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match="no image of a dogs, b cats can be used; skipped 4"):
        load_image_folder(FakeRun("full"), folder)


def test_a_single_class(folder):
    shutil.rmtree(folder / "a dogs")
    with pytest.raises(DataError, match=r"holds the class b cats only\. At least two classes"):
        load_image_folder(FakeRun("full"), folder)


def test_images_without_folders_of_classes(tmp_path):
    saved(tmp_path / "images", "1.png")
    with pytest.raises(DataError, match=r"holds no folder of a class.*one folder a class"):
        load_image_folder(FakeRun("full"), tmp_path / "images")


def test_no_folder(tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match=r"nowhere cannot be read \(No such file or directory\): name a folder"
    ):
        load_image_folder(FakeRun("full"), tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"1\.png cannot be read \(Not a directory\)"):
        load_image_folder(FakeRun("full"), saved(tmp_path, "1.png"))
    monkeypatch.delenv("COURSE_DATA", raising=False)
    with pytest.raises(DataError, match=r"not set\. Set COURSE_DATA to a folder with one folder a"):
        load_image_folder(FakeRun("full"))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="no images there"):
        load_image_folder(FakeRun("full"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """COURSE_DATA with 20 cats and 60 dogs, each of another brightness."""
    for name, count in {"cats": 20, "dogs": 60}.items():
        for i in range(count):
            saved(tmp_path / "images" / name, f"{i:02}.png", picture((20, 20), (4 * i, 0, 0)))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path / "images"


def test_own_images_are_split_with_as_many_of_each_class_for_testing(own, capsys):
    (own / "cats" / "x.png").write_text("no image")
    run = FakeRun("sample")
    (X_train, y_train), (X_test, y_test), names = load_own_images(run, side=24)
    assert names == ("cats", "dogs")
    assert X_train.shape == (72, 24, 24, 3) and X_test.shape == (8, 24, 24, 3)
    assert X_train.dtype == y_train.dtype == y_test.dtype == np.uint8
    assert np.bincount(y_train).tolist() == [16, 56] and np.bincount(y_test).tolist() == [4, 4]
    assert 0 < y_train[:36].mean() < 1  # in random order

    def shown(images, labels):
        return {(int(label), int(image[0, 0, 0])) for image, label in zip(images, labels, strict=True)}

    everything = {(0, 4 * i) for i in range(20)} | {(1, 4 * i) for i in range(60)}
    assert shown(X_train, y_train) | shown(X_test, y_test) == everything
    assert not shown(X_train, y_train) & shown(X_test, y_test)
    assert run.facts["own_images"].startswith("80 images in 2 classes")
    assert "skipped 1: unreadable (cats/x.png); 72 training and 8 test images" in capsys.readouterr().out


def test_own_images_by_seed(own):
    first, again, other = FakeRun("full", 42), FakeRun("full", 42), FakeRun("full", 43)
    drawn = [load_own_images(run, side=16)[0][0] for run in (first, again, other)]
    assert (drawn[0] == drawn[1]).all() and not (drawn[0] == drawn[2]).all()
    assert first.facts == again.facts


def test_too_few_own_images(own):
    for i in range(9, 20):
        (own / "cats" / f"{i:02}.png").unlink()
    with pytest.raises(DataError, match=r"cats 9.*needs at least 10 images.*cats has 9: add some"):
        load_own_images(FakeRun("sample"), side=16)


def test_too_many_classes_of_own_images(own, monkeypatch):
    monkeypatch.setattr("utils.images.MOST_OWN", 1)
    with pytest.raises(DataError, match="2 classes; there can be 1 at most"):
        load_own_images(FakeRun("sample"), side=16)


def test_photographs():
    photographs, names = load_photographs(96)
    assert photographs.shape == (10, 96, 96, 3) and photographs.dtype == np.uint8
    assert len(set(names)) == 10 and names[:2] == ["temple", "cat"]
    grey = [
        name for name, picture in zip(names, photographs, strict=True) if not np.ptp(picture, axis=-1).any()
    ]
    assert grey == ["photographer", "clock", "coins"]
    assert min(picture.std() for picture in photographs) > 10
    assert load_photographs(32)[0].shape == (10, 32, 32, 3)
