"""Preprocessing of house numbers against the chapter's way: annotations alone, and the whole.

python -m benchmarks.svhn_preprocessing [BOXES.json.xz] [--images N]

BOXES: real annotations as [[file, [[label, {xmin, ymin, xmax, ymax}], ...]], ...]; simulated ones without. Images of
smooth noise are drawn to fit them. Baseline: the chapter's way, h5py's high-level API attribute by attribute, and one
image after the other. Both get the same folder, and their results are compared.
"""

import argparse
import json
import lzma
import tempfile
import time
from pathlib import Path

import h5py
import joblib
import numpy as np
from PIL import Image

from sample.digit_struct_writer import Box, write_digit_struct
from utils.digit_struct import FIELDS, read_boxes
from utils.svhn import GREY, read_split, write_split


def simulated_boxes(rng: np.random.Generator, number: int) -> list[np.ndarray]:
    """Boxes (label, left, top, width, height) of one to four digits, side by side."""
    found = []
    for length in rng.choice([1, 2, 3, 4], number, p=[0.15, 0.55, 0.26, 0.04]):
        width, height = rng.integers(8, 30), rng.integers(20, 60)
        lefts = rng.integers(10, 40) + width * np.arange(length)
        top = rng.integers(5, 20)
        labels = rng.integers(1, 11, length)
        found.append(
            np.array(
                [[label, left, top, width, height] for label, left in zip(labels, lefts, strict=True)], float
            )
        )
    return found


def real_boxes(path: Path) -> list[np.ndarray]:
    entries = json.loads(lzma.decompress(path.read_bytes()))
    return [
        np.array([
            [float(label) or 10, box["xmin"], box["ymin"], box["xmax"] - box["xmin"], box["ymax"] - box["ymin"]]
            for label, box in digits
        ])
        for _, digits in entries
    ]  # fmt: skip


def draw_folder(folder: Path, boxes: list[np.ndarray], rng: np.random.Generator) -> None:
    """Images in which the boxes fit, and their digitStruct.mat."""
    names = [f"{number}.png" for number in range(1, len(boxes) + 1)]
    texture = rng.integers(0, 255, (64, 64, 3)).astype("uint8")
    texture = Image.fromarray(texture).resize((1024, 1024), Image.Resampling.BICUBIC)
    grain = rng.integers(-8, 8, (1024, 1024, 3))
    texture = Image.fromarray(np.clip(np.asarray(texture) + grain, 0, 255).astype("uint8"))
    for name, box in zip(names, boxes, strict=True):
        right, bottom = (box[:, 1:3] + box[:, 3:]).max(axis=0).astype(int) + 10
        texture.crop((0, 0, right, bottom)).save(folder / name)
    order = [FIELDS.index(field) for field in Box._fields]
    write_digit_struct(
        folder / "digitStruct.mat", names, [[Box(*row[order]) for row in box] for box in boxes]
    )


def chapters_annotations(path: Path) -> list[tuple[str, np.ndarray]]:
    """What `utils.digit_struct.read_boxes` gives, by h5py's high-level API; tests compare with it, too."""
    found = []
    with h5py.File(path) as file:
        names, boxes = file["digitStruct"]["name"], file["digitStruct"]["bbox"]
        for i in range(len(names)):
            name = "".join(chr(code[0]) for code in file[names[i][0]][()])
            columns = []
            for field in FIELDS:
                attribute = file[boxes[i].item()][field]
                if len(attribute) > 1:
                    columns.append([file[attribute[()][j].item()][()][0][0] for j in range(len(attribute))])
                else:
                    columns.append([attribute[()][0][0]])
            found.append((name, np.array(columns).T))
    return found


def chapters_way(folder: Path, target: Path) -> None:
    annotations = chapters_annotations(folder / "digitStruct.mat")
    dataset = np.empty((len(annotations), 32, 32, 1), "float32")
    for i, (name, boxes) in enumerate(annotations):
        image = Image.open(folder / name)
        low, high = boxes[:, 1:3].min(axis=0), (boxes[:, 1:3] + boxes[:, 3:]).max(axis=0)
        wider = 0.1 * (high - low)
        low, high = np.maximum(np.floor(low - wider), 0), np.minimum(np.ceil(high + wider), image.size)
        image = image.crop((*low.astype(int), *high.astype(int))).resize((32, 32), Image.Resampling.LANCZOS)
        grey = np.dot(np.array(image, dtype="float32"), GREY)[..., None]
        dataset[i] = (grey - grey.mean()) / grey.std()
    with h5py.File(target, "w") as file:
        file["X"] = dataset


def timed(function, *arguments):
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("boxes", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=12_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    boxes = real_boxes(arguments.boxes) if arguments.boxes else simulated_boxes(rng, arguments.images)
    boxes = [box for box in boxes if len(box) <= 5][: arguments.images]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw_folder(folder, boxes, rng)
        mat = folder / "digitStruct.mat"
        print(
            f"{len(boxes):,} images, digitStruct.mat of {mat.stat().st_size / 1e6:.0f} MB, {joblib.cpu_count()} cores"
        )

        slow, expected = timed(chapters_annotations, mat)
        fast, got = timed(read_boxes, mat)
        single, _ = timed(read_boxes, mat, 1)
        same = all(a == b and np.array_equal(x, y) for (a, x), (b, y) in zip(expected, got, strict=True))
        print(f"annotations: {slow:.1f} s, {single:.1f} s on one core, {fast:.1f} s on all; the same: {same}")
        print(
            f"  the chapter's way / low-level API = {slow / single:.1f}; / low-level API on all cores = {slow / fast:.1f}"
        )

        slow, _ = timed(chapters_way, folder, folder / "chapter.h5")
        fast, skipped = timed(write_split, folder, folder / "ours.h5")
        with h5py.File(folder / "chapter.h5") as file:
            difference = np.abs(file["X"][()] - read_split(folder / "ours.h5")["X"]).max()
        print(
            f"whole: {slow:.1f} s, {fast:.1f} s; skipped {len(skipped)}; largest difference {difference:.4f}"
        )
        print(f"  the chapter's way / write_split = {slow / fast:.1f}")


if __name__ == "__main__":
    main()
