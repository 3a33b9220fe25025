"""Give the notebooks a link to Google Colab, once the repository has a public address: python -m tools.colab ADDRESS.

The address goes into pyproject.toml and CITATION.cff; each notebook gets a link below its title, and a first code cell
that fetches the course where Colab executes it and does nothing elsewhere. Nothing has to be executed anew: stored
counts move on by one. A second call changes nothing, another address takes the place of the first, and --off restores
every file to the byte.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from utils.storage import ROOT, write_bytes

CELL_ID = "colab"  # of the cell; what counts or hashes the course's own cells leaves it out
# Colab opens notebooks from GitHub alone.
GITHUB = re.compile(r"https://github\.com/([a-zA-Z\d-]+/[\w.-]*\w)(?<!\.git)", re.A)
PLACES = {  # by file: the start of the line above the address, and its own line
    "pyproject.toml": ("license-files = ", 'urls.Repository = "{}"'),
    "CITATION.cff": ("license: ", "repository-code: {}"),
}
LINK = (
    "[Open in Colab](https://colab.research.google.com/github/{}/blob/main/{}): the same notebook on a computer of "
    "Google's, in your browser, with nothing to install. It takes a Google account."
)
ANY_LINK = re.compile(r"\n\n\[Open in Colab\]\(https://colab\.research\.google\.com/[^\n]*")
CELL = """\
# Google Colab opens a notebook without the rest of the course. This cell fetches it;
# choose scale and seed before you run it. Anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    import os
    import subprocess
    from pathlib import Path

    SCALE = "sample"  # @param ["sample", "full"]
    SEED = 42  # @param {{type: "integer"}}
    os.environ |= {{"COURSE_SCALE": SCALE, "COURSE_SEED": str(SEED)}}
    if not Path("utils/run.py").exists():  # we are not in the course's folder yet
        if not Path("{name}").exists():
            repository = "{address}"
            subprocess.run(["git", "clone", "--depth=1", repository], check=True)
        os.chdir("{name}")
        sys.path.insert(0, str(Path.cwd()))
    from tools.install_missing import install_missing

    install_missing()"""


def with_address(text: str, above: str, line: str, address: str) -> str:
    """A file's text with the address on a line of its own; '' takes the line out."""
    lines = [each for each in text.splitlines(keepends=True) if not each.startswith(line.split("{")[0])]
    if address:
        place = next(i for i, each in enumerate(lines, 1) if each.startswith(above))
        lines.insert(place, line.format(address) + "\n")
    return "".join(lines)


def with_colab(text: str, file: str, address: str) -> str:
    """A notebook's text with link and cell for the repository at this address; '' takes both out."""
    notebook = json.loads(text)
    cells = [cell for cell in notebook["cells"] if cell.get("id") != CELL_ID]
    shift = bool(address) - (len(cells) < len(notebook["cells"]))
    for cell in cells:
        for counted in (cell, *cell.get("outputs", [])):
            if counted.get("execution_count"):
                counted["execution_count"] += shift
    opening = ANY_LINK.sub("", "".join(cells[0]["source"]))
    if address:
        title, _, rest = opening.partition("\n")
        repository = GITHUB.fullmatch(address).group(1)
        opening = f"{title}\n\n{LINK.format(repository, file)}\n{rest}"
        code = CELL.format(address=address, name=address.rpartition("/")[2]).splitlines(keepends=True)
        new = {"cell_type": "code", "execution_count": 1, "id": CELL_ID, "metadata": {}, "outputs": []}
        first = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
        cells.insert(first, new | {"source": code})
    cells[0]["source"] = opening.splitlines(keepends=True)
    return json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"


def change(address: str, root: Path = ROOT) -> list[str]:
    """Write the address of the repository, or with '' remove it; the names of the files that changed."""
    texts = {path: path.read_bytes().decode() for path in sorted(root.glob("[0-9][0-9]_*.ipynb"))}
    renewed = {path: with_colab(text, path.name, address) for path, text in texts.items()}
    for name, (above, line) in PLACES.items():
        texts[root / name] = (root / name).read_bytes().decode()
        renewed[root / name] = with_address(texts[root / name], above, line, address)
    changed = [path for path, text in texts.items() if renewed[path] != text]
    for path in changed:
        write_bytes(path, renewed[path].encode())
    return [path.name for path in changed]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Give the notebooks a link to Google Colab.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "address", nargs="?", default="", help="of the repository: https://github.com/OWNER/NAME"
    )
    what.add_argument("--off", action="store_true", help="take address, links and cells out again")
    asked = parser.parse_args(arguments)
    if not asked.off and not GITHUB.fullmatch(asked.address):
        sys.exit(
            f"{asked.address!r} is not an address that Colab can open: it takes GitHub's, https://github.com/OWNER/NAME."
        )
    changed = change(asked.address)
    print(f"Changed: {', '.join(changed)}." if changed else "Nothing to change.")


if __name__ == "__main__":
    main()
