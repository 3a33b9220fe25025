"""pytest settings that concern nbval, which collects the notebooks in this folder."""

import os

import tqdm  # noqa: F401  (reads its variable when it is imported)

from tools.order import collected
from tools.threads import pinned
from utils.settings import VARIABLES

os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
# The stored outputs are those of the sample scale and seed 42, whatever the caller's shell says.
for variable in VARIABLES:
    os.environ.pop(variable, None)

# One thread each: trained numbers depend on their number, make refresh takes one, and side by side it is faster.
os.environ |= pinned(1, keep=True)


def pytest_configure(config):
    # For the kernels and not for the tests here: a bar shows itself after three seconds, so on a slow machine only, and
    # what it leaves would be compared. Not in the process that starts xdist's workers: they would inherit it.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        os.environ["TQDM_DISABLE"] = "1"


def pytest_collectstart(collector):
    # stderr differs between a kernel under nbval and one under Jupyter; tests/test_notebooks.py forbids it in stored outputs.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


def pytest_collection_modifyitems(items):
    """The longest files first, so that no worker idles while the last of them runs.

    The order among the cells and tests of a file stays. Workers take the files in this order where they are called
    with --dist loadscope --no-loadscope-reorder.
    """
    place = {
        path: i
        for i, path in enumerate(
            collected(list(dict.fromkeys(item.path for item in items)))
        )
    }
    items.sort(key=lambda item: place[item.path])
