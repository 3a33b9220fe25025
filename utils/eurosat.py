"""EuroSAT as its authors publish it: tiles in one folder a class, unpacked or in the zip, in the layout of either release."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from utils.published import Found, Published, find, in_course_data
from utils.storage import DataError, bounded

SIDE = 64  # pixels of a tile
CLASSES = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop",
    "Residential", "River", "SeaLake",
)  # fmt: skip

# P. Helber, B. Bischke, A. Dengel and D. Borth: EuroSAT: A Novel Dataset and Deep Learning Benchmark for Land Use and
# Land Cover Classification, IEEE JSTARS 12 (2019). The hash is that of the file in the record 7711810 at Zenodo.
EUROSAT = Published(
    name="EuroSAT (RGB)",
    filename="EuroSAT_RGB.zip",
    url="https://zenodo.org/records/7711810/files/EuroSAT_RGB.zip",
    md5="f46e308c4d50d4bf32fedad2d3d62f3b",
    folder="EuroSAT_RGB",
)
# The authors publish no hash of their first release; this is the one that torchvision holds its download against.
FIRST_RELEASE = Published(
    name="EuroSAT (RGB), first release",
    filename="EuroSAT.zip",
    url="https://madm.dfki.de/files/sentinel/EuroSAT.zip",
    md5="c8fa014336c82ac7804f0398fcb19387",
    folder="2750",
)
FOLDERS = (EUROSAT.folder, FIRST_RELEASE.folder)
LAYOUT = f"{EUROSAT.folder}/<class>/<class>_N.jpg or {FIRST_RELEASE.folder}/<class>/<class>_N.jpg"


def find_tiles() -> Found:
    """EuroSAT's folder or zip: in COURSE_DATA of either release, else the current one from Keras's cache or its publisher.

    Raises DataError, see `utils.published.find`.
    """
    for release in (EUROSAT, FIRST_RELEASE):
        if in_course_data(release.folder, release.filename)[0]:
            return find(release)
    return find(EUROSAT)


def read_tiles(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Tiles and labels of the folder or the zip at path; nothing is unpacked to disk.

    Returns images uint8, (n, 64, 64, 3), and labels uint8, (n,), places in CLASSES, in the order of the tiles' numbers,
    and of the classes where numbers are the same. Hidden files, and those outside the folders of classes, are passed
    over. Raises DataError where a class is missing or unknown, or a file is no such tile.
    """
    tiles = sorted(_of_folder(path) if path.is_dir() else _of_archive(path), key=lambda tile: tile[:2])
    counts = np.bincount([label for _, label, _ in tiles], minlength=len(CLASSES))
    if missing := [name for name, count in zip(CLASSES, counts, strict=True) if not count]:
        raise DataError(
            f"{path} has no tiles of {', '.join(missing)}. EuroSAT has ten classes, as {LAYOUT}: "
            "take the data from the publisher again."
        )
    return np.stack([image for *_, image in tiles]), np.array([label for _, label, _ in tiles], "uint8")


Tile = tuple[int, int, np.ndarray]  # number, label, image


def _of_folder(path: Path) -> Iterator[Tile]:
    try:
        folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and folder.name[0] != ".")
        files = [(folder.name, file) for folder in folders for file in sorted(folder.iterdir())]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    for name, file in files:
        if file.name[0] != ".":
            number, label = _place(name, file.name, f"{path}: {name}/{file.name}")
            yield number, label, _image(file, str(file))


def _of_archive(path: Path) -> Iterator[Tile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in bounded(path, archive.infolist()):
                name, parts = member.filename, PurePosixPath(member.filename).parts
                if ".." in parts or name.startswith("/") or "\\" in name:
                    raise DataError(
                        f"{path} holds {name!r}, a path that climbs out of the archive: take the data "
                        "from the publisher again."
                    )
                if len(parts) == 3 and parts[0] in FOLDERS and parts[2][0] != ".":
                    where = f"{path}: {name}"
                    number, label = _place(*parts[1:], where)
                    yield number, label, _image(io.BytesIO(archive.read(member)), where)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} cannot be read as a zip archive ({error}). It is damaged or something else: replace it."
        ) from error


def _place(folder: str, file: str, where: str) -> tuple[int, int]:
    """A tile's number and label, from its folder and its name."""
    if folder not in CLASSES:
        raise DataError(f"{where}: EuroSAT has no class {folder}. Its classes are {', '.join(CLASSES)}.")
    if not (match := re.fullmatch(rf"{folder}_(\d+)\.(?:jpe?g|png)", file, re.IGNORECASE)):
        raise DataError(f"{where} is no tile: those of this class are called {folder}_N.jpg. Remove it.")
    return int(match[1]), CLASSES.index(folder)


def _image(file: Path | io.BytesIO, where: str) -> np.ndarray:
    try:
        with Image.open(file) as picture:
            image = np.asarray(picture.convert("RGB"))
    except Exception as error:  # of many kinds where a file is damaged
        raise DataError(f"{where} cannot be read as an image ({error}): replace it.") from error
    if image.shape != (SIDE, SIDE, 3):
        rows, columns = image.shape[:2]
        raise DataError(f"{where} has {columns} × {rows} pixels; EuroSAT's tiles have {SIDE} × {SIDE}.")
    return image
