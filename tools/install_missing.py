"""Install what a machine lacks of the packages that notebooks import, and nothing else: for Google Colab.

What is there stays, whatever its version. Colab's packages are chosen to fit each other, some are loaded already, and
another TensorFlow might not find the GPU. Where a version is not one that the course asks for, a line says so: it may
explain other numbers, or an error.
"""

import importlib
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def install_missing(pyproject: Path = PYPROJECT) -> None:
    """Install what is missing of a project's dependencies. Raises CalledProcessError where pip cannot."""
    missing = []
    for line in tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]:
        wanted = Requirement(line)
        found = next(iter(distributions(name=wanted.name)), None)
        if found is None:
            missing.append(str(wanted))
        elif not wanted.specifier.contains(found.version, prereleases=True):
            print(f"{wanted.name} is {found.version} here; the course asks for {wanted.specifier}")
    if missing:
        print(f"Installing {', '.join(missing)}")
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
        importlib.invalidate_caches()  # so that this Python finds them
