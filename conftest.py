"""pytest settings that concern nbval, which collects the notebooks in this folder."""

import os

os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
# The stored outputs are those of the sample scale and seed 42, whatever the caller's shell says.
for variable in ("COURSE_SCALE", "COURSE_SEED", "COURSE_DATA"):
    os.environ.pop(variable, None)


def pytest_collectstart(collector):
    # stderr differs between a kernel under nbval and one under Jupyter; tests/test_notebooks.py forbids it in stored outputs.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
