"""Street View house numbers: from a folder of images and annotations to one HDF5 file a split."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from PIL import Image
from tqdm import tqdm

from utils.digit_struct import number_of_images, read_range
from utils.parallel import in_jobs, in_order, workers_for
from utils.published import Found, Published, bundled, find
from utils.storage import BUILD, DataError, hdf5_file, kept_as, locked, remove_earlier, unpack

if TYPE_CHECKING:  # the processes that crop do without Keras, which takes seconds to import
    from utils.run import Run

MOST_DIGITS = 5  # of a number
NO_DIGIT = 10  # what stands in the places beyond a number's end
GREY = np.array([0.2989, 0.5870, 0.1140], dtype="float32")  # the book's weights of red, green and blue
FORMAT = 2  # of the files written; those of another one have other names
# The publisher gives no hashes; train's and test's are those that docTR (mindee) holds its downloads against.
SVHN = {
    split: Published(
        name="SVHN format 1",
        filename=f"{split}.tar.gz",
        url=f"http://ufldl.stanford.edu/housenumbers/{split}.tar.gz",
        sha256=sha256,
        cached=f"svhn_{split}.tar.gz",
        folder=split,
        under="svhn",
    )
    for split, sha256 in {
        "train": "4b17bb33b6cd8f963493168f80143da956f28ec406cc12f8e5745a9f91a51898",
        "test": "57ac9ceb530e4aa85b55d991be8fc49c695b3d71c6f6a88afea86549efde7fb5",
        "extra": "",
    }.items()
}
MOST_LEFT_OUT = 0.1  # share of a split's images; more than that is no copy to measure on
Skipped = dict[str, list[str]]  # reason -> names of the images left out


class Unusable(ValueError):
    """An image that is left out; the message is the reason."""


# What reading one image may raise: Pillow has several errors for a damaged file. Unusable is a ValueError.
UNUSABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def why_not(error: Exception) -> str:
    """Why an image is left out, after one of UNUSABLE: such as "image missing"."""
    if isinstance(error, Unusable):
        return str(error)
    return "image missing" if isinstance(error, FileNotFoundError) else "image unreadable"


def union_box(boxes: np.ndarray, size: tuple[int, int], margin: float = 0.1) -> tuple[int, int, int, int]:
    """The smallest box around all digits, widened on each side by a share of its width and height, within the image.

    boxes: (digits, 4), left, top, width, height; size: width and height of the image; all in pixels. Returns left,
    top, right, bottom in whole pixels. Raises Unusable where a box has no size or lies outside the image.
    """
    boxes = np.asarray(boxes, dtype=float)
    if not np.isfinite(boxes).all() or (boxes[:, 2:] <= 0).any():
        raise Unusable("box of no size")
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    if (low >= size).any() or (high <= 0).any():
        raise Unusable("box outside the image")
    low, high = low.min(axis=0), high.max(axis=0)
    wider = margin * (high - low)
    low, high = np.maximum(np.floor(low - wider), 0), np.minimum(np.ceil(high + wider), size)
    return tuple(int(value) for value in (*low, *high))


def standardised(images: np.ndarray) -> np.ndarray:
    """Colour images in grey, each with mean 0 and standard deviation 1 (0 throughout where an image has one grey).

    images: uint8, (n, height, width, 3). Returns float32, (n, height, width, 1).
    """
    grey = images.astype("float32") @ GREY
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    deviation = grey.std(axis=(1, 2), keepdims=True)
    return np.where(deviation > 1e-3, grey / np.maximum(deviation, 1e-3), 0)[..., None]


def digits_of(labels: np.ndarray) -> list[int]:
    """A number's digits, NO_DIGIT beyond its end, from the labels as published (10 is the digit 0).

    Raises Unusable for none or more than MOST_DIGITS, and for a label that is no whole number from 0 to 10.
    """
    if not 1 <= len(labels) <= MOST_DIGITS:
        raise Unusable(f"more than {MOST_DIGITS} digits" if len(labels) else "no digits")
    if not np.isin(labels, range(11)).all():
        raise Unusable("label outside 0 to 10")
    return [int(label) % 10 for label in labels] + [NO_DIGIT] * (MOST_DIGITS - len(labels))


def crop(path: Path, boxes: np.ndarray, side: int = 32, margin: float = 0.1) -> np.ndarray:
    """The number in an image, cut out and resized to uint8, (side, side, 3); see `union_box`."""
    with Image.open(path) as image:
        box = union_box(boxes, image.size, margin)
        # cut first: resize(box=…) also looks at what lies beyond the box
        return np.asarray(image.convert("RGB").crop(box).resize((side, side), Image.Resampling.LANCZOS))


def raw_split(run: "Run", split: str) -> Found:
    """Folder with the images and digitStruct.mat of a split, its name and SHA-256 (of the archive, or the folder).

    split: train, test or extra (full scale only). An archive is unpacked under build/, once. Raises DataError.
    """
    splits = ["train", "test"] if run.scale == "sample" else list(SVHN)
    if split not in splits:
        raise DataError(
            f"There is no split {split!r} at the {run.scale} scale: choose {' or '.join(splits)}."
        )
    if run.scale == "sample":
        path, name, sha256 = bundled(f"svhn/{split}.tar.gz", "sample house numbers")
    else:
        path, name, sha256 = find(SVHN[split])
    if path.is_dir():
        return Found(path, name, sha256)
    folder = BUILD / "svhn" / run.scale / f"{split}-{sha256[:8]}"
    with locked(folder):
        if not folder.exists():
            unpack(path, folder, split)
    return Found(folder, name, sha256)


def ensure_dataset(
    run: "Run", split: str, side: int = 32, margin: float = 0.1, partial: bool = False
) -> Found:
    """The HDF5 file of a split, the data's name and SHA-256; made where the file is missing or unreadable.

    Its name holds the hash of the images and of how they are cut, so that other ones have a file of another name; the
    earlier one of the same split, side and margin is then removed. Who asks while another process makes the file waits
    for it. See `raw_split` and `write_split`.

    partial: go on although more than MOST_LEFT_OUT of the images cannot be used. Raises DataError, without partial for
    such a split, too.
    """
    raw, name, sha256 = raw_split(run, split)
    folder, prefix = BUILD / "svhn" / run.scale, f"{split}-{side}-{margin:g}"
    target = kept_as(folder, prefix, ".h5", images=sha256, side=side, margin=margin, format=FORMAT)
    with locked(folder / prefix):
        if not facts_of(target):
            write_split(raw, target, side, margin)
            remove_earlier(target)
    if (facts := facts_of(target)) and is_partial(facts) and not partial:
        raise DataError(
            f"{name}, {split}: only {facts['kept']:,} of {facts['annotated']:,} images in {raw} can be used, and more "
            f"than {MOST_LEFT_OUT:.0%} left out is too much; skipped {facts['skipped']}. Complete the copy; or set "
            "PARTIAL = True among the notebook's settings (partial=True in code) to go on with what is there."
        )
    return Found(target, name, sha256)


def is_partial(facts: dict) -> bool:
    """Whether more than MOST_LEFT_OUT of a split's images were left out; facts: as `facts_of` gives them."""
    return facts["annotated"] - facts["kept"] > MOST_LEFT_OUT * facts["annotated"]


