"""Let git show notebooks cell by cell, in this clone: python -m tools.notebook_diffs (--off undoes it).

.gitattributes names the drivers; git takes their commands from the clone's configuration alone. nbdime's own
`config-git --enable` writes commands that are found only while the environment is active, and where they are not
found, git diff stops. These name the environment's Python.
"""

import argparse
import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DRIVER = "jupyternotebook"


def drivers(python: str) -> dict[str, str]:
    """Git's settings for both drivers: cells without execution counts, figures by their hash."""
    command = f"{shlex.quote(Path(python).as_posix())} -m nbdime.vcs.git"
    return {
        f"diff.{DRIVER}.command": f"{command}.diffdriver diff --ignore-details",
        f"merge.{DRIVER}.name": "cells of notebooks",
        f"merge.{DRIVER}.driver": f"{command}.mergedriver merge %O %A %B %L %P",
    }


def git(*arguments: str, folder: Path, check: bool = True) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=check, capture_output=not check)


def switch(on: bool, folder: Path = ROOT) -> None:
    """Write the drivers into the clone's configuration, or remove them."""
    for section in ("diff", "merge"):  # there may be none to remove
        git("config", "--local", "--remove-section", f"{section}.{DRIVER}", folder=folder, check=False)
    if on:
        for name, value in drivers(sys.executable).items():
            git("config", "--local", name, value, folder=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Let git show notebooks cell by cell, in this clone.")
    parser.add_argument("--off", action="store_true", help="back to plain text")
    on = not parser.parse_args().off
    if on and importlib.util.find_spec("nbdime") is None:
        sys.exit("nbdime is missing: call this with the environment's Python, such as .venv/bin/python.")
    switch(on)
    print(
        "git diff shows notebooks cell by cell; git diff --no-ext-diff as they are stored."
        if on
        else "git diff shows notebooks as they are stored."
    )


if __name__ == "__main__":
    main()
