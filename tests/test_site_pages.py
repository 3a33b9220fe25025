"""What make site makes of a notebook before Sphinx sees it. (The pages themselves are looked at in browser/.)"""

import re

import nbformat
import pytest
from course import NOTEBOOKS
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import site

TERMS = ["average precision", "batch normalisation", "precision", "recall", "seed"]


def linked(*texts: str) -> list[str]:
    notebook = new_notebook(cells=[new_markdown_cell(text) for text in texts])
    site.with_glossary_links(notebook, TERMS)
    return [cell.source for cell in notebook.cells]


def test_a_term_is_linked_where_it_stands_first():
    assert linked("Two seeds, and a seed.", "Another seed.") == [
        "Two {term}`seeds <seed>`, and a seed.",
        "Another seed.",
    ]


def test_the_longer_term_wins_and_emphasis_gives_way():
    assert linked("*Average precision* and then precision.") == [
        "{term}`Average precision <average precision>` and then {term}`precision <precision>`."
    ]


@pytest.mark.parametrize(
    "text",
    [
        "# A seed",
        "`seed = 1`",
        "[a seed](02.ipynb)",
        "```\nseed\n```",
        "**seed**",
        "seedling",
        "pre-seed",
        "It recalls.",
        "$seed$",
    ],
)
def test_headings_code_links_and_parts_of_words_stay(text):
    assert linked(text) == [text]


def test_a_description_reaches_the_page():
    figure = new_output("display_data", {"image/png": "AA=="}, metadata={"image/png": {"alt": "A line."}})
    notebook = new_notebook(cells=[new_code_cell("plot()", outputs=[figure]), new_code_cell("1")])
    site.with_descriptions(notebook)
    assert [cell.metadata for cell in notebook.cells] == [{"mystnb": {"image": {"alt": "A line."}}}, {}]


def test_links_into_the_repository_become_words():
    notebook = new_notebook(
        cells=[new_markdown_cell("See [the README](README.md), [data](data/README.md), [02](02.ipynb).")]
    )
    site.without_repository_links(notebook)
    assert notebook.cells[0].source == "See the README, data, [02](02.ipynb)."


def test_every_notebook_has_a_card_with_a_figure():
    asked = {
        file for _, _, file, _ in site.QUESTION.findall((site.ROOT / "README.md").read_text(encoding="utf-8"))
    }
    assert asked == {path.name for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        png, _ = site.chosen_figure(nbformat.read(path, as_version=4))
        assert png.startswith(b"\x89PNG")


def test_the_book_names_every_notebook_and_defines_each_word_once():
    for page in ("index.md", "reading.md"):
        text = (site.BOOK / page).read_text(encoding="utf-8")
        missing = [
            path.stem
            for path in NOTEBOOKS
            if path.stem not in text and not re.search(rf"^## .*{path.stem[:2]}\b", text, re.M)
        ]
        assert not missing, f"book/{page} lacks {missing}"
    terms = site.glossary_terms((site.BOOK / "glossary.md").read_text(encoding="utf-8"))
    assert len(terms) == len(set(terms)) > 40
