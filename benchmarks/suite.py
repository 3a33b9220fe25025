"""What the course costs to execute: CPU-seconds of each notebook's kernel and of the tests, as multiples of a reference.

    python -m benchmarks.suite                       every notebook once, and the tests
    python -m benchmarks.suite --against f9bc214     the same beside that commit's notebooks and tests, alternating
    python -m benchmarks.suite --notebooks 02,08     these only, without the tests

Machines differ by a factor of three, so seconds mean little. The reference runs in the same call, first and last:
three epochs of notebook 02's LeNet5 on 6,000 digits, in batches of 32, building and compiling included. CPU-seconds
(user and system, all threads and child processes) are counted and not time on the clock, so that a busy machine
disturbs less; every kernel has one thread, as under `make test`, and starts without caches, in a copy of its own.

The other commit's notebooks run in today's environment. Works where Python has `resource`: Linux and macOS.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from tools.threads import pinned
from utils.settings import VARIABLES

ROOT = Path(__file__).resolve().parent.parent
TESTS = "tests"


def reference() -> float:
    """CPU-seconds of three epochs of LeNet5 on 6,000 images of noise; to be called in a fresh process."""
    import keras
    import numpy as np
    from keras import layers

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images = rng.random((6000, 28, 28, 1), dtype="float32")
    labels = rng.integers(0, 10, 6000)
    start = time.process_time()
    lenet5 = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.AveragePooling2D(2, strides=1),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2, strides=2),
            layers.Conv2D(120, 5, activation="tanh"),
            layers.Flatten(),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    lenet5.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    lenet5.fit(images, labels, batch_size=32, epochs=3, verbose=0)
    return time.process_time() - start


def environment(root: Path) -> dict[str, str]:
    """The environment of what runs in a copy of the course: its own modules, one thread, the sample scale."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    return (
        inherited
        | pinned(1)
        | {"PYTHONPATH": str(root), "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    )


def children_seconds() -> float:
    """CPU-seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured_reference() -> float:
    command = [sys.executable, "-m", "benchmarks.suite", "--reference"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def copy_of(commit: str | None, folder: Path) -> Path:
    """A copy of the course in folder: of a commit, or of the working tree where none is given."""
    subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, folder], check=True)
    subprocess.run(["git", "-C", folder, "checkout", "--quiet", commit or "HEAD"], check=True)
    if not commit:
        listing = ["git", "ls-files", "-z", "--cached", "--modified", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    return folder


def notebook_seconds(root: Path, number: str) -> float:
    """CPU-seconds of the kernel that executes a notebook, from its start to its end. Exits where a cell fails."""
    (path,) = root.glob(f"{number}_*.ipynb")
    shutil.rmtree(root / "build", ignore_errors=True)
    client = NotebookClient(
        nbformat.read(path, as_version=4),
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(root)}},
        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
    )
    before = children_seconds()
    try:
        client.execute(env=environment(root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (CellExecutionError, DeadKernelError) as error:
        sys.exit(f"{path.name} of {root.name} failed: {error}")
    return children_seconds() - before


def tests_seconds(root: Path) -> float:
    """CPU-seconds of the tests beside the notebooks, one after the other."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    command += ["tests", "--ignore=tests/test_values.py"]
    before = children_seconds()
    done = subprocess.run(
        command, cwd=root, env=environment(root), capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"the tests of {root.name} fail: {done.stdout.strip().splitlines()[-1]}")
    return children_seconds() - before


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="COMMIT", help="run this commit's notebooks beside today's")
    parser.add_argument("--notebooks", metavar="NN,NN", help="only these, and no tests")
    parser.add_argument("--repeats", type=int, default=1, help="of every run; the median counts")
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reference:
        print(reference())
        return

    today = {path.name[:2] for path in ROOT.glob("[0-9][0-9]_*.ipynb")}
    parts = options.notebooks.split(",") if options.notebooks else [*sorted(today), TESTS]
    if unknown := set(parts) - today - {TESTS}:
        parser.error(
            f"there is no notebook {', '.join(sorted(unknown))}; there are {', '.join(sorted(today))}"
        )
    with tempfile.TemporaryDirectory() as folder:
        trees = {"today": copy_of(None, Path(folder) / "today")}
        if options.against:
            trees[options.against] = copy_of(options.against, Path(folder) / options.against)
        units = [measured_reference()]
        seconds = {}
        for part in parts:
            seconds[part] = {name: [] for name in trees}
            for _ in range(options.repeats):
                for name, root in reversed(trees.items()):
                    if part != TESTS and not list(root.glob(f"{part}_*.ipynb")):
                        continue
                    took = tests_seconds(root) if part == TESTS else notebook_seconds(root, part)
                    seconds[part][name].append(took)
                    print(f"  {part} {name}: {took:.1f} CPU-seconds", file=sys.stderr, flush=True)
        units.append(measured_reference())
    report(seconds, units)


def report(seconds: dict[str, dict[str, list[float]]], units: list[float]) -> None:
    """Print costs in units of the reference, each notebook's share of all, and ratios."""
    unit = statistics.fmean(units)
    costs = {
        part: {name: statistics.median(runs) / unit for name, runs in trees.items() if runs}
        for part, trees in seconds.items()
    }
    names = list(next(iter(seconds.values())))
    notebooks = [part for part in costs if part != TESTS]
    groups = {"01 to 08": [part for part in notebooks if part <= "08"], "all notebooks": notebooks}
    rows = dict(costs)
    for title, group in groups.items():
        if len(group) > 1 and (title != "all notebooks" or group != groups["01 to 08"]):
            rows[title] = {
                n: sum(costs[p][n] for p in group) for n in names if all(n in costs[p] for p in group)
            }
    whole = sum(costs[part]["today"] for part in notebooks)
    print(
        f"reference, CPU-seconds: {units[0]:.2f} before, {units[1]:.2f} after; costs are multiples of the mean"
    )
    print(f"{'':<14}" + "".join(f"{name:>12}" for name in names) + f"{'ratio':>8}{'share':>8}")
    for title, row in rows.items():
        ratio = f"{row[names[0]] / row[names[1]]:8.2f}" if len(row) == 2 else f"{'':8}"
        share = f"{row['today'] / whole:8.0%}" if title in notebooks else ""
        print(
            f"{title:<14}"
            + "".join(f"{row[n]:12.2f}" if n in row else f"{'':12}" for n in names)
            + ratio
            + share
        )


if __name__ == "__main__":
    main()
