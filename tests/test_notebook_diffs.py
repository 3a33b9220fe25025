"""git diff and git merge see the cells of a notebook once the drivers are configured, and text before."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from course import ROOT

from tools import notebook_diffs


def git(*arguments: str, folder: Path) -> str:
    identity = ["-c", "user.name=Reader", "-c", "user.email=reader@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write(folder: Path, *sources: str, count: int = 1) -> None:
    cells = [
        {"cell_type": "code", "id": f"cell-{i}", "source": [source], "execution_count": count}
        | {"metadata": {}, "outputs": []}
        for i, source in enumerate(sources)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "copy.ipynb").write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")


@pytest.fixture
def clone(tmp_path) -> Path:
    """A repository with our .gitattributes and a notebook of three cells, in a folder with a space in its name."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    shutil.copy(ROOT / ".gitattributes", folder)
    write(folder, "a = 1", "b = 2", "c = 3")
    git("add", ".", folder=folder)
    git("commit", "--quiet", "-m", "three cells", folder=folder)
    return folder


def test_without_the_drivers_a_diff_is_text(clone):
    write(clone, "a = 1", "b = 5", "c = 3")
    assert '+    "b = 5"' in git("diff", folder=clone)


def test_a_diff_shows_sources_and_no_counts(clone):
    write(clone, "a = 1", "b = 5", "c = 3", count=7)
    notebook_diffs.switch(on=True, folder=clone)
    shown = git("diff", folder=clone)
    assert "cells/1/source" in shown
    assert "execution_count" not in shown
    assert '"execution_count": 7' in git("diff", "--no-ext-diff", folder=clone)
    notebook_diffs.switch(on=False, folder=clone)
    assert '"execution_count": 7' in git("diff", folder=clone)


def test_neighbouring_cells_merge(clone):
    notebook_diffs.switch(on=True, folder=clone)
    git("switch", "--quiet", "-c", "other", folder=clone)
    write(clone, "a = 1", "b = 2", "c = 30")
    git("commit", "--quiet", "-am", "the third", folder=clone)
    git("switch", "--quiet", "main", folder=clone)
    write(clone, "a = 1", "b = 20", "c = 3")
    git("commit", "--quiet", "-am", "the second", folder=clone)
    git("merge", "--quiet", "--no-edit", "other", folder=clone)
    merged = json.loads((clone / "copy.ipynb").read_text(encoding="utf-8"))
    assert ["".join(cell["source"]) for cell in merged["cells"]] == ["a = 1", "b = 20", "c = 30"]
