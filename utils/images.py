"""Images to look at, and a reader's own: one of them, or a folder of them by class."""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image
from tqdm import tqdm

from utils.published import in_course_data
from utils.run import Run
from utils.storage import DataError, sha256_of_array
from utils.svhn import describe_skipped

SMALLEST = 16  # rows and columns that an image must have
FEWEST_OWN = 10  # images of each class to learn from, to validate and to test with
MOST_OWN = 256  # classes, since labels are uint8
ENDINGS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp"}
LAYOUT = "one folder a class, with its images in it: images/<class>/*.jpg"

Split = tuple[np.ndarray, np.ndarray]


class TooSmall(DataError):
    """An image has too few pixels."""


class ImageFolder(NamedTuple):
    """Images by class."""

    images: np.ndarray  # uint8, (n, side, side, 3), red, green, blue, one class after the other
    labels: np.ndarray  # int64, (n,), places in class_names
    class_names: tuple[str, ...]  # the names of the folders, in order
    report: str  # how many images of each class, and which files were left out
    sha256: str  # of images and labels


def open_image(path: str | Path) -> Image.Image:
    """An image file in RGB, with 8 bits a colour.

    Anything that Pillow reads: it is turned upright as its EXIF data say; of an animation the first frame is taken;
    what is transparent becomes white; 16 bits become 8. Raises DataError where the file is missing, damaged or no
    image, TooSmall where it has less than 16 rows or columns.
    """
    try:
        with Image.open(Path(path).expanduser()) as file:
            picture = _in_rgb(ImageOps.exif_transpose(file))
    except Exception as error:  # of many kinds where a file is damaged
        raise DataError(f"{path} cannot be read as an image ({error}). Name a JPEG or PNG file.") from error
    if min(picture.size) < SMALLEST:
        raise TooSmall(
            f"{path} is {picture.width} × {picture.height} pixels; use at least {SMALLEST} × {SMALLEST}."
        )
    return picture


def load_image(path: str | Path, side: int) -> np.ndarray:
    """The middle square of an image, resized: uint8, (side, side, 3), red, green, blue. See `open_image`.

    Raises DataError where the file is missing, damaged, no image, or smaller than 16 pixels.
    """
    return np.asarray(ImageOps.fit(open_image(path), (side, side), Image.Resampling.LANCZOS))


def load_image_folder(run: Run, folder: str | Path | None = None, side: int = 64) -> ImageFolder:
    """The images of a folder that has one folder a class; by default COURSE_DATA/images.

    side: of the images returned, see `load_image`. Files of other types and hidden files are passed over; images that
    cannot be read or have less than 16 rows or columns are left out, and the report counts and names them. What the
    images are is noted in the run as "own_images", beside the notebook's main data.

    Raises DataError where there is no folder, fewer than two classes, or a class without an image that can be used.
    """
    if folder is None:
        folder, why_not = in_course_data("images")
        if folder is None:
            raise DataError(f"No images of your own: {why_not}. Set COURSE_DATA to a folder with {LAYOUT}.")
    folder = Path(folder).expanduser()
    paths = _paths_by_class(folder)
    images, labels, skipped = [], [], {}
    total = sum(map(len, paths.values()))
    bar = tqdm(total=total, desc=folder.name, unit="image", file=sys.stdout, delay=3, leave=False, ncols=100)
    with bar:
        for label, name in enumerate(paths):
            for path in paths[name]:
                try:
                    images.append(load_image(path, side))
                    labels.append(label)
                except DataError as error:
                    reason = "too small" if isinstance(error, TooSmall) else "unreadable"
                    skipped.setdefault(reason, []).append(f"{name}/{path.name}")
                bar.update()
    counts = np.bincount(np.array(labels, "int64"), minlength=len(paths))
    left_out = describe_skipped(skipped)
    if not all(counts):
        empty = [name for name, count in zip(paths, counts, strict=True) if not count]
        raise DataError(
            f"{folder}: no image of {', '.join(empty)} can be used; skipped {left_out}. "
            "Replace these files, or remove the class's folder."
        )
    each = ", ".join(f"{name} {count:,}" for name, count in zip(paths, counts, strict=True))
    report = f"{folder.name}: {len(images):,} of {total:,} images in {len(paths)} classes ({each}), skipped {left_out}"
    images, labels = np.stack(images), np.array(labels, "int64")
    sha256 = sha256_of_array(images, labels)
    run.note_data(own_images=f"{len(images)} images in {len(paths)} classes, SHA-256 {sha256}")
    return ImageFolder(images, labels, tuple(paths), report, sha256)


