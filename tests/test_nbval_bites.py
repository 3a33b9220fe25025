"""nbval, as make test calls it, fails where it should: on an altered output and on altered code."""

import json
import os
import subprocess
import sys

import pytest
from course import NOTEBOOKS, ROOT, code_cells, read, source

PATH = next(path for path in NOTEBOOKS if path.name.startswith("02"))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict[str, bool]:
    """Whether nbval passes: the notebook as it is, with an altered parameter count, with altered code."""
    folder = tmp_path_factory.mktemp("notebooks")
    cells = code_cells(read(PATH))
    table = next(cell for cell in cells if "layer_table(feedforward())" in source(cell))

    def write(name, altered):
        (folder / f"{name}.ipynb").write_text(
            json.dumps(read(PATH) | {"cells": [cells[0], altered]}), encoding="utf-8"
        )

    def with_changes(cell, old, new):
        changed = json.dumps(cell).replace(old, new)
        assert changed != json.dumps(cell)
        return json.loads(changed)

    write("as_it_is", table)
    write("output", with_changes(table, "669,706", "669,707"))
    write("code", table | {"source": source(table).replace("Dense(512", "Dense(511", 1)})
    assert json.loads((folder / "code.ipynb").read_text())["cells"][1] != table

    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval",
        "--nbval-current-env",
    ]
    command += [
        f"--confcutdir={ROOT}",
        "--nbval-cell-timeout=120",
        "--rootdir",
        str(folder),
        "-rA",
        str(folder),
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    passed = {}
    for name in ("as_it_is", "output", "code"):
        verdicts = [
            line.split()[0]
            for line in lines
            if f"{name}.ipynb::Cell 1" in line and line[:4] in ("PASS", "FAIL")
        ]
        assert len(verdicts) == 1, done.stdout + done.stderr
        passed[name] = verdicts == ["PASSED"]
    return passed


def test_an_unaltered_copy_passes(report):
    assert report["as_it_is"]


def test_an_altered_output_fails(report):
    assert not report["output"]


def test_altered_code_fails(report):
    assert not report["code"]
