"""The stored notebooks, without a kernel: what nbval passes over in silence, and what a reader would trip over."""

import json
import re

import nbformat
import pytest
from course import IGNORED, NOTEBOOKS, ROOT, SOLUTIONS, code_cells, is_compared, printed_text, read, source

from tools.contact_sheet import TAG

MOST_OUTPUT = 1_000_000  # characters of one output record
MOST_LINES = 20  # of a code cell; the imports have as many as there are
LEAST_COMPARED = 0.6  # of the cells that print text

numbered = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
stored = pytest.mark.parametrize("path", [*NOTEBOOKS, *SOLUTIONS], ids=lambda path: path.stem)


def outputs(path):
    return [(i, output) for i, cell in enumerate(code_cells(read(path)), 1) for output in cell["outputs"]]


@stored
def test_is_valid(path):
    nbformat.validate(read(path))


@stored
def test_executed_from_top_to_bottom(path):
    cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@stored
def test_no_errors_and_no_stderr(path):
    assert not [i for i, output in outputs(path) if output["output_type"] == "error"]
    assert not [i for i, output in outputs(path) if output.get("name") == "stderr"]


@stored
def test_no_addresses_paths_or_log_lines(path):
    noise = re.compile(
        r"0x[0-9a-f]{6,}|/home/\w|/Users/\w|/root/|/tmp/|[A-Z]:\\\\|site-packages|ipykernel_|\boneDNN\b|\babsl\b|"
        + re.escape(str(ROOT))
    )
    for i, output in outputs(path):
        text = json.dumps({k: v for k, v in output.items() if k != "data"}) + json.dumps(
            {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/png")}
        )
        assert not noise.search(text), f"cell {i}: {noise.search(text)}"


@numbered
def test_writes_to_no_place_that_another_run_shares(path):
    """Two runs at once would take each other's weights: what a notebook reads again is in a temporary folder."""
    place = re.compile(r"build/(?!tensorboard)\w")
    shared = [i for i, cell in enumerate(code_cells(read(path)), 1) if place.search(source(cell))]
    assert not shared


@stored
def test_metadata_is_normalised(path):
    notebook = read(path)
    kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook["metadata"] == {"kernelspec": kernelspec}


@stored
def test_only_known_tags(path):
    for cell in read(path)["cells"]:
        assert set(cell["metadata"].get("tags", [])) <= {IGNORED, TAG}


@numbered
def test_one_figure_stands_in_the_readme(path):
    tagged = [cell for cell in code_cells(read(path)) if TAG in cell["metadata"].get("tags", [])]
    pictures = [
        output for cell in tagged for output in cell["outputs"] if "image/png" in output.get("data", {})
    ]
    assert (len(tagged), len(pictures)) == (1, 1)


@stored
def test_output_records_are_small(path):
    for i, output in outputs(path):
        assert len(json.dumps(output)) <= MOST_OUTPUT, f"cell {i}"
    assert path.stat().st_size < 5_000_000


@numbered
def test_most_cells_that_print_are_compared(path):
    printing = [cell for cell in code_cells(read(path)) if printed_text(cell)]
    compared = [cell for cell in printing if is_compared(cell)]
    assert len(compared) >= LEAST_COMPARED * len(printing), f"{len(compared)} of {len(printing)}"


@stored
def test_compared_cells_that_print_have_their_output(path):
    for i, cell in enumerate(code_cells(read(path)), 1):
        if is_compared(cell) and re.search(r"(?m)^print\(|^layer_table\(", source(cell)):
            assert printed_text(cell), f"cell {i} prints, but stores nothing to compare with"


@numbered
def test_form(path):
    cells = read(path)["cells"]
    text = "\n".join(source(cell) for cell in cells if cell["cell_type"] == "markdown")
    assert source(cells[0]).startswith(f"# {path.stem[:2]} · ")
    for heading in ("## Setup", "## Settings", "## What to take away", "## Exercises", "**Next:**"):
        assert heading in text
    imports = [i for i, cell in enumerate(code_cells({"cells": cells}), 1) if "import " in source(cell)]
    assert imports == [1], "one import cell"
    for i, cell in enumerate(code_cells({"cells": cells}), 1):
        lines = [line for line in source(cell).splitlines() if line.strip()]
        assert i in imports or len(lines) <= MOST_LINES, f"cell {i} has {len(lines)} lines"
        assert "sys.path" not in source(cell)
        assert "filterwarnings" not in source(cell)
    assert f'Run("{path.stem}")' in source(code_cells({"cells": cells})[1])
    code = "\n".join(source(cell) for cell in code_cells({"cells": cells}))
    assert ("run.record(" in code) == ("run.compare(" in code), "what is recorded is compared in a table"


@numbered
def test_every_exercise_has_a_solution(path):
    solutions = ROOT / "solutions" / f"{path.stem[:2]}_solutions.ipynb"
    titles = [source(cell) for cell in read(solutions)["cells"] if cell["cell_type"] == "markdown"]
    solved = re.findall(r"^## (\d+)\.", "\n".join(titles), flags=re.M)
    exercises = "".join(source(cell) for cell in read(path)["cells"]).split("## Exercises")[1]
    assert solved == re.findall(r"^(\d+)\. \*\(", exercises, flags=re.M)
    assert f"(solutions/{solutions.name})" in exercises