def load_own_images(run: Run, side: int) -> tuple[Split, Split, tuple[str, ...]]:
    """The reader's own images, from COURSE_DATA/images/<class>/, in the form of `load_cifar10`.

    side: of the images returned. Returns (X_train, y_train), (X_test, y_test) and the names of the classes: images
    uint8, (n, side, side, 3); labels uint8, (n,), places among the names. The test images are as many of each class, a
    fifth of the smallest one's, so that none counts more than another; all others are for training, in random order.
    The run's seed chooses. Pictures of one and the same thing may come to stand on both sides.

    Raises DataError as `load_image_folder` does, and where a class has fewer than ten images or there are more than
    256 classes.
    """
    found = load_image_folder(run, side=side)
    counts = np.bincount(found.labels)
    if counts.min() < FEWEST_OWN:
        few = found.class_names[counts.argmin()]
        raise DataError(
            f"{found.report}. Each class needs at least {FEWEST_OWN} images that can be used, to learn and "
            f"to test; {few} has {counts.min()}: add some, or remove the class's folder."
        )
    if len(counts) > MOST_OWN:
        raise DataError(f"{len(counts)} classes; there can be {MOST_OWN} at most: remove some folders.")
    order = np.random.default_rng(run.seed).permutation(len(found.labels))
    each = [order[found.labels[order] == label] for label in range(len(counts))]
    test = np.concatenate([places[: counts.min() // 5] for places in each])
    train = order[~np.isin(order, test)]
    parts = [(found.images[chosen], found.labels[chosen].astype("uint8")) for chosen in (train, test)]
    print(f"{found.report}; {len(train):,} training and {len(test):,} test images, {side} × {side}")
    return *parts, found.class_names


def load_photographs(side: int) -> tuple[np.ndarray, list[str]]:
    """Ten photographs that scikit-learn and scikit-image ship: uint8, (10, side, side, 3), and what they show.

    The middle square of each, resized. data/README.md says whose they are.
    """
    from skimage import data  # a second, which most callers need not wait

    photographs = {
        "temple": load_sample_image("china.jpg"),
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "photographer": data.camera(),
        "motorcycle": data.stereo_motorcycle()[0],
        "rocket": data.rocket(),
        "clock": data.clock(),
        "astronaut": data.astronaut(),
        "dahlia": load_sample_image("flower.jpg"),
        "coins": data.coins(),
    }
    pictures = [Image.fromarray(array).convert("RGB") for array in photographs.values()]
    squares = [ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS) for picture in pictures]
    return np.stack([np.asarray(square) for square in squares]), list(photographs)


def _paths_by_class(folder: Path) -> dict[str, list[Path]]:
    """Image files by name of the class, both in order. Raises DataError."""
    try:
        classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
        paths = {
            path.name: sorted(
                file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.name[0] != "."
            )
            for path in classes
        }
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror}): name a folder with {LAYOUT}."
        ) from error
    if len(classes) < 2:
        found = f"the class {classes[0].name} only" if classes else "no folder of a class"
        raise DataError(f"{folder} holds {found}. At least two classes are needed: {LAYOUT}.")
    if empty := [name for name, files in paths.items() if not files]:
        raise DataError(
            f"{folder}: no images in {', '.join(empty)}. Put {', '.join(sorted(ENDINGS))} files there, "
            "or remove the folder."
        )
    return paths


def _in_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        picture = _in_8_bits(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """An image of one channel with 16 or 32 bits; convert() alone would make all that is above 255 white."""
    values = np.nan_to_num(np.asarray(picture, dtype="float64"))
    if picture.mode.startswith("I;16") or values.max() > 255:
        values /= 257  # 65,535 becomes 255
    elif picture.mode == "F" and values.max() <= 1:
        values *= 255
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype("uint8"))
