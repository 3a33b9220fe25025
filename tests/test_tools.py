"""The tools behind make full, make record and make refresh; the notebooks they run here are two cells long."""

import base64
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import util
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from tools import contact_sheet, figures, full, notebooks, readme_table, record, refresh, run
from tools.order import LONGEST_FIRST, collected, longest_first
from tools.threads import VARIABLES
from utils import results
from utils.settings import SettingError
from utils.storage import ROOT, read_json

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
    monkeypatch.setattr(readme_table, "ALL", tmp_path / "results" / "README.md")
    monkeypatch.setattr(readme_table, "HEADLINES", {"02_tiny": ("CNN", "")})
    (tmp_path / "README.md").write_text(f"top\n{readme_table.BEGIN}\n{readme_table.END}\nbottom\n")
    write_notebook(tmp_path, CODE)
    return tmp_path


def write_notebook(folder, *codes, name="02_tiny"):
    """A notebook of these code cells, each with a stored output that no page may show."""
    cells = [nbformat.v4.new_markdown_cell(f"# {name[:2]} · Tiny")]
    for code in codes:
        stored = nbformat.v4.new_output("stream", text="a stored output\n")
        cells.append(nbformat.v4.new_code_cell(code, outputs=[stored], execution_count=1))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


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
    assert "(D, B 1), skipped" in out
    assert "training 42" not in out
    assert "training 43" in out
    assert notebook.read_bytes() == before

    record.main("02")
    recorded = results.recorded_result("02_tiny")
    assert recorded["seeds"] == [42, 43]
    assert recorded["models"]["CNN"]["seconds"] == [1.0, 1.0]
    assert recorded["models"]["CNN"]["test_accuracy"]["mean"] == pytest.approx(0.425)
    readme = (course / "README.md").read_text()
    assert "| CNN |  | 42.50 % ± 0.71 |" in readme
    assert "| CNN | 5 |  | 42.50 % ± 0.71 |" in (course / "results" / "README.md").read_text()
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


def test_full_goes_on_with_the_next_notebook_where_one_fails(course, monkeypatch, capsys):
    write_notebook(course, CODE.replace("02_tiny", "03_other"), name="03_other")
    (course / "02_tiny.ipynb").unlink()
    write_notebook(course, "1 / 0", name="02_tiny")
    monkeypatch.setattr(sys, "argv", ["full", "--seeds=42,43"])
    with pytest.raises(SystemExit, match="Failed: 02_tiny;"):
        full.main()
    captured = capsys.readouterr()
    assert captured.err.count("How far it got") == 1  # its second seed would fail, too
    assert (seed_file(course, 43).parent / "03_other-seed43.json").exists()


def test_changed_code_is_run_again_and_the_old_result_kept(course, capsys):
    full.run_seed(course / "02_tiny.ipynb", 42)
    write_notebook(course, CODE + "\n# changed")
    full.run_seed(course / "02_tiny.ipynb", 42)
    assert "the code has changed" in capsys.readouterr().out
    assert len(list(seed_file(course, 42).parent.glob("*.old"))) == 1


MODEL = {"parameters": 5, "epochs": 2, "seconds": [1.0], "test_accuracy": results.summary([0.5])}
FINISHED = {
    "notebook": "02_tiny",
    "scale": "full",
    "data": {"name": "D", "n_train": 8, "n_test": 2},
    "environment": {"keras": "3", "backend": "B 1", "device": "CPU, 2 cores"},
    "code": "c",
    "date": "2026-01-02",
    "total_seconds": 3.0,
    "models": {"CNN": MODEL},
}


def test_runs_that_differ_are_not_summarised():
    paths = Path("02_tiny-seed1.json"), Path("02_tiny-seed2.json")
    alike = [FINISHED | {"seeds": [seed]} for seed in (1, 2)]
    assert record.summarise(dict(zip(paths, alike, strict=True)))["seeds"] == [1, 2]
    for fact in ("data", "environment", "code"):
        other = dict(zip(paths, [alike[0], alike[1] | {fact: {"other": 1}}], strict=True))
        with pytest.raises(ValueError, match=f"seed2.json and 02_tiny-seed1.json differ in {fact}"):
            record.summarise(other)
    other = [alike[0], alike[1] | {"models": {"CNN": MODEL | {"epochs": 3}}}]
    with pytest.raises(ValueError, match="differ in parameters or epochs"):
        record.summarise(dict(zip(paths, other, strict=True)))