def facts_of(path: Path) -> dict:
    """The attributes of a file that `write_split` wrote; {} where there is none that can be read."""
    try:
        with h5py.File(path) as file:
            return dict(file.attrs)
    except OSError:
        return {}


def name_of(found: Mapping[str, Found]) -> str:
    """What to call some splits in a record, such as "SVHN format 1, train: 3 of 39 images" where many are left out."""
    name = found["train"].name + (" with extra" if "extra" in found else "")
    for split, (path, *_) in found.items():
        facts = facts_of(path)
        name += f", {split}: {facts['kept']:,} of {facts['annotated']:,} images" if is_partial(facts) else ""
    return name


def write_split(
    folder: Path, target: Path, side: int = 32, margin: float = 0.1, workers: int | None = None
) -> Skipped:
    """Crop every number of a folder and write the HDF5 file that `read_split` reads, complete or not at all.

    folder: holds the images and digitStruct.mat; side: of the crops, in pixels; workers: processes, by default all
    cores for many images, one for few. Images that cannot be used are left out; the attributes "annotated", "kept"
    and "skipped" say how many there were, how many remain, and which do not.

    Returns the names of the images left out. Raises DataError, also where the disk is full.
    """
    number = number_of_images(folder / "digitStruct.mat")
    jobs = [(folder, start, stop, side, margin) for start, stop in in_jobs(number)]
    results = in_order(_crop_job, jobs, workers or workers_for(jobs))
    skipped: Skipped = {}
    bar = tqdm(total=number, desc=target.name, unit="image", delay=3, leave=False, ncols=100)
    try:
        with bar, hdf5_file(target) as file:
            _create(file, side)
            for job, (columns, left_out) in zip(jobs, results, strict=True):
                _append(file, columns)
                for reason, names in left_out.items():
                    skipped.setdefault(reason, []).extend(names)
                bar.update(job[2] - job[1])
            if not len(file["length"]):
                raise DataError(f"{folder}: no image can be used; skipped {describe_skipped(skipped)}")
            kept = len(file["length"])
            file.attrs.update(annotated=number, kept=kept, skipped=describe_skipped(skipped))
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error}). Free some space, or mend its folder's permissions; "
            "then run this again."
        ) from error
    return skipped


