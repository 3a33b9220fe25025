"""nbval, as make test calls it, fails where it should: on an altered output and on altered code."""

import json
import os
import re
import subprocess
import sys

import pytest
from course import NOTEBOOKS, ROOT, code_cells, is_compared, read, source

PATH = next(path for path in NOTEBOOKS if path.name.startswith("02"))


@pytest.fixture(scope="module")
def passed(tmp_path_factory) -> dict[str, bool]:
    """Whether nbval passes three versions of one cell: as it is, with an altered parameter count, with altered code.

    All three stand in one copy of the notebook, behind its import cell.
    """
    cells = code_cells(read(PATH))
    table = next(cell for cell in cells if "layer_table(feedforward())" in source(cell))
    assert is_compared(table)
    altered = {
        "as it is": table,
        "output": json.loads(json.dumps(table).replace("669,706", "669,707")),
        "code": table | {"source": source(table).replace("Dense(512", "Dense(511", 1)},
    }
    assert altered["output"] != table
    assert altered["code"]["source"] != source(table)
    named = [cell | {"id": f"cell-{i}"} for i, cell in enumerate([cells[0], *altered.values()])]
    copy = tmp_path_factory.mktemp("notebooks") / "copy.ipynb"
    copy.write_text(json.dumps(read(PATH) | {"cells": named}), encoding="utf-8")

    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "--confcutdir",
        str(ROOT),
    ]
    command += [
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=120",
        "--rootdir",
        str(copy.parent),
        str(copy),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, cwd=copy.parent, env=environment, capture_output=True, text=True, check=False
    )
    verdicts = dict(
        reversed(match) for match in re.findall(r"(?m)^(PASSED|FAILED) .*::Cell (\d)", done.stdout)
    )
    assert verdicts.get("0") == "PASSED", done.stdout + done.stderr
    return {name: verdicts[str(i)] == "PASSED" for i, name in enumerate(altered, 1)}


def test_an_unaltered_cell_passes(passed):
    assert passed["as it is"]


def test_an_altered_output_fails(passed):
    assert not passed["output"]


def test_altered_code_fails(passed):
    assert not passed["code"]
