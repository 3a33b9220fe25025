"""House numbers in SVHN's format 1, drawn from the sheet numerals.png: python -m sample.house_numbers DEST

Writes DEST/svhn/train.tar.gz and test.tar.gz: PNGs and a digitStruct.mat, as the publisher's archives have them.
Test images use fonts that no training image uses.
"""

import argparse
import functools
import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from tqdm import tqdm

from sample.digit_struct_writer import Box, write_digit_struct
from utils.storage import SAMPLE, atomic

SIDE = 64  # pixels; a square of the sheet
BUNDLED = {"train": 3000, "test": 600}  # images in data/svhn
BUNDLED_SEED = 5
SPLITS = tuple(BUNDLED)
COLOURS = 16  # of a PNG's palette; it keeps the archives small

# Fitted to the annotations that SVHN publishes for its 33,402 training images, but for the two marked "ours".
LENGTHS = (0.15, 0.45, 0.25, 0.10, 0.05)  # share of 1 to 5 digits; ours (SVHN: .154 .543 .260 .043 .0003)
ONLY_DIGIT = (0.011, 0.132, 0.133, 0.112, 0.121, 0.117, 0.103, 0.091, 0.092, 0.088)  # share of 0 to 9
FIRST_DIGIT = (0.001, 0.303, 0.200, 0.134, 0.102, 0.079, 0.057, 0.050, 0.039, 0.035)  # of two and more
LOG_HEIGHT = {1: 3.41, 2: 3.44, 3: 3.41, 4: 3.12, 5: 3.12}  # mean of log(height in pixels), by length
LOG_HEIGHT_SD = 0.47
HEIGHTS = (11, 40)  # pixels; ours: others are drawn again (SVHN's largest hundredth: above 102)
STEP, STEP_SD = 0.47, 0.28  # from digit to digit, in heights: median, and standard deviation of the logarithm
LEVEL, TILT = 0.25, 8.0  # share of level numbers; Laplace scale of the others' slope in degrees
SLACK = {"width": (1.0, 1.1), "height": (1.0, 1.2)}  # a box's side, in those of the digit


class Font(NamedTuple):
    """One row of the sheet: glyphs (10, SIDE, SIDE) uint8, advance and ink (left, top, right, bottom) in pixels."""

    glyphs: list[Image.Image]
    advance: np.ndarray
    ink: np.ndarray


@functools.cache
def fonts(part: str) -> list[Font]:
    """The fonts of a part, "train" or "test", from numerals.png and its index."""
    sheet, found = Image.open(SAMPLE / "numerals.png"), []
    for row, entry in enumerate(json.loads((SAMPLE / "numerals.json").read_text(encoding="utf-8"))):
        if entry["part"] == part:
            lefts = range(0, 10 * SIDE, SIDE)
            glyphs = [sheet.crop((x, row * SIDE, x + SIDE, row * SIDE + SIDE)) for x in lefts]
            found.append(Font(glyphs, np.array(entry["advance"]), np.array([g.getbbox() for g in glyphs])))
    return found


def draw_number(rng: np.random.Generator) -> list[int]:
    """The digits of a number."""
    length = 1 + rng.choice(5, p=LENGTHS)
    first = rng.choice(10, p=ONLY_DIGIT if length == 1 else FIRST_DIGIT)
    return [int(first), *map(int, rng.integers(0, 10, length - 1))]


def colour(light: float, rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) of a lightness from 0 to 255: greyish, warmer or colder, one time in eight a strong one."""
    tint = rng.normal(0, 18) * np.array([1, 0, -1]) + rng.normal(0, 35 if rng.random() < 1 / 8 else 7, 3)
    return np.clip(light + tint - tint.mean(), 0, 255)


def blotches(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of about unit variance, with about so many cells along the longer side."""
    coarse = rng.normal(0, 1, [max(2, round(cells * side / max(shape))) for side in shape])
    return zoom(coarse, np.divide(shape, coarse.shape), order=1)


