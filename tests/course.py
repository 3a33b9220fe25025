"""What several tests need to know about the notebooks."""

import ast
import json
from pathlib import Path

from tools.colab import CELL_ID

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(ROOT.glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("[0-9][0-9]_solutions.ipynb"))
IGNORED = "nbval-ignore-output"


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code_cells(notebook: dict) -> list[dict]:
    """The course's own: without the cell that fetches the course on Colab, if tools/colab.py has put it in."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and cell.get("id") != CELL_ID]


def is_compared(cell: dict) -> bool:
    """Whether nbval holds the cell's stored output against a new one."""
    return IGNORED not in cell["metadata"].get("tags", [])


def printed_text(cell: dict) -> str:
    """The text that a cell stores: streams and results, without the bare names of figures."""
    texts = []
    for output in cell["outputs"]:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if not (text := "".join(text)).startswith("<Figure"):
            texts.append(text)
    return "".join(texts).strip()


def definitions(path: Path, names: set[str], namespace: dict) -> dict:
    """Execute a notebook's functions of these names, as they stand there, in the namespace."""
    for cell in code_cells(read(path)):
        for node in ast.parse(source(cell)).body:
            if isinstance(node, ast.FunctionDef) and node.name in names:
                exec(compile(ast.Module([node], []), str(path), "exec"), namespace)
    if missing := names - namespace.keys():
        raise LookupError(f"{path.name} does not define {', '.join(sorted(missing))}")
    return namespace


class FakeRun:
    """The three things that a loader asks of a Run."""

    def __init__(self, scale, seed=42):
        self.scale = scale
        self.seed = seed
        self.facts = {}

    def note_data(self, **facts):
        self.facts.update(facts)


# the notebooks that measure something, and so leave results and claims to check
RECORDING = [
    path for path in NOTEBOOKS if any("run.record(" in source(cell) for cell in code_cells(read(path)))
]
