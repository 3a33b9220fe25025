"""Finding a published file: in COURSE_DATA, in Keras's cache, or at its publisher's; and what to call it."""

import fnmatch
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from utils.storage import SAMPLE, DataError, digests_of, files_in, sha256_of, sha256_of_names

SILENT = 60.0  # seconds after which a server that sends nothing more is given up


@dataclass(frozen=True)
class Published:
    """A file as its publisher offers it."""

    name: str  # of the dataset
    filename: str
    url: str
    sha256: str = ""  # published hashes of the file: one of the two will do
    md5: str = ""
    cached: str = ""  # what Keras calls it in its cache, where that is not its filename
    cache_folder: str = "datasets"  # of Keras's cache
    folder: str = ""  # what an archive unpacks to; in COURSE_DATA it may stand in the archive's place
    under: str = ""  # the folder of COURSE_DATA that holds it, where it is one of several files
    folder_md5: Mapping[str, str] = field(default_factory=dict)  # published hashes of the folder's files


class Found(NamedTuple):
    """A file or folder that was found."""

    path: Path
    name: str  # what to call it
    sha256: str  # of a folder, as `sha256_of` gives it


def in_course_data(*names: str, under: str = "") -> tuple[Path | None, str]:
    """The first of these names (or patterns such as "WIKI_PRICES*.zip") in COURSE_DATA, or None and why not.

    under: a folder of COURSE_DATA to look in. Raises DataError where COURSE_DATA is set and is no folder that can
    be read.
    """
    if not (given := os.environ.get("COURSE_DATA")):
        return None, "COURSE_DATA: not set"
    wanted = " or ".join(f"{under}/{name}" if under else name for name in names)
    folder = Path(given).expanduser() / under
    try:
        # Path.exists cannot tell “unreadable” from “not there”
        present = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        if under and isinstance(error, FileNotFoundError) and folder.parent.is_dir():
            return None, f"COURSE_DATA={given}: no {wanted} there"
        raise DataError(
            f"COURSE_DATA={given} cannot be read ({error.strerror}): name a folder that holds {wanted}, or unset it."
        ) from error
    found = [folder / match for name in names for match in fnmatch.filter(present, name)]
    return (found[0], "") if found else (None, f"COURSE_DATA={given}: no {wanted} there")


def not_found(name: str, filename: str, looked: list[str]) -> DataError:
    """The error for a dataset that is in none of the places."""
    where = "\n".join(f"  - {place}" for place in looked)
    return DataError(
        f"{name} ({filename}) was not found.\nLooked in\n{where}\n"
        f"Two ways out: set COURSE_DATA to a folder that holds {filename}, "
        "or use the bundled sample (unset COURSE_SCALE)."
    )


def find(published: Published) -> Found:
    """A published file: from COURSE_DATA, Keras's cache, or downloaded into that cache.

    Its name is the publisher's where the hashes are; else what dataset.json beside the file calls it. A file whose
    hash nobody publishes is not downloaded; Keras's cache may hold it.
    Raises DataError, with all places that were tried.
    """
    wanted = [name for name in (published.folder, published.filename) if name]
    path, why_not = in_course_data(*wanted, under=published.under)
    if path:
        return described(path, published)
    looked = [why_not]
    wanted = [f"{published.under}/{name}" if published.under else name for name in wanted]

    try:
        cache = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / published.cache_folder
    except RuntimeError as error:  # as in some containers
        looked.append("Keras's cache: there is no home directory; set HOME or KERAS_HOME to a folder")
        raise not_found(published.name, " or ".join(wanted), looked) from error
    cached = cache / (published.cached or published.filename)
    published_hash = published.sha256 or published.md5
    if os.path.exists(cached):  # noqa: PTH110 - Path.exists raises an error where the folder cannot be read
        is_published, sha256 = _identified(cached, published)
        if is_published:
            return Found(cached, published.name, sha256)
        if not published_hash:
            return Found(cached, f"{cached.name} (from Keras's cache; no hash is published)", sha256)
        looked.append(f"Keras's cache: {cached} is not the published file (its hash differs)")
    else:
        looked.append(f"Keras's cache: no {cached}")
    if not published_hash:
        looked.append(f"download: not tried, since no hash is published; fetch {published.url} yourself")
        raise not_found(published.name, " or ".join(wanted), looked)

    import keras  # seconds; only a download needs it

    try:
        cache.mkdir(parents=True, exist_ok=True)
        # What arrives is renamed into the cache only when it is whole and its hash is right.
        with tempfile.TemporaryDirectory(dir=cache, prefix="partial-") as partial, _patient_for(SILENT):
            downloaded = keras.utils.get_file(
                published.filename,
                published.url,
                file_hash=published_hash,
                cache_dir=partial,
                cache_subdir=".",
            )
            Path(downloaded).replace(cached)
    except Exception as error:  # get_file raises plain Exception for a failed request
        looked.append(f"download: {error}")
    else:
        return Found(cached, published.name, published.sha256 or sha256_of(cached))

    raise not_found(published.name, " or ".join(wanted), looked)


@contextmanager
def _patient_for(seconds: float) -> Iterator[None]:
    """Connections made meanwhile wait for so long and no longer; get_file itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def described(path: Path, published: Published | None = None) -> Found:
    """A file or folder of the reader's own and what to call it: published, as its folder's dataset.json says, or
    unverified."""
    is_published, sha256 = _identified(path, published)
    return Found(path, published.name if is_published else _given_name(path, published), sha256)


def bundled(filename: str, name: str) -> Found:
    """A file of the sample, and what to call it."""
    return Found(SAMPLE / filename, name, sha256_of(SAMPLE / filename))


def _given_name(path: Path, published: Published | None) -> str:
    if published and published.under:
        path = path.parent
    unverified = f"{path.name} (the reader's own)"
    names = path.parent / "dataset.json"
    if not names.exists():
        return unverified
    try:
        given = json.loads(names.read_text(encoding="utf-8"))
        return str(given.get(path.name, unverified))
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            f'{names} is not a JSON object of names such as {{"{path.name}": "…"}}: {error}'
        ) from error


def _identified(path: Path, published: Published | None) -> tuple[bool, str]:
    """Whether a file or folder is the published one, and its SHA-256; every file is read once."""
    if not path.is_dir():
        if published and published.md5 and not published.sha256:
            sha256, md5 = digests_of(path, "sha256", "md5")
            return md5 == published.md5, sha256
        sha256 = sha256_of(path)
        return bool(published) and sha256 == published.sha256, sha256
    if not (expected := published.folder_md5 if published else {}):
        return False, sha256_of(path)
    digests = {file.name: digests_of(file, "sha256", "md5") for file in files_in(path)}
    sha256 = sha256_of_names({name: sha256 for name, (sha256, _) in digests.items()})
    return all(name in digests and digests[name][1] == md5 for name, md5 in expected.items()), sha256
