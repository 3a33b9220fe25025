"""make site: the course as pages that need no network, under build/site.

Sphinx renders the stored notebooks and the pages of book/. Before that, copies of them are laid out in build/site-source:
figures get their descriptions, a word of the glossary a link where a notebook uses it first, the overview a figure and
a question for each notebook, and the page of results its tables.
"""

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools import notebooks, readme_table
from tools.colab import CELL_ID
from tools.contact_sheet import TAG
from utils.storage import BUILD, ROOT, write_bytes, write_text

BOOK = ROOT / "book"
SOURCE, SITE = BUILD / "site-source", BUILD / "site"
# What a link must not be put into: fenced code, headings, code, links and images, formulas, HTML, words in bold.
PROTECTED = re.compile(
    r"```.*?```|^#.*?$|`[^`\n]*`|!?\[[^\]]*\]\([^)]*\)|\$[^$\n]+\$|<[^>\n]+>|\*\*[^*\n]+\*\*", re.S | re.M
)
VERBS = ("recall",)  # with an s they are no plurals
QUESTION = re.compile(r"^\| (\d\d) \| \[(.+?)\]\((\S+?)\) \| (.+) \|$", re.M)  # README's two tables


def glossary_terms(text: str) -> list[str]:
    """The terms of glossary.md, longest first, so that “batch normalisation” is found before a part of it."""
    body = text.split("```{glossary}")[1].split("```")[0]
    return sorted(
        (line for line in body.splitlines() if line and not line.startswith(" ")), key=len, reverse=True
    )


def with_glossary_links(notebook: NotebookNode, terms: list[str]) -> None:
    """Link each term where the notebook's text uses it first, the headings apart."""
    left = list(terms)
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for term in tuple(left):
            plural = "" if term.endswith("s") or term in VERBS else "s?"
            word = re.compile(rf"(?<![\w{{`-]){re.escape(term)}{plural}(?![\w-])", re.I)
            kept = [range(*found.span()) for found in PROTECTED.finditer(cell.source)]
            for found in word.finditer(cell.source):
                if any(found.start() in span for span in kept):
                    continue
                before, after = cell.source[: found.start()], cell.source[found.end() :]
                link = f"{{term}}`{found.group()} <{term}>`"
                if before.endswith("*") and after.startswith("*"):  # a role cannot stand in emphasis
                    before, after = before[:-1], after[1:]
                cell.source = before + link + after
                left.remove(term)
                break


def without_repository_links(notebook: NotebookNode) -> None:
    """A link to a file that is in the repository and not on the site becomes its text."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\[([^\]]+)\]\((?:\w+/)?[A-Z]+\.md\)", r"\1", cell.source)


def without_colab_cell(notebook: NotebookNode) -> None:
    """Leave out the cell that fetches the course on Colab: nobody executes a page."""
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") != CELL_ID]


def with_descriptions(notebook: NotebookNode) -> None:
    """Hand each figure's description to the page: MyST-NB reads it from the cell."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell.metadata["mystnb"] = {"image": {"alt": alt}}


def chosen_figure(notebook: NotebookNode) -> tuple[bytes, str]:
    """The first figure of the contact sheet, as a PNG with its description."""
    for cell in notebook.cells:
        if TAG in cell.metadata.get("tags", []):
            for output in cell.outputs:
                if png := output.get("data", {}).get("image/png"):
                    return base64.b64decode(png), output.metadata.get("image/png", {}).get("alt", "")
    raise ValueError(f"no cell with a figure has the tag {TAG}")


def overview(numbers: range, read: dict[str, NotebookNode]) -> str:
    """Cards of these notebooks: title, question and a figure."""
    cards = []
    for number, title, file, question in QUESTION.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        if int(number) not in numbers:
            continue
        stem = Path(file).stem
        png, alt = chosen_figure(read[stem])
        write_bytes(SOURCE / "_static" / f"{number}.png", png)
        escaped = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        picture = f'<a href="{stem}.html"><img src="_static/{number}.png" alt="{escaped}" loading="lazy"></a>'
        cards.append(f'<div><a href="{stem}.html">{number} · {title}</a><p>{question}</p>{picture}</div>')
    return '<div class="overview">\n' + "\n".join(cards) + "\n</div>"


def lay_out() -> None:
    """Write what Sphinx reads into build/site-source."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(BOOK, SOURCE, ignore=shutil.ignore_patterns("__pycache__", "ruff.toml"))
    terms = glossary_terms((BOOK / "glossary.md").read_text(encoding="utf-8"))
    read = {path.stem: nbformat.read(path, as_version=4) for path in notebooks.find("all")}
    solutions = (ROOT / "solutions").glob("*.ipynb")
    pages = read | {f"solutions/{path.stem}": nbformat.read(path, as_version=4) for path in solutions}
    index = (BOOK / "index.md").read_text(encoding="utf-8")
    for first, last in re.findall(r"<!-- notebooks (\d\d)-(\d\d) -->", index):
        cards = overview(range(int(first), int(last) + 1), read)
        index = index.replace(f"<!-- notebooks {first}-{last} -->", cards)
    write_text(SOURCE / "index.md", index)
    results = (BOOK / "results.md").read_text(encoding="utf-8")
    write_text(
        SOURCE / "results.md", results.replace("<!-- results -->", readme_table.all_results(folder=""))
    )
    for name, notebook in pages.items():
        without_colab_cell(notebook)
        without_repository_links(notebook)
        with_glossary_links(notebook, terms)
        with_descriptions(notebook)
        write_text(SOURCE / f"{name}.ipynb", nbformat.writes(notebook))


def main() -> None:
    notebooks.check_build()
    lay_out()
    # -W: a link that leads nowhere, a term that is not in the glossary, anything odd ends the build.
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "auto", SOURCE, SITE]
    if code := subprocess.run(command).returncode:
        sys.exit(code)
    print(f"Open {(SITE / 'index.html').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
