"""Pictures of a layer's filters: several at once, one at a time, and with a new function a filter, as the chapter does.

python -m benchmarks.filter_visualisation
"""

import time

import keras

from utils.interpret import visualise_filters
from utils.slim_vgg16 import slim_vgg16

LAYER, FILTERS, SIDE, STEPS, BATCHES, REPEATS = "block5_conv1", 16, 128, 20, (4, 8, 16), 2


def seconds(batch_size: int, at_once: int = FILTERS) -> float:
    """Best seconds for all filters; each call, of so many filters at once, compiles a function of its own."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for first in range(0, FILTERS, at_once):
            filters = range(first, first + at_once)
            visualise_filters(model, LAYER, filters, SIDE, STEPS, batch_size=batch_size)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    model = slim_vgg16(include_top=False)
    visualise_filters(model, LAYER, [0], SIDE, steps=1)  # libraries load at the first call
    new, single = seconds(1, at_once=1), seconds(1)
    batches = {size: seconds(size) for size in BATCHES}
    print(
        f"{FILTERS} filters of {LAYER}, {SIDE} × {SIDE} pixels, {STEPS} steps on {keras.backend.backend()}, seconds a filter:"
    )
    print(
        f"  a new function a filter {new / FILTERS:.2f} · one at a time, one function {single / FILTERS:.2f}"
    )
    print("  batches: " + " · ".join(f"of {size} {value / FILTERS:.2f}" for size, value in batches.items()))
    best = min(batches.values())
    print(
        f"  one at a time / batches = {single / best:.2f}; a new function / batches = {new / best:.2f}; "
        f"a new function / one function = {new / single:.2f}"
    )
