"""README's commands can be found and typed by a machine, and name targets that the Makefile has."""

import re
import socket
import sys
import time

import pytest
from course import ROOT

from tools import readme_walk

README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGETS = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
TEXT = """# Title

## Start

```
make run     # a comment
make lab
```

Without make:

```bash
python3 -m pip install \\
    numpy
```

## Test

```
make test
```
"""


def test_blocks_of_one_section():
    assert readme_walk.blocks(TEXT) == [["make run", "make lab"], ["python3 -m pip install      numpy"]]
    assert readme_walk.blocks(TEXT, "Test") == [["make test"]]
    with pytest.raises(ValueError, match="Results"):
        readme_walk.blocks(TEXT, "Results")


def test_the_readme_starts_with_make_and_goes_without():
    with_make, without = readme_walk.blocks(README)
    assert "make run" in with_make
    assert [command for command in without if "--require-hashes -r requirements.txt" in command]
    assert not [command for command in without if command.startswith("make")]


@pytest.mark.parametrize("text", [README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")])
def test_targets_that_the_text_names_are_there(text):
    named = set(re.findall(r"(?:`|^)(?:[A-Z_]+=\S+ )?make ([a-z-]+)", text, flags=re.MULTILINE))
    assert len(named) >= 4
    assert named <= set(TARGETS)


def test_a_command_that_fails_ends_the_walk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="exit code 3: exit 3"):
        readme_walk.walk(["echo first > first", "exit 3", "echo second > second"])
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


@pytest.mark.skipif(sys.platform == "win32", reason="the walk is for a POSIX shell")
def test_a_server_is_ended_once_it_answers(tmp_path, monkeypatch):
    (tmp_path / "api").write_text('{"version": "1"}', encoding="utf-8")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        monkeypatch.setattr(readme_walk, "PORT", free.getsockname()[1])
    command = f'cd "{tmp_path}" && "{sys.executable}" -m http.server --bind localhost $JUPYTER_PORT; : lab'
    readme_walk.walk([command])
    deadline = time.monotonic() + 30
    with pytest.raises(OSError):  # the signal has been sent; a busy machine takes a while
        while time.monotonic() < deadline:
            socket.create_connection(("localhost", readme_walk.PORT), timeout=5).close()


@pytest.mark.skipif(sys.platform == "win32", reason="the walk is for a POSIX shell")
def test_a_server_that_ends_is_an_error():
    with pytest.raises(SystemExit, match="ended with exit code 4"):
        readme_walk.walk(["exit 4 # lab"])
