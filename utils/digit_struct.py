"""Reading digitStruct.mat, the annotations of SVHN's format 1.

MATLAB wrote it in its version 7.3, which is HDF5: two columns of object references, one row an image, lead to the
image's name and to a group with the boxes of its digits. In that group a field is one plain number where there is one
digit, and a column of references to numbers where there are more. (Y. Netzer et al., "Reading Digits in Natural
Images with Unsupervised Feature Learning", NIPS workshop, 2011.)
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from h5py import h5d, h5f, h5r, h5s, h5t

from utils.files import DataError
from utils.parallel import cores, in_order

FIELDS = ("label", "left", "top", "width", "height")  # of a box
# What stands in memory; found once, since h5py would look for it at every reading.
TEXT, NUMBER, REFERENCE = h5t.NATIVE_UINT16, h5t.NATIVE_DOUBLE, h5t.py_create(h5py.ref_dtype)
IMAGES_PER_JOB = 512
FEW_JOBS = 8
Annotation = tuple[str, np.ndarray]  # name of the image; boxes, float64, (digits, 5), in the order of FIELDS


def read_annotations(path: Path, workers: int | None = None) -> pd.DataFrame:
    """The annotations of a digitStruct.mat, one row a digit, in the file's order.

    workers: processes; by default all cores for a long file, one for a short one. Columns: image (0 for the first),
    file (its name), position (0 for the number's first digit), label (1 to 10 as published, 10 being the digit
    0), left, top, width, height (pixels); numbers are float64 where MATLAB has them.

    Raises DataError where the file is missing, cut short, of MATLAB's older format, or laid out otherwise.
    """
    annotations = read_boxes(path, workers)
    counts = [len(boxes) for _, boxes in annotations]
    table = pd.DataFrame(np.concatenate([boxes for _, boxes in annotations]), columns=FIELDS)
    table.insert(0, "image", np.repeat(np.arange(len(counts)), counts))
    table.insert(1, "file", np.repeat(np.array([name for name, _ in annotations], dtype=object), counts))
    table.insert(2, "position", np.concatenate([np.arange(count) for count in counts]))
    return table


def read_boxes(path: Path, workers: int | None = None) -> list[Annotation]:
    """Name and boxes of every image; see `read_annotations`, which makes a table of them."""
    jobs = [(path, *images) for images in in_jobs(number_of_images(path))]
    return [
        annotation for part in in_order(_read_job, jobs, workers or workers_for(jobs)) for annotation in part
    ]


def in_jobs(number: int) -> list[tuple[int, int]]:
    """Images 0 to number - 1, cut into the pieces (start, stop) that one process does at a time."""
    return [(start, min(start + IMAGES_PER_JOB, number)) for start in range(0, number, IMAGES_PER_JOB)]


def workers_for(jobs: Sequence) -> int:
    """All cores for many jobs; one for a few, where starting further processes costs more than they save."""
    return cores() if len(jobs) > FEW_JOBS else 1


def number_of_images(path: Path) -> int:
    """How many images a digitStruct.mat describes. Raises DataError, see `read_annotations`."""
    try:
        with path.open("rb") as file:
            older = file.read(10) == b"MATLAB 5.0"
        if not older:
            with h5py.File(path) as file:
                shapes = {field: file["digitStruct"][field].shape for field in ("name", "bbox")}
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be read as SVHN's annotations ({error}). Unpack the archive again, or load it anew."
        ) from error
    if older:
        raise DataError(
            f"{path} is of MATLAB's older format 5.0. SVHN's format 1, the full images, comes with one of format "
            "7.3: take the digitStruct.mat from that archive."
        )
    if shapes["name"] != shapes["bbox"] or shapes["name"][1:] != (1,) or not shapes["name"][0]:
        raise DataError(
            f"{path}: digitStruct holds {shapes}; expected names (n, 1) and as many boxes, n ≥ 1."
        )
    return shapes["name"][0]


def _read_job(job: tuple[Path, int, int]) -> list[Annotation]:
    return read_range(*job)


def read_range(path: Path, start: int, stop: int) -> list[Annotation]:
    """Annotations of the images from start to stop.

    h5py's low-level API is used: with `file[reference]` and `group["label"]` most of the time goes into objects that
    h5py makes around HDF5's own. What was read last is kept, as much as a short file has, for whoever looks at the
    annotations and then cuts out the images. Raises DataError, see `read_annotations`.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). Unpack the archive again.") from error
    return list(_read_range(path, start, stop, facts.st_mtime_ns, facts.st_size))


@functools.lru_cache(maxsize=FEW_JOBS)
def _read_range(path: Path, start: int, stop: int, changed: int, size: int) -> tuple[Annotation, ...]:
    """See `read_range`; changed and size: of the file, so that another one under the same name is read anew."""
    found = []
    try:
        with h5py.File(path) as opened:
            names, boxes = (opened["digitStruct"][field][start:stop, 0] for field in ("name", "bbox"))
            file = opened.id
            for name, box in zip(names, boxes, strict=True):
                text = h5r.dereference(name, file)
                text = _read(text, text.shape, np.uint16, TEXT)
                group = h5r.dereference(box, file)
                columns = [_numbers(h5d.open(group, field.encode()), file) for field in FIELDS]
                numbers = np.array(columns).T
                numbers.flags.writeable = False  # shared by all who ask
                found.append((text.tobytes().decode("utf-16-le"), numbers))
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: the annotation of image {start + len(found) + 1:,} cannot be read ({error}). "
            "The file is damaged or not SVHN's: load it anew."
        ) from error
    return tuple(found)


def _read(dataset: h5d.DatasetID, shape: tuple[int, ...], dtype, kind: h5t.TypeID) -> np.ndarray:
    values = np.empty(shape, dtype)
    dataset.read(h5s.ALL, h5s.ALL, values, kind)
    return values


def _numbers(dataset: h5d.DatasetID, file: h5f.FileID) -> list[float]:
    """A field of the boxes: one plain number, or one reference a digit to a number."""
    shape = dataset.shape
    if shape == (1, 1):
        return [_read(dataset, shape, np.float64, NUMBER)[0, 0]]
    digits = _read(dataset, shape, h5py.ref_dtype, REFERENCE)[:, 0]
    return [_read(h5r.dereference(digit, file), (1, 1), np.float64, NUMBER)[0, 0] for digit in digits]