def test_a_model_that_only_some_seeds_hold_says_which():
    runs = {Path(f"{seed}"): FINISHED | {"seeds": [seed]} for seed in (1, 2)}
    runs[Path("1")] = runs[Path("1")] | {"models": {"CNN": MODEL, "AlexNet": MODEL}}
    summary = record.summarise(runs)
    assert "seeds" not in summary["models"]["CNN"]
    assert summary["models"]["AlexNet"]["seeds"] == [1]
    assert summary["models"]["AlexNet"]["test_accuracy"] == results.summary([0.5])
    assert results.recorded_heading(summary) == "recorded: D, 1 to 2 seeds"


def test_models_that_no_seed_holds_are_kept_with_what_produced_them(monkeypatch):
    gpu = {"keras": "3", "backend": "B 1", "device": "a GPU"}
    earlier = FINISHED | {"environment": gpu, "code": "before", "date": "2026-01-01", "seeds": [7]}
    earlier["models"] = {"CNN": MODEL | {"parameters": 4}, "AlexNet": MODEL}
    runs = {Path(f"{seed}"): FINISHED | {"seeds": [seed]} for seed in (1, 2)}
    summary = record.summarise(runs, earlier)
    assert summary["models"]["CNN"]["parameters"] == 5
    kept = {"seeds": [7], "environment": gpu, "code": "before", "date": "2026-01-01"}
    assert summary["models"]["AlexNet"] == kept | MODEL
    assert record.summarise(runs, summary) == summary  # and again
    monkeypatch.setattr(results, "recorded_result", lambda notebook: summary)
    note = readme_table.recorded_note("02_tiny")
    assert "Keras 3 on B 1, CPU, 2 cores, 2026-01-02." in note
    assert note.endswith(" Made apart, with seed 7, Keras 3 on B 1, a GPU, 2026-01-01: AlexNet.")

    on_other_data = earlier | {"data": {"name": "E"}}
    assert list(record.summarise(runs, on_other_data)["models"]) == ["CNN"]


def test_unknown_notebook(course):
    with pytest.raises(SettingError, match=r"^NB=07: there is no notebook 07\. There are: 02, or all\.$"):
        notebooks.find("07")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [("02,,03", "has an empty entry"), ("2,02", "names a notebook twice"), (",", "has an empty entry")],
)
def test_entries_of_nb_that_would_be_dropped_silently(course, numbers, message):
    write_notebook(course, CODE, name="03_tiny")
    with pytest.raises(SettingError, match=message):
        notebooks.find(numbers)


def test_all_notebooks_and_single_ones(course):
    write_notebook(course, CODE, name="09_tiny")
    names = [path.name for path in notebooks.find()]
    assert names == ["02_tiny.ipynb", "09_tiny.ipynb"]
    assert [path.name for path in notebooks.find("all")] == names
    for both in ("9, 2", "9,2", "09 02"):
        assert [path.name for path in notebooks.find(both)] == names[::-1]


def test_make_run_takes_the_chapter_and_more_only_when_asked(course):
    for name in ("08_tiny", "09_tiny", "13_tiny"):
        write_notebook(course, CODE, name=name)
    numbers = {nb: [path.name[:2] for path in run.chosen(nb)] for nb in ("", " ", "all", "9", "13,2")}
    assert numbers[""] == numbers[" "] == ["02", "08"]
    assert numbers["all"] == ["02", "08", "09", "13"]
    assert numbers["9"] == ["09"] and numbers["13,2"] == ["13", "02"]


