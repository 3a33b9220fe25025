"""make refresh: re-execute notebooks in place at the sample scale, normalise them, renew what is derived from them."""

import os
import subprocess
import sys

import nbformat

from tools import contact_sheet, notebooks, readme_table
from utils import results
from utils.storage import read_json, write_json, write_text

# Metadata that varies with the machine or the editor. CI runs the same with --verify.
NBSTRIPOUT = ["--keep-output", "--keep-count", "--keep-id", "--extra-keys", "metadata.language_info"]
SAMPLE_SEED = 42


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Keep of the streams what a terminal would show, drop the times at which cells ran."""
    notebooks.tidy_streams(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def main(numbers: str = "") -> None:
    if (
        os.environ.get("COURSE_SCALE", "sample") != "sample"
        or os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow"
    ):
        sys.exit(
            "Stored outputs are those of the sample scale on TensorFlow: unset COURSE_SCALE and KERAS_BACKEND."
        )
    paths = notebooks.find(numbers)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *paths], check=True)
    for path in paths:
        try:
            executed = notebooks.execute(path, COURSE_SEED=str(SAMPLE_SEED))
        except notebooks.NotebookFailed as failure:
            sys.exit(f"\n{failure}\nThe stored notebook is as it was.")
        normalise(executed)
        write_text(path, nbformat.writes(executed) + "\n")
        subprocess.run([sys.executable, "-m", "nbstripout", *NBSTRIPOUT, path], check=True)
        if measured := read_json(results.run_path(path.stem, "sample", SAMPLE_SEED)):
            expected = read_json(results.MEASURED_SAMPLE)
            expected.setdefault("notebooks", {})[path.stem] = measured
            write_json(results.MEASURED_SAMPLE, expected)
    readme_table.update()
    contact_sheet.update()
    print(
        "Renewed: the notebooks' outputs, results/sample.json, the table and the picture in README.md. Read the diff before you commit."
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])
