"""Scenes with digits in them: drawn ones with masks, windows of photographs, and what is wrong with bad ones."""

import numpy as np
import pytest
from course import FakeRun
from PIL import Image

from sample import digit_scenes as drawing
from sample.digit_struct_writer import Box, write_digit_struct
from sample.house_numbers import fonts
from utils import digit_scenes
from utils.datasets import load_digit_scenes
from utils.digit_scenes import Scenes, checked, drawn_scenes, part_of, photographed_scenes
from utils.storage import DataError

SIDE = 48


@pytest.fixture(scope="module")
def scenes() -> list[drawing.Scene]:
    return list(drawing.digit_scenes("train", 60, SIDE))


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(digit_scenes, "BUILD", tmp_path)
    return tmp_path


def two() -> Scenes:
    """Two sound pictures, the second without digits."""
    boxes = np.array([[1, 2, 5, 9], [5, 2, 10, 9]], "float32")
    masks = np.zeros((2, 10, 10), "uint8")
    return Scenes(np.zeros((2, 10, 10), "uint8"), boxes, np.array([3, 0], "uint8"), np.array([0, 0]), masks)


def test_masks_boxes_and_labels_belong_together(scenes):
    for scene in scenes:
        assert scene.image.shape == scene.mask.shape == (SIDE, SIDE)
        assert 1 <= len(scene.labels) == len(scene.boxes) <= 5
        for number, (left, top, right, bottom) in enumerate(scene.boxes, 1):
            rows, columns = np.nonzero(scene.mask == number)
            assert len(rows) > 8
            # a mask has whole pixels, and where two digits overlap one of them gets the pixel
            assert left - 1 <= columns.min() <= left + 3
            assert top - 1 <= rows.min() <= top + 2
            assert right - 3 <= columns.max() + 1 <= right + 1
            assert bottom - 2 <= rows.max() + 1 <= bottom + 1
        assert scene.mask.max() == len(scene.labels)


def test_masked_pixels_stand_out(scenes):
    """In most scenes a digit's pixels differ from those around it, so the masks lie where the digits are."""
    differs = []
    for scene in scenes:
        ink = scene.mask > 0
        shifted = np.roll(ink, 5, axis=0) & ~ink
        differs.append(abs(scene.image[ink].mean() - scene.image[shifted].mean()))
    assert np.median(differs) > 20


def test_a_scene_depends_on_its_number_alone(scenes):
    again = list(drawing.digit_scenes("train", 3, SIDE))
    for first, second in zip(scenes, again, strict=False):
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(next(drawing.digit_scenes("test", 1, SIDE)).image, again[0].image)


def test_training_and_test_fonts_differ():
    glyphs = {part: {g.tobytes() for font in fonts(part) for g in font.glyphs} for part in ("train", "test")}
    assert not glyphs["train"] & glyphs["test"]


def test_scenes_are_drawn_once(build, monkeypatch):
    first = drawn_scenes(SIDE, (4, 2))
    monkeypatch.setattr(digit_scenes, "_draw", None)  # whoever draws again fails
    second = drawn_scenes(SIDE, (4, 2))
    for split, number in (("train", 4), ("test", 2)):
        assert len(first[split].images) == number
        for one, other in zip(first[split], second[split], strict=True):
            np.testing.assert_array_equal(one, other)
    assert [path.suffix for path in (build / "digit_scenes").glob("*.npz")] == [".npz"]