@pytest.mark.parametrize(
    ("command", "variables", "message"),
    [
        ("run", {"COURSE_SCALE": "big"}, "COURSE_SCALE='big' is not a scale"),
        ("run", {"COURSE_SEED": "-1"}, "COURSE_SEED='-1' is not a seed"),
        ("run 02,,03", {}, "NB=02,,03 has an empty entry"),
        ("full --seeds=-1", {}, "SEEDS=-1: '-1' is not a seed"),
        ("full --seeds=42,,43", {}, "SEEDS=42,,43: '' is not a seed"),
        ("full --seeds=42,43,42", {}, "SEEDS=42,43,42: 42 stands there twice"),
        ("full --notebooks=99", {}, "NB=99: there is no notebook 99"),
        ("record 99", {}, "NB=99: there is no notebook 99"),
        ("refresh 99", {}, "NB=99: there is no notebook 99"),
    ],
)
def test_a_bad_setting_is_one_line_before_any_kernel_starts(course, monkeypatch, command, variables, message):
    monkeypatch.setattr(notebooks, "run", lambda work: pytest.fail("a kernel would start"))
    for variable in ("COURSE_SCALE", "COURSE_SEED", "KERAS_BACKEND"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    name, *arguments = command.split()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as exit_:
        {"run": run.main, "full": full.main, "record": record.main, "refresh": refresh.main}[name](
            *([] if name == "full" else arguments)
        )
    assert exit_.value.code.startswith(message)
    assert "\n" not in exit_.value.code


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


def in_course(course, code: str) -> subprocess.Popen:
    """Python code in a process of its own, to be interrupted, with the tools set to the course."""
    program = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without one
from pathlib import Path
from tools import full, notebooks, refresh, run
from utils import results
notebooks.ROOT = Path({str(course)!r})
notebooks.BUILD = results.BUILD = notebooks.ROOT / "build"
{code}
"""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "KERAS_BACKEND": "tensorflow"}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_full_run_says_that_it_goes_on(course):
    waits = CODE.replace(
        'print("training", seed)', 'print("training", seed, flush=True); import time; time.sleep(60)'
    )
    write_notebook(course, waits)
    with in_course(course, 'full.run_seed(notebooks.ROOT / "02_tiny.ipynb", 42)') as process:
        while "training 42" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.strip() == (
        "Interrupted in 02_tiny.ipynb, seed 42. Finished seeds are kept; the same command goes on with this one, "
        "from its beginning."
    )
    assert not seed_file(course, 42).exists()


def test_an_interrupted_run_keeps_finished_pages_and_says_that_it_begins_again(course):
    write_notebook(course, "1", name="01_tiny")
    write_notebook(course, "2", "open('waits', 'w').close()\nimport time; time.sleep(60)")
    with in_course(course, "run.main()") as process:
        while not (course / "waits").exists() or not (course / "build/html/01_tiny.html").exists():
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(1)  # the line about 01's page
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.strip() == (
        "Interrupted: the pages of 01 are kept. The same command begins again; NB=… names fewer notebooks."
    )
    index = (course / "build/html/index.html").read_text()
    assert '<a href="01_tiny.html">' in index
    assert "interrupted in cell 2" in index
    assert run.REFRESH not in index
    assert not list(course.rglob("*.part"))


def test_an_interrupted_refresh_leaves_the_notebook_as_it_was(course):
    write_notebook(course, 'import time\n\nopen("waits", "w").close()\ntime.sleep(60)')  # as ruff formats it
    before = (course / "02_tiny.ipynb").read_bytes()
    with in_course(course, "refresh.main()") as process:
        while not (course / "waits").exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.strip().startswith(
        "Interrupted. Notebooks named above are renewed, the others are as they were"
    )
    assert (course / "02_tiny.ipynb").read_bytes() == before


def test_an_interruption_is_one_line_wherever_it_comes(course):
    full.run_seed(course / "02_tiny.ipynb", 42)
    code = """
from tools import record
def interrupt(*arguments):
    raise KeyboardInterrupt
record.write_json = interrupt
record.main("02")
"""
    with in_course(course, code) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert errors.strip() == "Interrupted. Every file is as it was or as it should be; call it again."


def test_a_seed_that_another_call_is_running_is_skipped(course, capsys):
    seed_file(course, 42).parent.mkdir(parents=True)
    with FileLock(seed_file(course, 42).with_suffix(".lock")):
        full.run_seed(course / "02_tiny.ipynb", 42)
    assert capsys.readouterr().out == "02_tiny, seed 42: another call is running it, skipped\n"
    assert not seed_file(course, 42).exists()
    full.run_seed(course / "02_tiny.ipynb", 42)
    assert read_json(seed_file(course, 42))["finished"]


def test_two_calls_that_look_at_the_build_folder_at_once(course, monkeypatch):
    write = notebooks.write_text

    def meanwhile(path, text):
        write(path, text)
        with monkeypatch.context() as patch:
            patch.setattr(notebooks, "write_text", write)
            patch.setattr(os, "getpid", lambda: 1)
            notebooks.check_build()

    monkeypatch.setattr(notebooks, "write_text", meanwhile)
    notebooks.check_build()
    assert not [path for path in (course / "build").rglob("*") if path.is_file()]


@pytest.mark.parametrize("command", ["full", "record"])
def test_a_damaged_result_is_named_in_one_line(course, command):
    seed_file(course, 42).parent.mkdir(parents=True)
    seed_file(course, 42).write_text("{")
    with pytest.raises(SystemExit) as exit_:
        full.run_seed(course / "02_tiny.ipynb", 42) if command == "full" else record.main("02")
    assert "02_tiny-seed42.json is not valid JSON" in exit_.value.code
    assert "\n" not in exit_.value.code


def test_a_clock_that_is_set_back_changes_no_seconds(course, monkeypatch):
    clock = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(run.time, "time", lambda: next(clock))
    monkeypatch.setattr(notebooks, "execute", done_at_once)
    run.main()
    assert re.search(r"Executed in \d+ s on", page(course, "02_tiny"))


@pytest.fixture
def faulty(course, monkeypatch, capsys):
    """A course of four notebooks, three of which stop in their second cell, after make run; what it said."""
    monkeypatch.setattr(run.joblib, "cpu_count", lambda: 2)
    for variable in ("COURSE_SCALE", "COURSE_SEED"):
        monkeypatch.delenv(variable, raising=False)
    line = "sample scale · seed 42 · Keras 3 on TensorFlow 2 · CPU"
    threads = "import os; print(os.environ['OMP_NUM_THREADS'], 'thread')"
    write_notebook(course, f"print('{line}')", threads, name="01_fine")
    own = "class DataError(RuntimeError): pass\nraise DataError('MNIST was not found.\\nLooked in: here')"
    for name, code in {"02_tiny": "{}['key']", "03_dies": "os._exit(1)", "04_data": own}.items():
        write_notebook(course, "import os; print('first cell')", code, "print('third cell')", name=name)
    write_notebook(course, "print(9)", name="09_beyond")
    with pytest.raises(SystemExit) as exit_:
        run.main()
    return course, exit_.value.code, capsys.readouterr().out


def page(course, name) -> str:
    return (course / "build" / "html" / f"{name}.html").read_text()


def test_run_with_faults(faulty):
    """One test, since its run takes seconds: pages, index, terminal and logs of notebooks that fail."""
    course, message, out = faulty
    for name in ("01_fine", "02_tiny", "03_dies", "04_data"):
        assert "a stored output" not in page(course, name)
        assert f"build/html/{name}.html" in out
    assert not (course / "build/html/09_beyond.html").exists(), "beyond the chapter"
    assert "1 thread" in page(course, "01_fine")
    assert re.search(r"Executed in \d+ s on CPU, 1 of 2 cores, \d{4}-\d\d-\d\d\.", page(course, "01_fine"))
    for name in ("02_tiny", "03_dies", "04_data"):
        assert "first cell" in page(course, name)
        assert "The notebook failed in cell 2; what follows has not been executed." in page(course, name)
        assert f"{name}.ipynb failed in cell 2: " in message
        assert re.search(rf'<a href="{name}.html">.*class="failed">failed in cell 2<', page(course, "index"))
    assert "KeyError" in page(course, "02_tiny")
    assert "KeyError: 'key'" in message
    assert "\x1b" not in message
    assert "DeadKernelError" not in message
    assert notebooks.DIED in page(course, "03_dies")
    # Our own errors: the message alone on the terminal, the traceback in the log and on the page.
    assert "04_data.ipynb failed in cell 2: MNIST was not found.\nLooked in: here" in message
    assert message.count("Traceback") == 1
    assert "Traceback" in (course / "build/logs/04_data.log").read_text()
    assert "Traceback" in page(course, "04_data")


def test_a_run_of_one_notebook_keeps_the_links_of_the_others(course, monkeypatch):
    monkeypatch.setattr(notebooks, "execute", done_at_once)
    write_notebook(course, "1", name="01_fine")
    run.main("01,02")
    run.main("02")
    index = page(course, "index")
    assert re.search('<a href="01_fine.html">.*page of an earlier call, sample scale: Executed in', index)
    assert '<a href="02_tiny.html">' in index
    (course / "build/html/runs.json").write_text("{")  # damaged: only the index is poorer
    run.main("02")
    assert '<a href="02_tiny.html">' in page(course, "index")


def test_the_index_is_there_from_the_start(course, monkeypatch):
    seen = []

    async def look(path, **options):
        seen.append(page(course, "index"))
        return await done_at_once(path)

    monkeypatch.setattr(notebooks, "execute", look)
    monkeypatch.setattr(run.joblib, "cpu_count", lambda: 1)
    write_notebook(course, "1", name="01_fine")
    run.main()
    assert run.REFRESH in seen[0] and ">running<" in seen[0] and ">waiting<" in seen[0]
    assert '<a href="01_fine.html">' in seen[1] and "02_tiny.html" not in seen[1]
    assert run.REFRESH not in page(course, "index")


async def done_at_once(path, **options):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells[1:]:
        cell.outputs, cell.execution_count = [], 1
    return notebook


def test_order():
    def ordered(seconds):
        return [path.name[:2] for path in longest_first([Path(f"{n}_x.ipynb") for n in numbers], seconds)]

    numbers = ["01", "02", "06", "99"]
    assert ordered({}) == ["99", "06", "02", "01"]
    assert ordered({"01_x": 9, "02_x": 30, "06_x": 2}) == ["99", "02", "01", "06"]
    assert ordered({"01_x": 9, "02_x": 30, "06_x": 2, "99_x": 1}) == ["02", "01", "06", "99"]


def test_make_test_takes_the_longest_files_first(pytestconfig):
    names = ["01_x.ipynb", "02_x.ipynb", "06_x.ipynb", "test_a.py", "test_tools.py", "test_b.py"]
    wanted = ["06_x.ipynb", "02_x.ipynb", "01_x.ipynb", "test_tools.py", "test_a.py", "test_b.py"]
    assert [path.name for path in collected([Path(name) for name in names])] == wanted
    items = [SimpleNamespace(path=Path(name), cell=cell) for name in names for cell in (0, 1)]
    conftest = next(
        plugin
        for plugin in pytestconfig.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", None) == str(REPOSITORY / "conftest.py")
    )
    conftest.pytest_collection_modifyitems(items)
    assert [(item.path.name, item.cell) for item in items] == [(n, cell) for n in wanted for cell in (0, 1)]
    assert "--no-loadscope-reorder" in (REPOSITORY / "Makefile").read_text(), (
        "xdist would sort by number of tests"
    )


def test_every_notebook_has_a_place_in_the_order():
    assert {path.name[:2] for path in notebooks.find()} == set(LONGEST_FIRST)


def no_space(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_page_that_cannot_be_written_does_not_hide_why_the_notebook_failed(course, monkeypatch, capsys):
    async def fail(path, **options):
        raise notebooks.NotebookFailed(
            "02_tiny.ipynb failed in cell 1: the reason", await done_at_once(path), 1
        )

    monkeypatch.setattr(notebooks, "execute", fail)
    monkeypatch.setattr(notebooks, "write_html", no_space)
    with pytest.raises(SystemExit) as exit_:
        run.main()
    no_page = "build/ cannot be written: No space left on device"
    assert (
        exit_.value.code
        == f"\n02_tiny.ipynb failed in cell 1: the reason\n02_tiny.ipynb has no page: {no_page}"
    )
    with pytest.raises(SystemExit) as exit_:
        full.run_seed(course / "02_tiny.ipynb", 42)
    assert (
        exit_.value.code
        == f"\n02_tiny.ipynb failed in cell 1: the reason\nHow far it got: no page, {no_page}"
    )


def test_a_full_disk_is_one_line_and_leaves_no_part(course, monkeypatch):
    full.run_seed(course / "02_tiny.ipynb", 42)
    monkeypatch.setattr(Path, "replace", no_space)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)  # refresh takes TensorFlow only
    for main in (run.main, refresh.main):
        with pytest.raises(SystemExit) as exit_:
            main()
        assert exit_.value.code == "build/ cannot be written: No space left on device"
    with pytest.raises(SystemExit) as exit_:
        record.main("02")
    assert exit_.value.code == "results/full cannot be written: No space left on device"
    assert not [path for path in course.rglob("*") if ".part" in path.name]


def test_full_leaves_no_stored_output_on_the_page_of_a_failed_seed(course):
    write_notebook(course, "print('begun')", "{}['key']", "print('third cell')")
    with pytest.raises(SystemExit, match="failed in cell 2"):
        full.run_seed(course / "02_tiny.ipynb", 42)
    text = page(course, "full/02_tiny-seed42")
    assert "begun" in text and "failed in cell 2" in text
    assert "a stored output" not in text


TRAINING = """
import time
from pathlib import Path
import keras, numpy as np
from PIL import Image
from utils import results
from utils.run import Run
results.BUILD = Path.cwd() / "build"
run = Run("02_tiny")
X = np.random.default_rng(0).random((256, 12, 12, 8), dtype="float32")
y = X.mean(axis=(1, 2, 3)) > 0.5
layers = keras.layers
model = keras.Sequential([layers.Conv2D(32, 3, activation="relu"), layers.Flatten(), layers.Dense(64), layers.Dense(1)])
model.compile("adam", "mse")
start = time.perf_counter()
loss = model.fit(X, y, epochs=3, batch_size=64, verbose=0).history["loss"][-1]
run.note_data(name="noise", n_train=256, n_test=0)
run.record("CNN", parameters=model.count_params(), epochs=3, seconds=time.perf_counter() - start, test_accuracy=loss)
print(repr(loss), [repr(float(np.sum(w, dtype="float64"))) for w in model.get_weights()])
display(Image.fromarray((X[0, :, :, :3] * 255).astype("uint8")).resize((200, 200), Image.Resampling.BICUBIC))
"""


@pytest.mark.skipif(util.find_spec("tensorflow") is None, reason="stored outputs are TensorFlow's")
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="the number of cores can be limited on Linux only"
)
def test_refresh_twice_with_other_numbers_of_cores_changes_nothing(course, monkeypatch):
    monkeypatch.setattr(results, "MEASURED_SAMPLE", course / "results" / "sample.json")
    monkeypatch.setattr(contact_sheet, "SHEET", course / "results" / "contact_sheet.png")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    for variable in (*VARIABLES, "XLA_FLAGS"):  # refresh pins threads itself, whatever conftest.py does
        monkeypatch.delenv(variable, raising=False)
    write_notebook(course, TRAINING)
    notebook = nbformat.read(course / "02_tiny.ipynb", as_version=4)
    notebook.cells[1].metadata["tags"] = [contact_sheet.TAG]
    nbformat.write(notebook, course / "02_tiny.ipynb")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")

    def refreshed() -> dict[str, bytes]:
        refresh.main()
        files = [path for path in course.rglob("*") if path.is_file() and "build" not in path.parts]
        return {str(path.relative_to(course)): path.read_bytes() for path in files}

    cores = os.sched_getaffinity(0)
    first = refreshed()
    try:
        os.sched_setaffinity(0, {min(cores)})
        second = refreshed()
    finally:
        os.sched_setaffinity(0, cores)
    assert set(first) == {
        "02_tiny.ipynb",
        "README.md",
        "results/README.md",
        "results/sample.json",
        "results/contact_sheet.png",
    }
    assert [name for name in first if first[name] != second[name]] == []
    sample = json.loads(first["results/sample.json"])["notebooks"]["02_tiny"]
    assert set(sample) == {"notebook", "scale", "data", "environment", "seeds", "models"}
    assert set(sample["environment"]) == {"python", "keras", "backend"}
    assert set(sample["models"]["CNN"]) == {"parameters", "epochs", "test_accuracy"}
    assert read_json(results.run_path("02_tiny", "sample", 42))["models"]["CNN"]["seconds"], "kept in build"
    outputs = nbformat.reads(first["02_tiny.ipynb"].decode(), as_version=4).cells[1].outputs
    assert "core" not in outputs[0].text
    png = Image.open(io.BytesIO(base64.b64decode(outputs[-1].data["image/png"])))
    assert (png.mode, png.size) == ("P", (200, 200))


@pytest.fixture
def refreshable(course, monkeypatch):
    """The course, with files of its own for all that refresh renews."""
    monkeypatch.setattr(results, "MEASURED_SAMPLE", course / "results" / "sample.json")
    monkeypatch.setattr(contact_sheet, "SHEET", course / "results" / "contact_sheet.png")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return course


def test_a_notebook_that_refresh_cannot_execute_stays_as_it_is(refreshable):
    write_notebook(refreshable, "1 / 0")
    before = (refreshable / "02_tiny.ipynb").read_bytes()
    with pytest.raises(SystemExit, match=r"failed in cell 1[\s\S]*These notebooks are as they were"):
        refresh.main()
    assert (refreshable / "02_tiny.ipynb").read_bytes() == before


def test_what_a_notebook_measured_before_it_failed_is_not_kept(refreshable):
    refresh.main()
    before = read_json(results.MEASURED_SAMPLE)
    assert before["notebooks"]["02_tiny"]["models"]
    changed = CODE.replace("seed / 100", "0.99")
    write_notebook(refreshable, changed, "1 / 0")
    with pytest.raises(SystemExit, match="failed in cell 2"):
        refresh.main()
    assert read_json(results.run_path("02_tiny", "sample", 42))["models"], "it had measured something"
    assert read_json(results.MEASURED_SAMPLE) == before


def test_a_notebook_that_is_saved_while_refresh_executes_it_keeps_what_was_saved(refreshable):
    path = refreshable / "02_tiny.ipynb"
    write_notebook(refreshable, 'open("02_tiny.ipynb", "a").write(" ")')  # as ruff formats it
    before = path.read_bytes()
    with pytest.raises(SystemExit, match=r"02_tiny\.ipynb was changed while it was executed"):
        refresh.main()
    assert path.read_bytes() == before + b" "


def test_refresh_on_a_disk_that_fills_leaves_the_notebook(refreshable, monkeypatch):
    path = refreshable / "02_tiny.ipynb"
    write_notebook(refreshable, "print(1)")
    before = path.read_bytes()
    monkeypatch.setattr(refresh, "write_bytes", no_space)
    with pytest.raises(SystemExit, match=r"02_tiny\.ipynb cannot be written: No space left on device"):
        refresh.main()
    assert path.read_bytes() == before


def test_cells_that_are_no_python_are_named_in_one_line(refreshable):
    write_notebook(refreshable, "x = (")
    with pytest.raises(SystemExit) as exit_:
        refresh.main()
    assert exit_.value.code.startswith("02_tiny.ipynb cannot be formatted: ")
    assert "cell" in exit_.value.code and "Traceback" not in exit_.value.code


def test_figures_are_shrunk_and_keep_their_colours():
    ramp = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype("uint8")
    noise = np.random.default_rng(0).integers(0, 60, (64, 64, 3), dtype="uint8")
    image = Image.fromarray(ramp // 2 + noise).convert("RGBA")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    shrunk = figures.shrink(buffer.getvalue())
    assert len(shrunk) < 0.6 * len(buffer.getvalue())
    assert shrunk == figures.shrink(buffer.getvalue()), "the same bytes every time"
    assert figures.shrink(shrunk) == shrunk, "what is small already stays"
    again = Image.open(io.BytesIO(shrunk))
    assert again.size == image.size
    assert len(again.getcolors()) <= 256
    error = np.abs(np.asarray(again.convert("RGB"), float) - np.asarray(image.convert("RGB"), float))
    assert error.mean() < 8
