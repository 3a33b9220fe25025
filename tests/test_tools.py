"""The tools behind make full, make record and make refresh; the notebooks they run here are two cells long."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import full, notebooks, readme_table, record, refresh
from utils import results
from utils.storage import ROOT

REPOSITORY = ROOT
CODE = """
import json, os
from pathlib import Path
if Path("fail").exists():
    raise RuntimeError("interrupted")
scale, seed = os.environ["COURSE_SCALE"], int(os.environ["COURSE_SEED"])
print("training", seed)
path = Path(f"build/results/{scale}/02_tiny-seed{seed}.json")
path.parent.mkdir(parents=True, exist_ok=True)
accuracy = {"values": [seed / 100], "mean": seed / 100, "std": None}
result = {"notebook": "02_tiny", "scale": scale, "data": {"name": "D", "n_train": 4, "n_test": 2}, "environment": {"keras": "3", "backend": "B 1", "device": "CPU"}, "date": "2026-01-01",
          "seeds": [seed], "models": {"CNN": {"parameters": 5, "epochs": 2, "seconds": [1.0], "test_accuracy": accuracy}}}
path.write_text(json.dumps(result))
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one small notebook in a temporary folder."""
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(results, "RECORDED", tmp_path / "results" / "full")
    for module in (results, notebooks):
        monkeypatch.setattr(module, "BUILD", tmp_path / "build")
    monkeypatch.setattr(readme_table, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(f"top\n{readme_table.BEGIN}\n{readme_table.END}\nbottom\n")
    write_notebook(tmp_path, CODE)
    return tmp_path


def write_notebook(folder, code):
    cells = [nbformat.v4.new_markdown_cell("# 02 · Tiny"), nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "02_tiny.ipynb")


def seed_file(course, seed):
    return course / "build" / "results" / "full" / f"02_tiny-seed{seed}.json"


def test_full_resumes_and_record_summarises(course, capsys):
    notebook = course / "02_tiny.ipynb"
    before = notebook.read_bytes()
    full.run_seed(notebook, 42)
    assert "training 42" in capsys.readouterr().out
    assert json.loads(seed_file(course, 42).read_text())["finished"]

    (course / "fail").touch()  # the second seed is interrupted
    with pytest.raises(SystemExit, match="interrupted"):
        full.run_seed(notebook, 43)
    (course / "fail").unlink()
    capsys.readouterr()

    for seed in (42, 43):
        full.run_seed(notebook, seed)
    out = capsys.readouterr().out
    assert "seed 42: finished on" in out
    assert "training 42" not in out
    assert "training 43" in out
    assert notebook.read_bytes() == before

    record.main("02")
    recorded = results.recorded_result("02_tiny")
    assert recorded["seeds"] == [42, 43]
    assert recorded["models"]["CNN"]["seconds"] == [1.0, 1.0]
    assert recorded["models"]["CNN"]["test_accuracy"]["mean"] == pytest.approx(0.425)
    readme = (course / "README.md").read_text()
    assert "42.50 % ± 0.71" in readme
    assert readme.startswith("top\n")
    assert readme.endswith("bottom\n")


def test_a_half_written_seed_is_run_again_and_never_recorded(course, capsys):
    seed_file(course, 42).parent.mkdir(parents=True)
    seed_file(course, 42).write_text(json.dumps({"notebook": "02_tiny", "models": {}}))  # no "finished"
    with pytest.raises(SystemExit):
        record.main("02")
    assert "left out, not finished: 02_tiny-seed42.json" in capsys.readouterr().out
    assert not results.recorded_result("02_tiny")
    full.run_seed(course / "02_tiny.ipynb", 42)
    assert json.loads(seed_file(course, 42).read_text())["finished"]


def test_changed_code_is_run_again_and_the_old_result_kept(course, capsys):
    full.run_seed(course / "02_tiny.ipynb", 42)
    write_notebook(course, CODE + "\n# changed")
    full.run_seed(course / "02_tiny.ipynb", 42)
    assert "the code has changed" in capsys.readouterr().out
    assert len(list(seed_file(course, 42).parent.glob("*.old"))) == 1


def test_runs_that_differ_are_not_summarised():
    model = {"parameters": 5, "epochs": 2, "seconds": [1.0], "test_accuracy": results.summary([0.5])}
    same = {
        "notebook": "02_tiny",
        "scale": "full",
        "data": {"name": "D"},
        "environment": {"keras": "3"},
        "code": "c",
    }
    same |= {"date": "2026-01-01", "total_seconds": 3.0, "models": {"CNN": model}}
    paths = Path("02_tiny-seed1.json"), Path("02_tiny-seed2.json")
    seeds = {"seeds": [1]}, {"seeds": [2]}
    alike = [same | seed for seed in seeds]
    assert record.summarise(dict(zip(paths, alike, strict=True)))["seeds"] == [1, 2]
    for fact in ("data", "environment", "code"):
        other = dict(zip(paths, [alike[0], alike[1] | {fact: {"other": 1}}], strict=True))
        with pytest.raises(ValueError, match=f"seed2.json and 02_tiny-seed1.json differ in {fact}"):
            record.summarise(other)
    for models, message in (
        ({}, "different models"),
        ({"CNN": model | {"epochs": 3}}, "differ in parameters or epochs"),
    ):
        with pytest.raises(ValueError, match=message):
            record.summarise(dict(zip(paths, [alike[0], alike[1] | {"models": models}], strict=True)))


def test_unknown_notebook(course):
    with pytest.raises(SystemExit, match=r"there is no notebook 07\. There are: 02"):
        notebooks.find("07")


def test_last_state():
    assert notebooks.last_state("a\n10%\r20%\rdone\nb\n") == "a\ndone\nb\n"
    assert notebooks.last_state("\r50%\r    \r") == ""


def test_normalise_joins_streams_and_drops_what_a_bar_left():
    cell = nbformat.v4.new_code_cell("fit()", metadata={"execution": {"iopub.execute_input": "now"}})
    stream = [nbformat.v4.new_output("stream", text=text) for text in ("\r10%", "\r    \r")]
    printed = [nbformat.v4.new_output("stream", text=text) for text in ("a\n", "b\n")]
    notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell("print()")])
    notebook.cells[0].outputs, notebook.cells[1].outputs = stream, printed
    refresh.normalise(notebook)
    assert notebook.cells[0].outputs == []
    assert notebook.cells[0].metadata == {}
    assert [output.text for output in notebook.cells[1].outputs] == ["a\nb\n"]


def test_page_shows_the_last_state_of_a_progress_bar(tmp_path):
    cell = nbformat.v4.new_code_cell("fit()")
    cell.outputs = [nbformat.v4.new_output("stream", text=f"\r{i} % done") for i in (10, 20, 30)]
    notebooks.write_html(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "page.html", "page")
    page = (tmp_path / "page.html").read_text()
    assert "30 % done" in page and "10 % done" not in page and "20 % done" not in page


def test_readme_without_its_markers():
    with pytest.raises(ValueError, match="lacks the lines"):
        readme_table.with_table("no markers")


def test_an_interrupted_run_says_so_in_one_line_and_is_run_again(course):
    waits = CODE.replace(
        'print("training", seed)', 'print("training", seed, flush=True); import time; time.sleep(60)'
    )
    write_notebook(course, waits)
    command = [sys.executable, "-c", f"""
from pathlib import Path
from tools import full, notebooks
from utils import results
notebooks.ROOT = Path({str(course)!r})
results.BUILD = notebooks.BUILD = notebooks.ROOT / "build"
full.run_seed(notebooks.ROOT / "02_tiny.ipynb", 42)
"""]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while "training 42" not in run.stdout.readline():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert errors.strip() == (
        "Interrupted in 02_tiny.ipynb. Finished work is kept; the same command goes on from there."
    )
    assert not seed_file(course, 42).exists()
