"""What compiling a network that shifts its images saves on JAX: milliseconds a step against Keras's own choice, uncompiled.

KERAS_BACKEND=jax python -m benchmarks.compiled_augmentation
"""

import sys
import time

import keras
import numpy as np

import utils.run  # noqa: F401 - it lets JAX compile layers that move images

BATCH, STEPS, REPEATS = 32, 60, 3


def milliseconds(jit_compile: bool) -> float:
    """Best milliseconds a step of notebook 03's CNN behind a shift, over epochs of STEPS batches of noise."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    images, labels = (
        rng.random((STEPS * BATCH, 32, 32, 3), dtype="float32"),
        rng.integers(0, 10, STEPS * BATCH),
    )
    blocks = []
    for filters in (16, 32, 64):
        blocks += [layers.Conv2D(filters, 2, padding="same", activation="relu"), layers.MaxPooling2D(2)]
    shift = layers.RandomTranslation(0.1, 0.1, fill_mode="nearest")
    head = [layers.Flatten(), layers.Dense(500, activation="relu"), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((32, 32, 3)), shift, *blocks, *head])
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit_compile)
    times = []
    for _ in range(1 + REPEATS):  # the first compiles
        start = time.perf_counter()
        model.fit(images, labels, batch_size=BATCH, verbose=0)
        times.append(time.perf_counter() - start)
    return 1000 * min(times[1:]) / STEPS


def main() -> None:
    if keras.backend.backend() != "jax":
        sys.exit("Set KERAS_BACKEND=jax: other backends have no such choice to compare.")
    uncompiled, compiled = milliseconds(False), milliseconds(True)
    print(
        f"uncompiled {uncompiled:.1f} ms a step, compiled {compiled:.1f} ms: {uncompiled / compiled:.1f} times as fast"
    )


if __name__ == "__main__":
    main()
