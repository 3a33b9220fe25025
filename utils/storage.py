"""Files on disk: where the course keeps them, reading and writing them whole, their hashes."""

import hashlib
import json
import lzma
import os
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np
from filelock import FileLock
from tqdm import tqdm

from utils.settings import WithoutTraceback

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data"  # the files that ship with the course
BUILD = ROOT / "build"  # what running it makes; may be deleted
Member = TypeVar("Member", tarfile.TarInfo, zipfile.ZipInfo)
GROWTH, SLACK = 3, 100_000_000  # an archive may hold three times its own size and 100 MB


class DataError(WithoutTraceback, RuntimeError):
    """A dataset is missing, damaged or not what it should be; the message says what to do."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside path, to write a file to: at the end the file takes path's place, complete.

    After an exception it is removed, and what was at path stays. Its name is this process's own, ends as path's does
    (some libraries go by that), and starts with a dot. The folder around is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part.{os.getpid()}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):  # whatever went wrong before is what the caller is to hear of
            partial.unlink()


@contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to be filled; at the end it takes path's place, complete.

    It is put together in memory: where a disk fills while HDF5 writes to it, HDF5 ends the whole process. Raises OSError.
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        content = file.id.get_file_image()
    write_bytes(path, content)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside path, named after it, while something is made there; who asks meanwhile waits.

    The folder around is made. An OSError becomes a DataError: the disk is full, or the folder may not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield
    except OSError as error:
        raise DataError(
            f"{path.parent} cannot be written ({error}). Free some space, or mend its permissions; then run this again."
        ) from error


def kept_as(folder: Path, prefix: str, suffix: str, **made_from: str | int | float) -> Path:
    """The path of a file that is computed once: folder/prefix-HASH.suffix, of the hash of all it is made from.

    So a file made from anything else has another name; one of this name is, if it is whole, the right one.
    """
    content = json.dumps(made_from, sort_keys=True)
    return folder / f"{prefix}-{hashlib.sha256(content.encode()).hexdigest()[:16]}{suffix}"


def remove_earlier(path: Path) -> None:
    """Remove the files that `kept_as` named like this one but for the hash, and what killed writers left of any.

    To be called by who holds the prefix's lock, after writing: so a folder keeps one file a prefix, and a file that
    nobody will ask for again does not fill the disk.
    """
    prefix, suffix = path.stem.rpartition("-")[0], path.suffix
    alike = re.compile(rf"{re.escape(prefix)}-[0-9a-f]{{16}}{re.escape(suffix)}")
    for other in path.parent.iterdir():
        name = re.sub(r"\.part\.\d+(\.\w+)?$", "", other.name.removeprefix("."))
        if alike.fullmatch(name) and other != path:
            with suppress(OSError):  # somebody else may be reading it, which on Windows keeps it
                other.unlink()


def read_json(path: Path) -> dict:
    """Read a JSON object. Raises ValueError naming the file where it holds none; {} where there is no file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): mend or delete it") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, not a JSON object: mend or delete it")
    return content


def write_json(path: Path, content: dict) -> None:
    """Write a JSON object, complete or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all."""
    write_bytes(path, text.encode())  # bytes, so that lines end alike on every system


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    with atomic(path) as partial:
        partial.write_bytes(content)


def unpack(archive: Path, target: Path, member: str) -> None:
    """Unpack one folder of a tar archive (plain or compressed) to target, complete or not at all.

    member: name of the folder in the archive. Nothing is written outside of it: a path that climbs out, or a link or
    device that does, is an error (Python's own filter for data). Nor is more written than `bounded` allows. Raises
    DataError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix="partial-") as partial,
            tarfile.open(archive) as tar,
        ):
            members = tqdm(
                tar, desc=f"unpacking {archive.name}", unit="file", delay=3, leave=False, ncols=100
            )
            tar.extractall(partial, bounded(archive, members), filter="data")
            (Path(partial) / member).replace(target)
    except tarfile.FilterError as error:
        raise DataError(f"{archive} is not safe to unpack ({error}): load it from its publisher.") from error
    except FileNotFoundError as error:
        raise DataError(f"{archive} holds no folder {member}: it is another archive.") from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{archive} is damaged or no tar archive ({error}): load it anew.") from error
    except OSError as error:
        raise DataError(f"{archive} cannot be unpacked to {target} ({error}).") from error


def bounded(archive: Path, members: Iterable[Member]) -> Iterator[Member]:
    """The members of an archive, each before it is read, as long as their sizes are those of a dataset.

    Together they may have GROWTH times the archive's own size and SLACK bytes: images are compressed already, and what
    grows further is made to fill the disk or the memory. Raises DataError.
    """
    limit, total = GROWTH * archive.stat().st_size + SLACK, 0
    for member in members:
        total += member.size if isinstance(member, tarfile.TarInfo) else member.file_size
        if total > limit:
            raise DataError(
                f"{archive} holds more than {limit / 1e6:,.0f} MB, far more than a dataset of its size: "
                "load it from its publisher."
            )
        yield member


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz archive, without pickled objects. Raises DataError where it is missing or damaged."""
    if not path.exists():
        raise DataError(
            f"{path} is missing: restore it (git checkout), or make it again (see data/README.md)."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            list(bounded(path, archive.infolist()))
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read as an .npz archive ({error}). It is damaged or something else: replace it."
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of what `sha256sum *` prints in it. Raises DataError."""
    if path.is_dir():
        return sha256_of_names({file.name: sha256_of(file) for file in files_in(path)})
    return digests_of(path, "sha256")[0]


def sha256_of_names(sha256: Mapping[str, str]) -> str:
    """SHA-256 of a folder, from those of its files by name, in order."""
    lines = [f"{digest}  {name}\n" for name, digest in sha256.items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files_in(folder: Path) -> list[Path]:
    """The files in a folder, in order, without hidden ones such as .DS_Store. Raises DataError."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}): check its permissions.") from error


def sha256_of_array(*arrays: np.ndarray) -> str:
    """SHA-256 of shapes, dtypes and values of arrays."""
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def digests_of(path: Path, *algorithms: str) -> list[str]:
    """Hexadecimal digests of a file, read once, such as "sha256" and "md5". Raises DataError."""
    digests = [hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms]
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                for digest in digests:
                    digest.update(block)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the file's permissions.") from error
    return [digest.hexdigest() for digest in digests]
