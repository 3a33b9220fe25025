"""How many threads a process computes with. Numbers of a training depend on it, in their last digits and then in more."""

import os

VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",  # what joblib.cpu_count() returns, and so our own pools of processes
)
XLA_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"  # JAX on a CPU


def pinned(threads: int, *, keep: bool = False) -> dict[str, str]:
    """Environment variables that hold a process to so many threads; JAX can be held to one thread or not at all.

    keep: leave out those that the caller's environment has already.
    """
    env = {name: str(threads) for name in VARIABLES if not (keep and name in os.environ)}
    flags = os.environ.get("XLA_FLAGS", "")
    if threads == 1 and XLA_ONE_THREAD not in flags:
        env["XLA_FLAGS"] = f"{flags} {XLA_ONE_THREAD}".strip()
    return env
