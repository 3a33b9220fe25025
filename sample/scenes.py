"""Scenes in CIFAR-10's format, put together from the drawings of emoji.png: data/scenes.npz."""

import json

import numpy as np
from PIL import Image, ImageFilter

from utils.storage import SAMPLE

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SCENES = {"fit": 1170, "validation": 130, "test": 300}  # images, as many of each class
DRAWINGS = {
    "validation": 0.12,
    "test": 0.25,
}  # share of a class's drawings, at least one; the others are for fit
CANVAS = 64  # pixels; scenes are put together at twice their size


def read_sheet(name: str) -> list[tuple[dict[str, str], Image.Image]]:
    """Every drawing on the sheet name.png, RGBA, with what name.json says of it: class, emoji, design."""
    sheet = Image.open(SAMPLE / f"{name}.png").convert("RGBA")
    columns = sheet.width // CANVAS
    found = []
    for i, entry in enumerate(json.loads((SAMPLE / f"{name}.json").read_text(encoding="utf-8"))):
        left, top = i % columns * CANVAS, i // columns * CANVAS
        found.append((entry, sheet.crop((left, top, left + CANVAS, top + CANVAS))))
    return found


def drawings() -> dict[str, list[Image.Image]]:
    """The drawings of every class, RGBA, from the sheet emoji.png and its index."""
    found = {name: [] for name in CLASSES}
    for entry, drawing in read_sheet("emoji"):
        found[entry["class"]].append(drawing)
    return found


def split_drawings(rng: np.random.Generator) -> dict[str, dict[str, list[Image.Image]]]:
    """Part -> class -> drawings; none is in two parts."""
    parts = {part: {} for part in SCENES}
    for name, pictures in drawings().items():
        pictures = [pictures[i] for i in rng.permutation(len(pictures))]
        for part, share in DRAWINGS.items():
            n = max(1, round(share * len(pictures)))
            parts[part][name], pictures = pictures[:n], pictures[n:]
        parts["fit"][name] = pictures
    return parts


def background(rng: np.random.Generator, side: int) -> Image.Image:
    """A smooth mix of a few random colours on a square canvas, half of the time with noise on it."""
    colours = rng.uniform(40, 215) + rng.normal(0, 28, 3) + rng.normal(0, 28, (*rng.integers(1, 4, 2), 3))
    colours = Image.fromarray(np.clip(colours, 0, 255).astype("uint8"))
    canvas = np.asarray(colours.resize((side, side), Image.Resampling.BICUBIC), dtype=float)
    canvas = canvas + rng.normal(0, rng.choice([0, 25]), canvas.shape)
    return Image.fromarray(np.clip(canvas, 0, 255).astype("uint8"))


def place(canvas: Image.Image, drawing: Image.Image, rng: np.random.Generator, size, spread, opacity) -> None:
    """Draw a drawing on the canvas, scaled, mirrored, turned, tinted, and moved from the centre.

    size, spread: range of its side and largest shift each way, as shares of the canvas's side.
    """
    side = round(canvas.width * rng.uniform(*size))
    drawing = drawing.resize((side, side), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    drawing = drawing.rotate(rng.normal(0, 8), Image.Resampling.BICUBIC, expand=True)
    pixels = np.asarray(drawing) * np.append(rng.uniform(0.7, 1.15, 3), rng.uniform(*opacity))
    drawing = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
    x, y = (canvas.width * (0.5 + rng.uniform(-spread, spread, 2))).round().astype(int)
    canvas.paste(drawing, (x - drawing.width // 2, y - drawing.height // 2), drawing)


def scene(
    name: str, pictures: dict[str, list[Image.Image]], rng: np.random.Generator, side: int = CANVAS // 2
) -> tuple[np.ndarray, int]:
    """One scene of a class: a background, clutter from other classes, the drawing on top.

    Returns the scene, (side, side, 3) uint8, and which of pictures[name] it shows.
    """
    canvas = background(rng, 2 * side)
    for _ in range(rng.integers(0, 3)):
        other = rng.choice([c for c in pictures if c != name])
        clutter = pictures[other][rng.integers(len(pictures[other]))]
        place(canvas, clutter, rng, size=(0.2, 0.35), spread=0.5, opacity=(0.4, 1))
    shown = int(rng.integers(len(pictures[name])))
    place(canvas, pictures[name][shown], rng, size=(0.6, 0.95), spread=0.2, opacity=(0.8, 1))
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    return np.asarray(canvas.reduce(2)), shown


def scenes(seed: int = 3) -> dict[str, np.ndarray]:
    """Scenes in CIFAR-10's format and classes, rendered from the drawings of emoji.png.

    Returns x_train, x_test, uint8 (n, 32, 32, 3); y_train, y_test, uint8 (n,), the place in CLASSES; drawing_train,
    drawing_test, uint8 (n,), a number for each drawing, so that scenes of the same drawing can be kept together.
    No drawing of a test scene occurs in a training scene. The last SCENES["validation"] training scenes have
    drawings of their own too, so that cutting them off gives a validation set that measures the same.
    """
    rng = np.random.default_rng(seed)
    X, y, drawing, numbered = {}, {}, {}, 0
    for part, pictures in split_drawings(rng).items():
        first = {}  # the number of each class's first drawing
        for name in CLASSES:
            first[name], numbered = numbered, numbered + len(pictures[name])
        y[part] = rng.permutation(np.arange(SCENES[part]) % len(CLASSES)).astype("uint8")
        drawn = [scene(CLASSES[label], pictures, rng) for label in y[part]]
        X[part] = np.stack([image for image, _ in drawn])
        numbers = [first[CLASSES[label]] + shown for label, (_, shown) in zip(y[part], drawn, strict=True)]
        drawing[part] = np.array(numbers, dtype="uint8")
    return {
        "x_train": np.concatenate([X["fit"], X["validation"]]),
        "y_train": np.concatenate([y["fit"], y["validation"]]),
        "x_test": X["test"],
        "y_test": y["test"],
        "drawing_train": np.concatenate([drawing["fit"], drawing["validation"]]),
        "drawing_test": drawing["test"],
    }