class Pose:
    """Where a number stands: from its own frame (pixels of the sheet, origin in its middle) to the image's."""

    def __init__(
        self,
        digits: Sequence[int],
        font: Font,
        rng: np.random.Generator,
        heights: tuple[float, float] = HEIGHTS,
    ):
        height = 0.0
        while not heights[0] <= height <= heights[1]:
            height = rng.lognormal(LOG_HEIGHT[len(digits)], LOG_HEIGHT_SD)
        self.height, ink = height, font.ink[list(digits)]
        scale = height / rng.uniform(*SLACK["height"]) / (ink[:, 3] - ink[:, 1]).max()
        advance = font.advance[list(digits)] * rng.uniform(0.95, 1.15)
        stretch = rng.lognormal(np.log(STEP), STEP_SD) * height / (advance.mean() * scale)
        tilt = 0 if rng.random() < LEVEL else np.radians(np.clip(rng.laplace(0, TILT), -30, 30))
        turn = rng.choice([0, 1])  # the digits turn with their line, or stay upright on it
        tilted = np.array([[np.cos(tilt), -turn * np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
        slant = np.array([[1, rng.normal(0, 0.06)], [0, 1]])
        self.matrix = scale * tilted @ slant @ np.diag([np.clip(stretch, 0.55, 1.3), 1])
        self.middles = np.cumsum(advance) - advance / 2 - advance.sum() / 2
        self.half_width = advance.sum() / 2

    def corners(self, ink: np.ndarray, middle: float) -> np.ndarray:
        """Upper left and lower right corner, (2, 2), of the box around a digit in the image's frame."""
        x, y = ink[[0, 2, 0, 2]] - SIDE / 2 + middle, ink[[1, 1, 3, 3]] - SIDE / 2
        points = self.matrix @ np.stack([x, y])
        return np.stack([points.min(axis=1), points.max(axis=1)])

    def mask(self, glyph: Image.Image, at: np.ndarray, origin: np.ndarray, size, factor=1.0) -> np.ndarray:
        """A digit's cover, (rows, columns) from 0 to 1, at twice the image's size.

        at: the middle of its square in the number's frame; origin: the window's corner in the image's frame, pixels;
        size: of the window, (width, height) pixels; factor: the digit is so much larger than the number's own.
        """
        inverse = np.linalg.inv(self.matrix) / factor
        offset = inverse @ (origin - self.matrix @ at) + SIDE / 2
        inverse, coefficients = inverse / 2, []
        for row in range(2):
            coefficients += [*inverse[row], offset[row]]
        size = (2 * size[0], 2 * size[1])
        drawn = glyph.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC)
        return np.asarray(drawn, dtype=float) / 255


def wall(shape: tuple[int, int], height: float, paint: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a number hangs on, (rows, columns, 3): plain, blotched, or with joints as of boards or bricks."""
    canvas = np.broadcast_to(paint, (*shape, 3)).copy()
    if rng.random() < 0.6:
        canvas += rng.uniform(4, 16) * blotches(shape, rng.integers(3, 9), rng)[..., None]
    if rng.random() < 0.35:
        y, x = np.indices(shape)
        rows, wide = rng.uniform(0.5, 1.5) * height, rng.uniform(2, 5) * height
        y = y + rng.uniform(-0.1, 0.1) * x + rng.uniform(0, rows)
        joint = (y % rows < 2.5) | ((x + (y // rows % 2) * wide / 2) % wide < 2.5) & (rng.random() < 0.5)
        canvas[joint] += rng.choice([-1, 1]) * rng.uniform(15, 45)
    return canvas


def lighting(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """How bright the light is, (rows, columns, 1): a slope, and one time in four the edge of a shadow."""
    y, x = (np.indices(shape).T / np.array(shape)).T - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    light = 1 + rng.uniform(0, 0.6) * along
    if rng.random() < 0.25:
        edge = (x * np.sin(angle) - y * np.cos(angle) + rng.uniform(-0.4, 0.4)) / rng.uniform(0.02, 0.2)
        light = light * (1 - rng.uniform(0.25, 0.55) / (1 + np.exp(np.clip(-edge, -50, 50))))
    return light[..., None]


def render(digits: Sequence[int], part: str, rng: np.random.Generator) -> tuple[np.ndarray, list[Box]]:
    """Draw a number, given as digits 0 to 9, in a font of the part: image (rows, columns, 3) uint8, and boxes.

    Every box lies inside the image, all boxes of an image have one height, and digits without a box may intrude
    from the sides.
    """
    choice = fonts(part)
    font = choice[rng.integers(len(choice))]
    pose = Pose(digits, font, rng)
    corners = np.stack([pose.corners(font.ink[d], x) for d, x in zip(digits, pose.middles, strict=True)])
    centres, sizes = corners.mean(axis=1), np.ptp(corners, axis=1)
    sizes[:, 0] *= rng.uniform(*SLACK["width"], len(digits))
    sizes[:, 1] = max(sizes[:, 1].max(), pose.height)
    low, high = (centres - sizes / 2).min(axis=0), (centres + sizes / 2).max(axis=0)
    before, after = pose.height * rng.uniform((0.1, 0.05), (0.7, 0.35), (2, 2))
    origin = np.floor(low - before)
    columns, rows = (np.ceil(high + after) - origin).astype(int) + 1
    sizes, starts = np.ceil(sizes).astype(int), np.floor(centres - sizes / 2 - origin).astype(int)
    starts = np.clip(starts, 0, np.array([columns, rows]) - sizes)
    boxes = [
        Box(int(h), int(x), int(y), int(w), d or 10)
        for d, (x, y), (w, h) in zip(digits, starts, sizes, strict=True)
    ]

    shape, window = (2 * rows, 2 * columns), (columns, rows)
    ground = rng.uniform(25, 230)
    contrast = rng.uniform(40, 170)
    light = ground + contrast * (1 if rng.random() > ground / 255 else -1)
    if not 0 <= light <= 255:
        light = np.clip(2 * ground - light, 0, 255)
    ink = colour(light, rng)
    canvas = wall(shape, 2 * pose.height, colour(ground, rng), rng)
    if rng.random() < 0.4:  # a plate
        y, x = np.indices(shape) / 2
        frame = np.linalg.inv(pose.matrix) @ np.stack([x.ravel() + origin[0], y.ravel() + origin[1]])
        edges = np.array([pose.half_width, SIDE / 2]) + rng.uniform(2, 16, 2)
        outside = (np.abs(frame.T) - edges).max(axis=1).reshape(shape)
        behind = wall(shape, 2 * pose.height, colour(rng.uniform(25, 230), rng), rng)
        canvas[outside > 0] = behind[outside > 0]
        if rng.random() < 0.5:
            canvas[(outside > -rng.uniform(2, 5)) & (outside < 0)] = ink
    cover = np.zeros(shape)
    for d, x in zip(digits, pose.middles, strict=True):
        cover = np.maximum(cover, pose.mask(font.glyphs[d], np.array([x, 0]), origin, window))
    for side in (-1, 1):  # neighbours
        if rng.random() < 0.25:
            other = font if rng.random() < 0.5 else choice[rng.integers(len(choice))]
            x = side * (pose.half_width + SIDE * rng.uniform(0.75, 1.15))
            at, factor = np.array([x, rng.normal(0, 12)]), rng.uniform(0.7, 1.3)
            cover = np.maximum(cover, pose.mask(other.glyphs[rng.integers(10)], at, origin, window, factor))
    if rng.random() < 0.3:  # the digits stand off and throw a shadow
        shift = np.round(2 * pose.height * rng.uniform(-0.08, 0.08, 2)).astype(int)
        canvas *= 1 - rng.uniform(0.2, 0.5) * gaussian_filter(np.roll(cover, shift, (0, 1)), 1.5)[..., None]
    if rng.random() < 0.25:  # worn paint
        cover = cover * np.clip(1.1 - rng.uniform(0, 0.5) * np.abs(blotches(shape, 12, rng)), 0.3, 1)
    canvas += cover[..., None] * (ink - canvas)
    canvas = lighting(shape, rng) * canvas
    canvas = gaussian_filter(canvas, (*[2 * rng.uniform(0.25, 0.3 + 0.025 * pose.height)] * 2, 0))
    canvas = canvas.reshape(rows, 2, columns, 2, 3).mean(axis=(1, 3))
    canvas += rng.normal(0, rng.uniform(0, 2.5), (rows, columns, 1))
    return np.clip(np.round(canvas), 0, 255).astype("uint8"), boxes


def house_numbers(split: str, n: int, seed: int) -> Iterator[tuple[np.ndarray, list[Box]]]:
    """n images and their boxes, as `render` gives them; the i-th depends on split, seed and i alone."""
    for i in range(n):
        rng = np.random.default_rng([seed, SPLITS.index(split), i])
        yield render(draw_number(rng), split, rng)


def with_palette(image: np.ndarray) -> Image.Image:
    """The image in COLOURS colours, as it is stored."""
    return Image.fromarray(image).quantize(COLOURS, dither=Image.Dither.NONE)


def add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_split(path: Path, split: str, n: int, seed: int, progress: bool = False) -> None:
    """Write split/1.png, split/2.png, … and split/digitStruct.mat as a tar.gz, complete or not at all.

    The same call gives the same bytes, with the same versions of NumPy, SciPy, Pillow, HDF5 and zlib.
    """
    names, boxes = [], []
    with (
        atomic(path) as partial,
        partial.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        tempfile.TemporaryDirectory() as folder,
    ):
        images = house_numbers(split, n, seed)
        for number, (image, digits) in enumerate(tqdm(images, split, total=n, disable=not progress), 1):
            content = io.BytesIO()
            with_palette(image).save(content, "PNG", optimize=True)
            names.append(f"{number}.png")
            boxes.append(digits)
            add_file(archive, f"{split}/{names[-1]}", content.getvalue())
        mat = Path(folder, "digitStruct.mat")
        write_digit_struct(mat, names, boxes)
        add_file(archive, f"{split}/{mat.name}", mat.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DEST", type=Path)
    parser.add_argument("--train", type=int, default=10_000, help="training images (%(default)s)")
    parser.add_argument("--test", type=int, default=2_000, help="test images (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="%(default)s")
    arguments = parser.parse_args()
    for split in SPLITS:
        path = arguments.folder / "svhn" / f"{split}.tar.gz"
        write_split(path, split, getattr(arguments, split), arguments.seed, progress=True)
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
