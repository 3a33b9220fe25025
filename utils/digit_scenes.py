"""Pictures with digits somewhere in them: scenes that are drawn, with masks, and windows of SVHN's photographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from utils.digit_struct import read_boxes
from utils.storage import (
    BUILD,
    ROOT,
    SAMPLE,
    DataError,
    atomic,
    kept_as,
    locked,
    read_npz,
    remove_earlier,
    sha256_of,
)
from utils.svhn import GREY, UNUSABLE, Skipped, union_box, why_not

SPLITS = ("train", "test")
WINDOW = (1.3, 2.5)  # side of a photograph's window, in longer sides of the number
SEED = 11  # of the windows


class Scenes(NamedTuple):
    """n pictures and all of their digits, one row a digit; those of a picture are neighbours, from left to right."""

    images: np.ndarray  # uint8, (n, side, side), grey
    boxes: np.ndarray  # float32, (digits, 4): left, top, right, bottom in pixels
    labels: np.ndarray  # uint8, (digits,), 0 to 9
    scene: np.ndarray  # int, (digits,), the picture that a digit is in
    masks: (
        np.ndarray | None
    )  # uint8, (n, side, side): 0, or k on the pixels of a picture's k-th digit; None: not known


def part_of(scenes: Scenes, start: int, stop: int) -> Scenes:
    """The pictures from start to stop, numbered anew from 0."""
    inside = (scenes.scene >= start) & (scenes.scene < stop)
    masks = None if scenes.masks is None else scenes.masks[start:stop]
    rows = (scenes.boxes[inside], scenes.labels[inside], scenes.scene[inside] - start)
    return Scenes(scenes.images[start:stop], *rows, masks)


def checked(scenes: Scenes, name: str) -> Scenes:
    """The scenes, if they fit together. A picture without digits is all right; a box of no size, or outside, is not.

    Raises DataError that names the first fault.
    """
    images, boxes, labels, scene, masks = (None if a is None else np.asarray(a) for a in scenes)
    if images.ndim != 3 or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"{name}: images are {images.dtype} {images.shape}; expected uint8 (n, side, side), grey, n ≥ 1."
        )
    if not len(boxes) == len(labels) == len(scene) or (len(boxes) and boxes.shape[1:] != (4,)):
        raise DataError(
            f"{name}: boxes {boxes.shape}, labels {labels.shape} and scene {scene.shape} differ in length; "
            "expected one row a digit, boxes (digits, 4)."
        )
    if len(scene) and not (scene.min() >= 0 and scene.max() < len(images)):
        raise DataError(f"{name}: a digit is in scene {scene.max()}, but there are only {len(images)}.")
    if (labels > 9).any():
        raise DataError(f"{name}: label {labels.max()}; digits go from 0 to 9 (SVHN's 10 is the digit 0).")
    height, width = images.shape[1:]
    boxes = boxes.reshape(-1, 4)
    sound = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]) & np.isfinite(boxes).all(axis=1)
    inside = (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= [width, height]).all(axis=1)
    for row in np.flatnonzero(~(sound & inside))[:1]:
        fault = "reaches outside its picture" if sound[row] else "has no size"
        numbers = ", ".join(f"{value:g}" for value in boxes[row])
        raise DataError(
            f"{name}: the box ({numbers}) in scene {scene[row]} {fault}, {width} × {height} pixels. "
            "Boxes are left, top, right, bottom: cut them at the border, or leave the picture out."
        )
    if masks is not None and masks.shape != images.shape:
        raise DataError(
            f"{name}: masks are {masks.shape}, images {images.shape}: a mask has one value for each pixel."
        )
    return scenes


def drawn_scenes(side: int, n: Sequence[int]) -> dict[str, Scenes]:
    """Scenes that `sample/digit_scenes.py` draws, n[0] to train and n[1] to test; kept under build/ for the next time.

    Who asks while another process draws the same waits for it. Raises DataError.
    """
    folder, prefix = BUILD / "digit_scenes", f"scenes-{side}-{n[0]}-{n[1]}"
    made_from = {
        path.name: sha256_of(path)
        for path in (
            ROOT / "sample" / "digit_scenes.py",
            ROOT / "sample" / "house_numbers.py",
            SAMPLE / "numerals.png",
        )
    }
    path = kept_as(folder, prefix, ".npz", side=side, n_train=n[0], n_test=n[1], **made_from)
    with locked(folder / prefix):
        arrays = _kept(path)
        if not arrays:
            for split, number in zip(SPLITS, n, strict=True):
                scenes = _draw(split, number, side)
                arrays |= {f"{key}_{split}": values for key, values in scenes._asdict().items()}
            with atomic(path) as partial:
                np.savez_compressed(partial, **arrays)
            remove_earlier(path)
    return {
        split: checked(
            Scenes(*(arrays[f"{key}_{split}"] for key in Scenes._fields)), f"drawn scenes, {split}"
        )
        for split in SPLITS
    }


def _kept(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a file; {} where there is none, or a damaged one."""
    if not path.exists():
        return {}
    try:
        return read_npz(path)
    except DataError:
        print(f"{path.name} is damaged: it is made anew.")
        return {}


