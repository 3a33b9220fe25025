"""pytest settings that concern nbval, which collects the notebooks in this folder."""

import os

from tools.order import longest_first
from tools.threads import pinned

os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
# The stored outputs are those of the sample scale and seed 42, whatever the caller's shell says.
for variable in ("COURSE_SCALE", "COURSE_SEED", "COURSE_DATA"):
    os.environ.pop(variable, None)

# One thread each: trained numbers depend on their number, make refresh takes one, and side by side it is faster.
os.environ |= pinned(1, keep=True)


def pytest_collectstart(collector):
    # stderr differs between a kernel under nbval and one under Jupyter; tests/test_notebooks.py forbids it in stored outputs.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


def pytest_collection_modifyitems(items):
    """Notebooks first, the longest of them first, then the tests: so that no worker is left with one alone.

    The order among the cells and tests of a file stays. Workers take the files in this order where they are called
    with --dist loadscope --no-loadscope-reorder.
    """
    paths = list(dict.fromkeys(item.path for item in items))
    first = longest_first([path for path in paths if path.suffix == ".ipynb"], {})
    place = {path: i for i, path in enumerate([*first, *(p for p in paths if p.suffix != ".ipynb")])}
    items.sort(key=lambda item: place[item.path])
