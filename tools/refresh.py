"""make refresh: re-execute notebooks in place at the sample scale, normalise them, renew what is derived from them.

NB names notebooks as everywhere, or their solutions: "solutions", "solutions/03".

What it writes depends on code and versions alone, not on the clock or the number of cores: every kernel computes with
one thread.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import joblib
import nbformat
from tqdm import tqdm

from tools import contact_sheet, figures, notebooks, readme_table
from tools.order import longest_first
from tools.threads import pinned
from utils import results
from utils.settings import VARIABLES, SettingError
from utils.storage import read_json, write_bytes, write_json

# Metadata that varies with the machine or the editor. CI runs the same with --verify.
NBSTRIPOUT = ["--keep-output", "--keep-count", "--keep-id", "--extra-keys", "metadata.language_info"]
SAMPLE_SEED = 42
HALFWAY = (
    "Notebooks named above are renewed, the others are as they were; call it again, so that results and "
    "pictures agree with them."
)


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Keep of the streams what a terminal would show, of figures 256 colours; drop the times at which cells ran."""
    notebooks.tidy_streams(notebook)
    figures.shrink_outputs(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def without_clock(measured: dict) -> dict:
    """A result without what differs from run to run and from machine to machine: date, seconds, device."""
    kept = {fact: value for fact, value in measured.items() if fact not in ("date", "total_seconds")}
    kept["environment"] = {k: v for k, v in measured["environment"].items() if k != "device"}
    kept["models"] = {
        name: {fact: value for fact, value in model.items() if fact != "seconds"}
        for name, model in measured["models"].items()
    }
    return kept


def filtered(content: bytes, *module: str) -> bytes:
    """A notebook as a module (ruff or nbstripout) makes it, called as a filter: these write in place without care."""
    return subprocess.run(
        [sys.executable, "-m", *module], input=content, capture_output=True, check=True
    ).stdout


def tidy_code(path: Path) -> None:
    """Format a notebook's cells. Exits where they cannot be read as Python."""
    content = path.read_bytes()
    try:
        formatted = filtered(content, "ruff", "format", "--stdin-filename", str(path), "-")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{path.name} cannot be formatted: {error.stderr.decode().strip()}")
    if formatted != content:
        write_bytes(path, formatted)


async def renew(path: Path, free: asyncio.Semaphore, bar: tqdm) -> None:
    """Execute one notebook and put it in place. Raises NotebookFailed or OSError; the file is then as it was."""
    async with free:
        before = path.read_bytes()
        results.run_path(path.stem, "sample", SAMPLE_SEED).unlink(missing_ok=True)  # of an earlier run
        settings = dict.fromkeys(VARIABLES, "") | {"COURSE_SCALE": "sample", "COURSE_SEED": str(SAMPLE_SEED)}
        executed = await notebooks.execute(
            path, on_cell=lambda cell, done: bar.update(done), **settings, **pinned(1)
        )
    normalise(executed)
    renewed = filtered(f"{nbformat.writes(executed)}\n".encode(), "nbstripout", *NBSTRIPOUT)
    if path.read_bytes() != before:
        raise notebooks.NotebookFailed(f"{path.name} was changed while it was executed", executed, 0)
    write_bytes(path, renewed)
    bar.write(path.name)


async def renew_all(paths: list[Path]) -> dict[Path, BaseException]:
    """Renew the notebooks, as many at a time as there are cores; what went wrong, by notebook."""
    free = asyncio.Semaphore(joblib.cpu_count())
    cells = sum(len(notebooks.number_cells(nbformat.read(path, as_version=4))) for path in paths)
    with tqdm(total=cells, unit="cell", ncols=100, disable=None, leave=False) as bar:
        paths = longest_first(paths, {})
        outcomes = await asyncio.gather(*(renew(path, free, bar) for path in paths), return_exceptions=True)
    return {path: outcome for path, outcome in zip(paths, outcomes, strict=True) if outcome}


def update(renewed: list[Path]) -> None:
    """Renew results/sample.json by what these notebooks measured, and the tables and the picture. Raises OSError."""
    expected = read_json(results.MEASURED_SAMPLE)
    for path in renewed:
        if measured := read_json(results.run_path(path.stem, "sample", SAMPLE_SEED)):
            expected.setdefault("notebooks", {})[path.stem] = without_clock(measured)
    expected["notebooks"] = dict(sorted(expected.get("notebooks", {}).items()))
    write_json(results.MEASURED_SAMPLE, expected)
    readme_table.update()
    contact_sheet.update()


def main(numbers: str = "") -> None:
    if (os.environ.get("COURSE_SCALE") or "sample") != "sample" or (
        os.environ.get("KERAS_BACKEND") or "tensorflow"
    ) != "tensorflow":
        sys.exit(
            "Stored outputs are those of the sample scale on TensorFlow: unset COURSE_SCALE and KERAS_BACKEND."
        )
    folder, _, number = numbers.partition("/")
    solutions = folder == "solutions"
    try:
        paths = notebooks.find_solutions(number) if solutions else notebooks.find(numbers)
    except SettingError as error:
        sys.exit(str(error))
    notebooks.check_build()
    try:
        for path in paths:
            tidy_code(path)
        errors = notebooks.run(renew_all(paths))
        update([] if solutions else [path for path in paths if path not in errors])
    except OSError as error:
        sys.exit(f"\n{notebooks.cannot_write(error, 'The course')}. {HALFWAY}")
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted. {HALFWAY}")
    failures = []
    for path, error in errors.items():
        if isinstance(error, OSError):
            error = notebooks.cannot_write(error, path.name)
        elif not isinstance(error, notebooks.NotebookFailed):
            raise error
        failures.append(str(error))
    if failures:
        sys.exit(
            "\n" + "\n\n".join(failures) + "\n\nThese notebooks are as they were; the others are renewed."
        )
    print(
        "Renewed: the notebooks' outputs, results/sample.json, the table and the picture in README.md. Read the diff before you commit."
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])
