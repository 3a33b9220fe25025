"""The repository: pins, declared imports, hashes, sizes, the README's table."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest
from course import NOTEBOOKS, ROOT, code_cells, read, source
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.readme_table import with_table
from utils import results
from utils.storage import SAMPLE, read_json, sha256_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = {"tensorflow": "requirements.txt", "gpu": "requirements-gpu.txt", "jax": "requirements-jax.txt"}
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow"}  # import name -> distribution, where they differ
OWN = {"benchmarks", "sample", "utils", "tools", "course", "values", "weights"}


def pins(lock: str) -> dict[str, str]:
    """Versions by distribution."""
    found = re.findall(r"(?m)^([a-z0-9._-]+)==([^ \\;]+)", (ROOT / lock).read_text())
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("extra", LOCKS)
def test_lock_satisfies_pyproject(extra):
    locked = pins(LOCKS[extra])
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not in {LOCKS[extra]}: run make lock"
        assert requirement.specifier.contains(locked[name]), f"{name} {locked[name]}: run make lock"


@pytest.mark.parametrize("lock", LOCKS.values())
def test_lock_is_hashed_and_names_no_server(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    requirements = re.split(r"(?m)^(?=[a-z0-9._-]+==)", text)[1:]
    assert requirements
    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_locks_agree():
    everywhere = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} - {"h5py"}
    versions = [{name: pins(lock)[name] for name in everywhere} for lock in LOCKS.values()]
    assert versions[0] == versions[1] == versions[2]


def test_environment_yml_installs_the_pins():
    text = (ROOT / "environment.yml").read_text()
    assert "- -r requirements-gpu.txt" in text
    version = re.search(r"- python=([\d.]+)", text).group(1)
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def modules(code: str) -> set[str]:
    tree = ast.parse(code)
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


def test_every_import_is_declared():
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    used = {path: modules((ROOT / path).read_text()) for path in tracked.stdout.split()}
    used |= {path.name: modules("\n".join(source(c) for c in code_cells(read(path)))) for path in NOTEBOOKS}
    listed = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["formats"]
    declared = {canonicalize_name(Requirement(line).name) for line in listed}
    for path, names in used.items():
        foreign = names - set(sys.stdlib_module_names) - OWN
        if path == "utils/interpret.py":  # imports the one backend that Keras runs on
            foreign -= {"tensorflow", "jax", "torch"}
        undeclared = {DISTRIBUTIONS.get(name, name) for name in foreign} - declared
        assert not undeclared, f"{path} imports {', '.join(undeclared)}: declare it in pyproject.toml"


def test_lint_forbids_backends_outside_interpret(tmp_path):
    for module in ("tensorflow", "jax", "torch"):
        for code in (
            f"import {module}\n",
            f"from {module}.keras import layers\n",
            f"import {module}.nn as nn\n",
        ):
            command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "--config"]
            command += [str(ROOT / "pyproject.toml"), "--stdin-filename"]
            for filename, code_expected in (("utils/metrics.py", 1), ("utils/interpret.py", 0)):
                done = subprocess.run(
                    [*command, str(ROOT / filename), "-"],
                    input=code,
                    text=True,
                    capture_output=True,
                    check=False,
                )
                assert done.returncode == code_expected, (filename, code, done.stdout, done.stderr)


def test_bundled_files_have_their_documented_hashes():
    documented = dict(
        re.findall(r"\| `([\w./]+)` .*\| `([0-9a-f]{64})` \|", (SAMPLE / "README.md").read_text())
    )
    bundled = {
        path.relative_to(SAMPLE).as_posix()
        for path in SAMPLE.rglob("*")
        if path.suffix not in (".py", ".pyc", ".md") and path.is_file()
    }
    assert bundled == set(documented)
    for name, sha256 in documented.items():
        assert sha256_of(SAMPLE / name) == sha256, f"{name}: run python -m sample and renew data/README.md"


def test_sizes():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    sizes = {path: (ROOT / path).stat().st_size for path in files if (ROOT / path).exists()}
    assert max(sizes.values()) < 5_000_000
    assert sum(size for path, size in sizes.items() if path.startswith("data/")) < 15_000_000
    house_numbers = ("svhn/train.tar.gz", "svhn/test.tar.gz", "numerals.png", "numerals.json")
    assert sum((SAMPLE / name).stat().st_size for name in house_numbers) < 4_500_000
    limits = {
        "digits.npz": 1_000_000,
        "scenes.npz": 4_500_000,
        "emoji.png": 1_000_000,
        "glyphs.png": 1_500_000,
        "slim_vgg16.npz": 2_500_000,
    }
    for name, limit in limits.items():
        assert (SAMPLE / name).stat().st_size < limit


def test_readme_table_is_fresh():
    text = (ROOT / "README.md").read_text()
    assert with_table(text) == text, "run make refresh, or python -m tools.readme_table"


def test_recorded_runs_are_whole_and_consistent():
    for path in results.RECORDED.glob("*.json"):
        recorded = read_json(path)
        assert path.stem == recorded["notebook"]
        assert path.stem in {notebook.stem for notebook in NOTEBOOKS}
        assert recorded["scale"] == "full"
        assert {"name", "sha256", "n_train", "n_test"} <= set(recorded["data"])
        assert {"python", "keras", "backend", "device"} <= set(recorded["environment"])
        for model, entry in recorded["models"].items():
            for name, metric in results.metrics_of(entry).items():
                assert len(metric["values"]) == len(recorded["seeds"]), (model, name)
                assert metric == results.summary(metric["values"]), (model, name)