def test_a_damaged_file_is_drawn_anew(build, capsys):
    first = digit_scenes.drawn_scenes(SIDE, (3, 2))["test"]
    (path,) = build.rglob("*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    again = digit_scenes.drawn_scenes(SIDE, (3, 2))["test"]
    assert capsys.readouterr().out == f"{path.name} is damaged: it is made anew.\n"
    np.testing.assert_array_equal(again.images, first.images)


def test_the_loader_says_what_it_gave(build, capsys):
    run = FakeRun("sample")
    train, test = load_digit_scenes(run, SIDE, (4, 2))
    assert capsys.readouterr().out.startswith("drawn scenes of house numbers: 4 training scenes with ")
    assert (run.facts["n_train"], run.facts["n_test"]) == (len(train.images), len(test.images)) == (4, 2)
    load_digit_scenes(run, SIDE, (4, 2), drawn=True)
    assert run.facts["drawn_n_train"] == 4


def test_a_part_has_its_own_digits():
    whole = two()._replace(scene=np.array([0, 1]))
    part = part_of(whole, 1, 2)
    assert part.scene.tolist() == [0]
    assert part.labels.tolist() == [0]
    assert len(part.images) == len(part.masks) == 1


def test_sound_scenes_pass():
    sound = two()
    assert checked(sound, "mine") is sound
    none = two()._replace(boxes=np.zeros((0, 4)), labels=np.zeros(0, "uint8"), scene=np.zeros(0, int))
    assert len(checked(none, "mine").images) == 2  # pictures without any digit
    assert checked(two()._replace(masks=None), "mine").masks is None


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"boxes": [[1, 2, 5, 9], [5, 2, 11, 9]]}, r"mine: the box \(5, 2, 11, 9\) in scene 0 reaches outside .* 10 × 10"),
        ({"boxes": [[-1, 2, 5, 9], [5, 2, 10, 9]]}, "reaches outside"),
        ({"boxes": [[1, 2, 1, 9], [5, 2, 10, 9]]}, "has no size"),
        ({"boxes": [[1, 2, np.nan, 9], [5, 2, 10, 9]]}, "has no size"),
        ({"masks": np.zeros((2, 10, 9), "uint8")}, r"masks are \(2, 10, 9\), images \(2, 10, 10\)"),
        ({"masks": np.zeros((1, 10, 10), "uint8")}, "a mask has one value for each pixel"),
        ({"labels": np.array([3, 10], "uint8")}, "label 10; digits go from 0 to 9"),
        ({"labels": np.array([3], "uint8")}, "differ in length"),
        ({"scene": np.array([0, 2])}, "a digit is in scene 2, but there are only 2"),
        ({"images": np.zeros((2, 10, 10, 3), "uint8")}, "expected uint8"),
        ({"images": np.zeros((2, 10, 10))}, "images are float64"),
    ],
)  # fmt: skip
def test_bad_scenes_are_named(fault, message):
    bad = two()._replace(**{key: np.asarray(value) for key, value in fault.items()})
    with pytest.raises(DataError, match=message):
        checked(bad, "mine")


def photographs(folder, boxes) -> None:
    """Photographs of 60 × 40 pixels, grey, with white boxes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, digits in enumerate(boxes, 1):
        photo = np.full((40, 60, 3), 60, "uint8")
        for box in digits:
            photo[box.top : box.top + box.height, box.left : box.left + box.width] = 250
        Image.fromarray(photo).save(folder / f"{number}.png")
    names = [f"{number}.png" for number in range(1, len(boxes) + 1)]
    write_digit_struct(folder / "digitStruct.mat", names, boxes)


def test_windows_hold_the_whole_number(tmp_path):
    photographs(tmp_path, [[Box(16, 30, 10, 8, 10), Box(16, 20, 10, 8, 7)], [Box(20, 1, 2, 9, 1)]])
    scenes, skipped = photographed_scenes(tmp_path, 32)
    assert not skipped
    assert scenes.masks is None
    assert scenes.labels.tolist() == [7, 0, 1]  # from left to right, and 10 is the digit 0
    assert scenes.scene.tolist() == [0, 0, 1]
    for i, (left, top, right, bottom) in zip(scenes.scene, scenes.boxes, strict=True):
        inside = scenes.images[i][round(top) + 1 : round(bottom) - 1, round(left) + 1 : round(right) - 1]
        assert inside.mean() > 230
    assert np.allclose((scenes.boxes[:, 3] - scenes.boxes[:, 1])[0] / np.diff(scenes.boxes[0, [0, 2]]), 2)


def test_what_cannot_be_used_is_left_out_and_named(tmp_path):
    photographs(
        tmp_path, [[Box(16, 20, 10, 8, 7)], [Box(9, 70, 3, 5, 2)], [Box(9, 9, 3, 5, 2)], [Box(9, 9, 3, 5, 2)]]
    )
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").write_bytes(b"no image")
    scenes, skipped = photographed_scenes(tmp_path, 32)
    assert len(scenes.images) == 1
    assert skipped == {
        "box outside the image": ["2.png"], "image missing": ["3.png"], "image unreadable": ["4.png"],
    }  # fmt: skip
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError, match="none of 4 photographs can be used"):
        photographed_scenes(tmp_path, 32)


def test_full_scale_takes_photographs(course_data, capsys):
    for split in ("train", "test"):
        photographs(course_data / "svhn" / split, [[Box(16, 20, 10, 8, 7)]] * 3)
    run = FakeRun("full")
    train, test = load_digit_scenes(run, 32, (2, 3))
    assert (len(train.images), len(test.images)) == (2, 3)
    assert train.masks is None
    assert "without masks" in capsys.readouterr().out
