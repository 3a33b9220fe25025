"""pytest settings that concern nbval, which collects the notebooks in this folder."""

import os

os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
# The stored outputs are those of the sample scale and seed 42, whatever the caller's shell says.
for variable in ("COURSE_SCALE", "COURSE_SEED", "COURSE_DATA"):
    os.environ.pop(variable, None)

if "PYTEST_XDIST_WORKER" in os.environ:  # side by side on two cores, one thread each is faster than two
    for variable in (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    ):
        os.environ.setdefault(variable, "1")


def pytest_collectstart(collector):
    # stderr differs between a kernel under nbval and one under Jupyter; tests/test_notebooks.py forbids it in stored outputs.
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
