"""Work on many images cut into jobs, and a function over many jobs, on all cores, in order."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import joblib

IMAGES_PER_JOB = 512
FEW_JOBS = 8


def in_jobs(number: int) -> list[tuple[int, int]]:
    """Images 0 to number - 1, cut into the pieces (start, stop) that one process does at a time."""
    return [(start, min(start + IMAGES_PER_JOB, number)) for start in range(0, number, IMAGES_PER_JOB)]


def workers_for(jobs: Sequence) -> int:
    """All cores for many jobs; one for a few, where starting further processes costs more than they save."""
    return joblib.cpu_count() if len(jobs) > FEW_JOBS else 1


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