def _draw(split: str, number: int, side: int) -> Scenes:
    from sample.digit_scenes import digit_scenes  # only to draw them

    scenes = digit_scenes(split, number, side)
    bar = tqdm(scenes, f"drawing {split}", number, unit="scene", delay=3, leave=False, ncols=100)
    return together(list(bar))


def together(scenes: Sequence) -> Scenes:
    """One `Scenes` of many pictures, each with image, boxes, labels and mask (all masks None, or none)."""
    counts = [len(scene.labels) for scene in scenes]
    masks = None if scenes[0].mask is None else np.stack([scene.mask for scene in scenes])
    return Scenes(
        np.stack([scene.image for scene in scenes]),
        np.concatenate([scene.boxes for scene in scenes]).astype("float32").reshape(-1, 4),
        np.concatenate([scene.labels for scene in scenes]).astype("uint8"),
        np.repeat(np.arange(len(scenes)), counts),
        masks,
    )


class Photograph(NamedTuple):
    """A square window of a photograph; see `Scenes`."""

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    mask: None = None


def window(path: Path, boxes: np.ndarray, side: int, rng: np.random.Generator) -> Photograph:
    """A square window around the number in a photograph, at a random place and size, reduced to side × side pixels.

    boxes: (digits, 5), label, left, top, width, height, as published (label 10 is the digit 0). What lies beyond the
    photograph repeats its border. Raises Unusable for a box of no size or outside the photograph.
    """
    with Image.open(path) as image:
        photo = np.asarray(image.convert("RGB"), dtype="float32") @ GREY
    union = np.array(union_box(boxes[:, 1:], photo.shape[::-1], 0))
    size = union[2:] - union[:2]
    length = int(np.ceil(size.max() * rng.uniform(*WINDOW)))
    corner = np.floor(union[:2] - rng.uniform(0, length - size)).astype(int)
    rows, columns = (
        np.clip(start + np.arange(length), 0, most - 1)
        for start, most in zip(corner[::-1], photo.shape, strict=True)
    )
    cut = Image.fromarray(np.rint(photo[np.ix_(rows, columns)]).astype("uint8"))
    low, high = boxes[:, 1:3] - corner, boxes[:, 1:3] + boxes[:, 3:5] - corner
    scaled = np.concatenate([low, high], axis=1).clip(0, length) * side / length
    order = np.argsort(scaled[:, 0], kind="stable")
    image = np.asarray(cut.resize((side, side), Image.Resampling.LANCZOS))
    return Photograph(image, scaled[order].astype("float32"), (boxes[order, 0] % 10).astype("uint8"))


def photographed_scenes(folder: Path, side: int, most: int | None = None) -> tuple[Scenes, Skipped]:
    """Windows of the photographs in a folder of SVHN's format 1, without masks; and which were left out, and why.

    most: the first so many annotations only. Raises DataError.
    """
    found, skipped = [], {}
    annotations = read_boxes(folder / "digitStruct.mat")[:most]
    bar = tqdm(annotations, folder.name, unit="image", delay=3, leave=False, ncols=100)
    for number, (name, boxes) in enumerate(bar):
        try:
            found.append(window(folder / Path(name).name, boxes, side, np.random.default_rng([SEED, number])))
        except UNUSABLE as error:
            skipped.setdefault(why_not(error), []).append(name)
    if not found:
        raise DataError(f"{folder}: none of {len(annotations)} photographs can be used: {skipped}")
    return checked(together(found), str(folder)), skipped