def read_split(path: Path) -> dict[str, np.ndarray]:
    """What `write_split` wrote, row i of each array being image i.

    images: uint8, (n, side, side, 3), crops in colour; X: float32, (n, side, side, 1), grey and standardised;
    length: uint8, (n,), 1 to 5; digits: uint8, (n, 5), 0 to 9, NO_DIGIT beyond the end; file: (n,), names.

    Raises DataError where the file is missing or damaged (its arrays carry checksums).
    """
    try:
        with h5py.File(path) as file:
            arrays = {name: file[name][()] for name in ("images", "X", "length", "digits")}
            return arrays | {"X": arrays["X"].astype("float32"), "file": file["file"].asstr()[()]}
    except (OSError, KeyError) as error:
        raise DataError(
            f"{path} is missing or damaged ({error}): delete it, and it is made again."
        ) from error


def describe_skipped(skipped: Skipped) -> str:
    """Such as "2: image missing (7.png), more than 5 digits (29930.png)"; "0" where nothing was left out."""
    parts = []
    for reason, names in sorted(skipped.items()):
        more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
        parts.append(f"{reason} ({', '.join(names[:3])}{more})")
    return f"{sum(map(len, skipped.values())):,}" + (f": {', '.join(parts)}" if parts else "")


def _crop_job(job: tuple[Path, int, int, int, float]) -> tuple[dict[str, np.ndarray], Skipped]:
    """Rows of the file for the images from start to stop, and which were left out."""
    folder, start, stop, side, margin = job
    images, digits, files, skipped = [], [], [], {}
    for name, boxes in read_range(folder / "digitStruct.mat", start, stop):
        try:
            if name != Path(name).name:
                raise Unusable("no plain file name")
            number = digits_of(boxes[:, 0])
            images.append(crop(folder / name, boxes[:, 1:], side, margin))
        except UNUSABLE as error:
            skipped.setdefault(why_not(error), []).append(name)
        else:
            digits.append(number)
            files.append(name)
    images = np.array(images, dtype="uint8").reshape(-1, side, side, 3)
    digits = np.array(digits, dtype="uint8").reshape(-1, MOST_DIGITS)
    rows = {"images": images, "digits": digits, "length": (digits != NO_DIGIT).sum(axis=1), "file": files}
    # NumPy rounds to half precision, since HDF5 halves what rounds up to a power of two (0.49998 becomes 0.25)
    return rows | {"X": standardised(images).astype("float16")}, skipped


def _create(file: h5py.File, side: int) -> None:
    columns = {
        "images": ((side, side, 3), "uint8"),
        "X": ((side, side, 1), "float16"),  # half the space; its three digits are more than an 8-bit grey has
        "length": ((), "uint8"),
        "digits": ((MOST_DIGITS,), "uint8"),
        "file": ((), h5py.string_dtype()),
    }
    for name, (shape, dtype) in columns.items():
        compression = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
        if name == "file":
            compression = {}
        chunks = (256, *shape)
        file.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=chunks, **compression)


def _append(file: h5py.File, rows: dict[str, np.ndarray]) -> None:
    for name, values in rows.items():
        if number := len(values):
            file[name].resize(len(file[name]) + number, axis=0)
            file[name][-number:] = values
