"""Scenes with house numbers somewhere in them, and the truth about every digit: its box, its label, its pixels.

For detection and segmentation (notebook 11). They are drawn when they are first asked for, by `utils.datasets`;
`python -m sample.digit_scenes DEST` writes some as PNGs, each with a mask beside it. Test scenes use fonts that no
training scene uses.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from sample.house_numbers import SPLITS, Font, Pose, blotches, draw_number, fonts, lighting, wall

HEIGHTS = (0.3, 0.7)  # of a number, in sides of the scene
MOST_STROKES = 3  # bars that are no digits
COVERED = 0.35  # share of a pixel from which on it counts as the digit's; thin strokes break up above it
SEED = 11


class Scene(NamedTuple):
    """A picture and the truth about it; digits from left to right as the number has them."""

    image: np.ndarray  # uint8, (side, side), grey
    boxes: np.ndarray  # float32, (digits, 4): left, top, right, bottom in pixels, tight around the ink
    labels: np.ndarray  # uint8, (digits,), 0 to 9
    mask: np.ndarray  # uint8, (side, side): 0 where there is no digit, k on the pixels of the k-th one


def placed(
    digits: list[int], choice: list[Font], side: int, rng: np.random.Generator
) -> tuple[Font, Pose, np.ndarray]:
    """A font, a pose and the scene's upper left corner in the number's frame: drawn until the number fits."""
    while True:
        font = choice[rng.integers(len(choice))]
        pose = Pose(digits, font, rng, (HEIGHTS[0] * side, HEIGHTS[1] * side))
        corners = [pose.corners(font.ink[d], x) for d, x in zip(digits, pose.middles, strict=True)]
        corners = np.concatenate(corners)
        room = side - np.ptp(corners, axis=0)
        if (room > 2).all():
            return font, pose, corners.min(axis=0) - 1 - rng.uniform(0, room - 2)


def box_of(cover: np.ndarray) -> list[float]:
    """Left, top, right, bottom in pixels of what a digit covers, drawn at twice the scene's size."""
    rows, columns = (np.flatnonzero((cover > COVERED).any(axis=axis)) for axis in (1, 0))
    return [columns[0] / 2, rows[0] / 2, (columns[-1] + 1) / 2, (rows[-1] + 1) / 2]


def strokes(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Some bars, such as of a frame or a grating, as cover from 0 to 1, (rows, columns)."""
    y, x = np.indices(shape)
    cover = np.zeros(shape)
    for _ in range(rng.integers(0, MOST_STROKES + 1)):
        middle, angle = rng.uniform(0, shape[0], 2), rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
        along = (x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle)
        across = (y - middle[1]) * np.cos(angle) - (x - middle[0]) * np.sin(angle)
        length, width = rng.uniform(0.1, 0.6) * shape[0], rng.uniform(0.01, 0.04) * shape[0]
        cover[(np.abs(along) < length / 2) & (np.abs(across) < width)] = 1
    return cover


def draw_scene(split: str, side: int, rng: np.random.Generator) -> Scene:
    """One scene of side × side pixels with one number of one to five digits, in a font of the split."""
    digits = draw_number(rng)
    font, pose, origin = placed(digits, fonts(split), side, rng)
    shape = (2 * side, 2 * side)
    ground = rng.uniform(25, 230)
    ink = ground + rng.uniform(40, 170) * (1 if rng.random() > ground / 255 else -1)
    ink = ink if 0 <= ink <= 255 else np.clip(2 * ground - ink, 0, 255)
    canvas = wall(shape, 2 * pose.height, np.full(1, ground), rng)[..., 0]
    bars = strokes(shape, rng)
    canvas += bars * rng.uniform(0.4, 1) * (ink - canvas)
    covers = np.array([
        pose.mask(font.glyphs[d], np.array([x, 0]), origin, (side, side))
        for d, x in zip(digits, pose.middles, strict=True)
    ])  # fmt: skip
    cover = covers.max(axis=0)
    if rng.random() < 0.3:  # the digits stand off and throw a shadow
        shift = np.round(2 * pose.height * rng.uniform(-0.08, 0.08, 2)).astype(int)
        canvas *= 1 - rng.uniform(0.2, 0.5) * gaussian_filter(np.roll(cover, shift, (0, 1)), 1.5)
    if rng.random() < 0.25:  # worn paint
        cover = cover * np.clip(1.1 - rng.uniform(0, 0.5) * np.abs(blotches(shape, 12, rng)), 0.3, 1)
    canvas += cover * (ink - canvas)
    canvas = lighting(shape, rng)[..., 0] * canvas
    canvas = gaussian_filter(canvas, 2 * rng.uniform(0.25, 0.3 + 0.015 * pose.height))
    canvas = canvas.reshape(side, 2, side, 2).mean(axis=(1, 3))
    canvas += rng.normal(0, rng.uniform(0, 2.5), (side, side))
    share = covers.reshape(len(digits), side, 2, side, 2).mean(axis=(2, 4))
    mask = np.where(share.max(axis=0) > COVERED, share.argmax(axis=0) + 1, 0)
    image = np.clip(np.round(canvas), 0, 255).astype("uint8")
    boxes = np.array([box_of(cover) for cover in covers], "float32")
    return Scene(image, boxes, np.array(digits, "uint8"), mask.astype("uint8"))


def digit_scenes(split: str, n: int, side: int, seed: int = SEED) -> Iterator[Scene]:
    """n scenes; the i-th depends on split, side, seed and i alone."""
    for i in range(n):
        yield draw_scene(split, side, np.random.default_rng([seed, SPLITS.index(split), side, i]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DEST", type=Path)
    parser.add_argument("--number", type=int, default=100, help="scenes of each split (%(default)s)")
    parser.add_argument("--side", type=int, default=48, help="pixels (%(default)s)")
    arguments = parser.parse_args()
    for split in SPLITS:
        folder = arguments.folder / split
        folder.mkdir(parents=True, exist_ok=True)
        for i, scene in enumerate(digit_scenes(split, arguments.number, arguments.side), 1):
            Image.fromarray(scene.image).save(folder / f"{i}.png")
            Image.fromarray(scene.mask).save(folder / f"{i}_mask.png")  # values 0, 1, 2, … look black
        print(f"{folder}: {arguments.number} scenes")


if __name__ == "__main__":
    main()
