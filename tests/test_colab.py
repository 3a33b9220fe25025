"""What tools/colab.py puts into the notebooks: link and cell, and what the cell does on Colab and elsewhere.

Colab itself is not asked: a package named google.colab stands in for it, and one named pip for pip.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from inspect import signature
from pathlib import Path

import nbformat
import pytest
import test_notebooks
import yaml
from course import NOTEBOOKS, ROOT, code_cells, read, source
from test_notebook_diffs import git

from tools import colab, site
from tools.full import code_hash
from tools.install_missing import install_missing

ADDRESS = "https://github.com/someone/a-course"
OTHER = "https://github.com/someone-else/cnn.course"


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.iterdir()) if path.is_file()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A copy of what the tool changes, as it is without an address."""
    root = tmp_path_factory.mktemp("plain")
    for path in [*NOTEBOOKS, *(ROOT / name for name in colab.PLACES)]:
        shutil.copy(path, root)
    colab.change("", root)
    return root


@pytest.fixture(scope="module")
def addressed(plain, tmp_path_factory) -> Path:
    """The same with ADDRESS."""
    root = shutil.copytree(plain, tmp_path_factory.mktemp("addressed") / "course")
    assert colab.change(ADDRESS, root) == [*(path.name for path in NOTEBOOKS), *colab.PLACES]
    return root


def colab_cell(root: Path) -> str:
    notebook = read(root / NOTEBOOKS[0].name)
    return next(source(cell) for cell in notebook["cells"] if cell["id"] == colab.CELL_ID)


def test_every_notebook_gets_link_and_cell(plain, addressed):
    for path in NOTEBOOKS:
        before, after = read(plain / path.name), read(addressed / path.name)
        link = f"(https://colab.research.google.com/github/someone/a-course/blob/main/{path.name})"
        title, gap, second, *_ = source(after["cells"][0]).splitlines()
        assert title == source(before["cells"][0]).splitlines()[0] and gap == "" and link in second
        first = next(cell for cell in after["cells"] if cell["cell_type"] == "code")
        assert first["id"] == colab.CELL_ID and first["outputs"] == []
        assert [source(cell) for cell in code_cells(after)] == [source(cell) for cell in code_cells(before)]
        assert code_hash(addressed / path.name) == code_hash(plain / path.name)


