"""The report speaks where the installation is broken, and names no folder and no user."""

import json
import os
import re
from pathlib import Path

import pytest

from tools import report


def fake_keras(tmp_path: Path, monkeypatch, code: str) -> None:
    """A module keras of this code, in place of the installed one, for processes that start from here on."""
    (tmp_path / "keras.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_device_and_backend_are_named(tmp_path, monkeypatch):
    code = "class backend:\n    backend = staticmethod(lambda: 'jax')\n"
    code += "class ops:\n    class zeros:\n        def __init__(self, n):\n            self.device = 'TFRT_CPU_0'\n"
    fake_keras(tmp_path, monkeypatch, code + "print('a greeting')\n")
    assert report.keras_sees() == "jax on TFRT_CPU_0"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libcudart is missing')", "cannot be used: ImportError: libcudart is missing"),
        ("import os\nos._exit(132)", "cannot be used: exit code 132"),  # as after an illegal instruction
    ],
)
def test_an_import_that_fails_is_reported(tmp_path, monkeypatch, code, said):
    fake_keras(tmp_path, monkeypatch, code)
    assert report.keras_sees() == said


def test_a_gpu_that_keras_does_not_see():
    assert "does not see" in report.unseen("tensorflow on /device:CPU:0", "NVIDIA L4, 550.1")
    assert not report.unseen("tensorflow on /device:GPU:0", "NVIDIA L4, 550.1")
    assert not report.unseen("tensorflow on /device:CPU:0", "no nvidia-smi")
    assert not report.unseen("cannot be used: ImportError", "NVIDIA L4, 550.1")


def test_versions_that_differ_from_the_lock(monkeypatch):
    installed = report.metadata.version("numpy")
    assert f"numpy {installed}" in report.versions()
    monkeypatch.setattr(report, "_locked", lambda: {"numpy": "0.1"})
    assert f"numpy {installed} (locked: 0.1)" in report.versions()


@pytest.mark.parametrize(("folder", "lock"), [(".venv", ""), ("env", ""), (".venv-jax", "-jax")])
def test_versions_are_held_against_the_lock_of_their_environment(monkeypatch, folder, lock):
    monkeypatch.setattr(report.sys, "prefix", f"/course/{folder}")
    pinned = re.findall(
        r"(?m)^jax==([^ \\;]+)", (report.ROOT / f"requirements{lock}.txt").read_text(encoding="utf-8")
    )
    assert report._locked().get("jax") == (pinned[0] if pinned else None)
    assert bool(pinned) == bool(lock)


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise report.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(report.metadata, "version", missing)
    assert "keras: not installed" in report.versions()
    assert not [line for line in report.versions() if line.startswith("torch")]  # one backend is enough


def test_paths_and_names_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "ROOT", tmp_path / "home" / "course")
    monkeypatch.setattr(report.os.path, "expanduser", lambda path: str(tmp_path / "home"))
    monkeypatch.setattr(report, "_user", lambda: "grace")
    environ = {"COURSE_DATA": str(tmp_path / "lab"), "KERAS_HOME": ""}
    home = tmp_path / "home"
    assert report.without_names(str(home / "course" / "run.py"), environ) == f".{os.sep}run.py"
    assert report.without_names((home / "course" / "run.py").as_posix(), environ) == "./run.py"
    assert report.without_names(f"in {home}/.keras: no", environ) == "in ~/.keras: no"
    assert report.without_names(f"{home}work/x", environ) == f"{home}work/x"  # another folder
    assert report.without_names(f"{tmp_path}/lab/mnist.npz", environ) == "$COURSE_DATA/mnist.npz"
    for folder in ("/home", "/Users"):
        assert report.without_names(f"{folder}/ada/x and C:\\Users\\Ada\\x", environ) == "~/x and ~\\x"
    assert report.without_names("'C:\\\\Users\\\\Ada\\\\x'", environ) == "'~\\\\x'"
    assert (
        report.without_names("owned by grace, not by graceland", environ) == "owned by USER, not by graceland"
    )


def test_settings_do_not_show_paths(tmp_path):
    lines = report.settings({"COURSE_SCALE": "full", "COURSE_DATA": str(tmp_path)})
    assert "COURSE_SCALE: full" in lines
    assert "COURSE_SEED: not set" in lines
    assert "COURSE_DATA: set" in lines
    assert "COURSE_DATA: set, but not to a folder" in report.settings({"COURSE_DATA": str(tmp_path / "none")})


def test_pages_and_failures(tmp_path):
    assert report.pages(tmp_path) == []
    (tmp_path / "html" / "full").mkdir(parents=True)
    for name in ("index", "01_a", "02_b", "full/02_b-seed42"):
        (tmp_path / "html" / f"{name}.html").write_text("", encoding="utf-8")
    assert "02_b: has a page" in report.pages(tmp_path)
    runs = {"01_a": {"failed": ""}, "02_b": {"failed": "failed in cell 3"}}
    (tmp_path / "html" / "runs.json").write_text(json.dumps(runs), encoding="utf-8")
    assert report.pages(tmp_path) == [
        "01_a: has a page",
        "02_b: failed in cell 3",
        "full/02_b-seed42: has a page",
    ]
    (tmp_path / "html" / "runs.json").write_text('{"01_a": ', encoding="utf-8")
    assert "02_b: has a page" in report.pages(tmp_path)


def test_the_newest_log_that_says_something(tmp_path):
    logs = tmp_path / "logs"
    assert report.last_error(tmp_path) == []
    logs.mkdir()
    texts = {
        "old": "an older error",
        "new": "\x1b[31mline\x1b[0m\n\n" * 99 + "DataError: no MNIST",
        "empty": "\n",
    }
    for age, (name, text) in enumerate(texts.items()):
        (logs / f"{name}.log").write_text(text, encoding="utf-8")
        os.utime(logs / f"{name}.log", (age, age))
    lines = report.last_error(tmp_path)
    assert lines[0] == "(end of new.log)"
    assert lines[-2:] == ["line", "DataError: no MNIST"]
    assert len(lines) == 1 + report.LAST_LINES


def test_the_whole_report_without_git_and_keras(tmp_path, monkeypatch):
    fake_keras(tmp_path, monkeypatch, "raise ImportError('broken')")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    text = report.report()
    assert "- Keras: cannot be used: ImportError: broken" in text
    assert "- unknown (no git, or no repository)" in text
    assert str(tmp_path) not in text
