"""A function over many jobs, on all cores, in order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable, jobs: Sequence, workers: int) -> Iterator:
    """Results of function(job), in the order of the jobs.

    With several processes the work runs a few jobs ahead of what has been taken, no more, so that results do not
    pile up in memory. function: one of a module, and like jobs and results something that pickle can carry.
    """
    if workers == 1 or len(jobs) == 1:
        yield from map(function, jobs)
        return
    # Spawned, not forked: a copy of a process in which TensorFlow has started threads may hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(function, job))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