def test_the_address_stands_where_addresses_belong(addressed):
    project = tomllib.loads((addressed / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((addressed / "CITATION.cff").read_text(encoding="utf-8"))
    assert (project["urls"], citation["repository-code"]) == ({"Repository": ADDRESS}, ADDRESS)
    assert project["dependencies"] and project["optional-dependencies"]


def test_twice_is_once_another_replaces_it_and_off_restores_the_bytes(plain, addressed, tmp_path):
    root = shutil.copytree(addressed, tmp_path / "course")
    assert colab.change(ADDRESS, root) == [] and contents(root) == contents(addressed)
    colab.change(OTHER, root)
    assert not [name for name, content in contents(root).items() if b"a-course" in content]
    colab.change("", root)
    assert contents(root) == contents(plain)
    assert colab.change("", root) == []


def test_the_rules_for_notebooks_hold(addressed):
    rules = [rule for name, rule in vars(test_notebooks).items() if name.startswith("test_")]
    assert len(rules) > 10 and all(list(signature(rule).parameters) == ["path"] for rule in rules)
    for path in NOTEBOOKS:
        for rule in rules:
            rule(addressed / path.name)


def test_the_cell_is_short_and_lint_passes(addressed):
    lines = colab_cell(addressed).splitlines()
    assert sum(map(bool, lines)) < 20 and max(map(len, lines)) <= 88
    path = NOTEBOOKS[0]  # as if it stood there: ruff asks what is the course's own
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "--stdin-filename", str(path), "-"]
        content = (addressed / path.name).read_bytes()
        done = subprocess.run(ruff, cwd=ROOT, input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode()


def test_the_site_leaves_the_cell_out(plain, addressed):
    with_cell, without = (
        nbformat.read(root / NOTEBOOKS[0].name, as_version=4) for root in (addressed, plain)
    )
    site.without_colab_cell(with_cell)
    assert [cell.id for cell in with_cell.cells] == [cell.id for cell in without.cells]


@pytest.mark.parametrize(
    "address",
    [
        "github.com/a/b",
        "http://github.com/a/b",
        "https://gitlab.com/a/b",
        "https://github.com/a",
        "https://github.com/a/b/",
        "https://github.com/a/b.git",
        "https://github.com/a/b/tree/main",
    ],
)
def test_an_address_that_colab_cannot_open_is_refused(address, monkeypatch):
    monkeypatch.setattr(colab, "change", lambda address: [])  # what is here stays as it is
    with pytest.raises(SystemExit) as refused:
        colab.main([address])
    message = str(refused.value)
    assert repr(address) in message and "https://github.com/OWNER/NAME" in message and "\n" not in message


EXECUTE = """
import json, os, pathlib, sys
cell, where, times, answer = sys.argv[1:]
if where == "Colab":
    import google.colab
code = pathlib.Path(cell).read_text(encoding="utf-8")
before = os.getcwd(), dict(os.environ), list(sys.path), set(sys.modules)
for _ in range(int(times)):
    exec(code, {})
same = before == (os.getcwd(), dict(os.environ), list(sys.path), set(sys.modules))
state = {"folder": os.getcwd(), "path": sys.path[:1], "same": same}
state |= {name: os.environ.get(name) for name in ("COURSE_SCALE", "COURSE_SEED")}
pathlib.Path(answer).write_text(json.dumps(state), encoding="utf-8")
"""
# It notes what it is asked for, and leaves something that counts as installed.
PIP = """
import pathlib, sys
here = pathlib.Path(__file__).parent.parent
with (here / "asked").open("a", encoding="utf-8") as asked:
    print(*sys.argv[1:], file=asked)
for requirement in sys.argv[3:]:
    installed = here / (requirement.split("=")[0].replace("-", "_") + "-1.2.dist-info")
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\\nName: x\\nVersion: 1.2\\n", encoding="utf-8")
"""
PROJECT = """
[project]
name = "a-course"
dependencies = ["no-such-package==1.2", "pytest>=1", "Packaging>=9999"]  # missing, there, there and too old
"""


@pytest.fixture
def published(tmp_path) -> Path:
    """A repository of two commits that stands for the published course."""
    root = tmp_path / "published"
    for folder in ("utils", "tools"):
        (root / folder).mkdir(parents=True)
    (root / "utils" / "run.py").touch()
    for name in ("__init__.py", "install_missing.py"):
        shutil.copy(ROOT / "tools" / name, root / "tools")
    git("init", "--quiet", "--initial-branch=main", folder=root)
    for project in ("", PROJECT):
        (root / "pyproject.toml").write_text(project, encoding="utf-8")
        git("add", ".", folder=root)
        git("commit", "--quiet", "-m", "a commit", folder=root)
    return root


@pytest.fixture
def execute(addressed, published, tmp_path):
    """Executes the cell in an empty folder; the state it leaves, what it printed, and what pip was asked for.

    git fetches ADDRESS from `published`.
    """
    (tmp_path / "content").mkdir()
    (tmp_path / "cell.py").write_text(colab_cell(addressed), encoding="utf-8")
    (tmp_path / "execute.py").write_text(EXECUTE, encoding="utf-8")
    for name, code in {"google/colab/__init__.py": "", "pip/__init__.py": "", "pip/__main__.py": PIP}.items():
        module = tmp_path / "stand-ins" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(code, encoding="utf-8")
    asked = tmp_path / "stand-ins" / "asked"

    def execute(where: str, times: int = 1, **environment: str) -> tuple[dict, str, str]:
        answer = tmp_path / "answer.json"
        command = [sys.executable, tmp_path / "execute.py", tmp_path / "cell.py", where, str(times), answer]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
        instead = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": ADDRESS,
        }
        done = subprocess.run(
            command,
            cwd=tmp_path / "content",
            env=clean | instead | {"PYTHONPATH": str(tmp_path / "stand-ins")} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        pip = asked.read_text(encoding="utf-8") if asked.exists() else ""
        return json.loads(answer.read_text(encoding="utf-8")), done.stdout, pip

    return execute


def test_on_colab_the_cell_fetches_the_course_and_what_is_missing(execute, tmp_path):
    state, printed, pip = execute("Colab")
    clone = tmp_path / "content" / "a-course"
    assert Path(state["folder"]) == Path(state["path"][0]) == clone
    assert git("rev-list", "--count", "HEAD", folder=clone) == "1\n"
    assert (state["COURSE_SCALE"], state["COURSE_SEED"]) == ("sample", "42")
    assert pip == "install --quiet no-such-package==1.2\n"
    assert f"Packaging is {version('packaging')} here; the course asks for >=9999\n" in printed


def test_on_colab_a_second_time_does_nothing_more(execute, tmp_path):
    clone = tmp_path / "content" / "a-course"
    again, _, pip = execute("Colab", times=2)
    assert Path(again["folder"]) == clone and not (clone / "a-course").exists()
    changed = clone.stat().st_mtime_ns
    restarted, _, after_restart = execute("Colab")  # a new kernel starts in the folder above
    assert Path(restarted["folder"]) == clone and clone.stat().st_mtime_ns == changed
    assert after_restart == pip == "install --quiet no-such-package==1.2\n"


def test_on_colab_the_form_chooses(execute, tmp_path):
    cell = tmp_path / "cell.py"
    form = {
        'SCALE = "sample"  # @param ["sample", "full"]': 'SCALE = "full"',
        "SEED = 42  # @param": "SEED = 7  #",
    }
    for shown, chosen in form.items():  # Colab writes what was chosen into the cell
        assert shown in cell.read_text(encoding="utf-8")
        cell.write_text(cell.read_text(encoding="utf-8").replace(shown, chosen), encoding="utf-8")
    state, _, _ = execute("Colab", COURSE_SEED="1")
    assert (state["COURSE_SCALE"], state["COURSE_SEED"]) == ("full", "7")


def test_elsewhere_the_cell_does_nothing(execute, tmp_path):
    state, printed, pip = execute("elsewhere", COURSE_SCALE="full", COURSE_SEED="1")
    assert state["same"] and (printed, pip) == ("", "") and not list((tmp_path / "content").iterdir())
    assert (state["COURSE_SCALE"], state["COURSE_SEED"]) == ("full", "1")


def test_of_the_course_itself_nothing_is_missing_here(capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    install_missing()
    assert capsys.readouterr().out == ""
