"""A training divided among processes, as it would be among hosts, against the same training in one: milliseconds a step.

KERAS_BACKEND=jax python -m benchmarks.several_hosts                    two processes on this machine's loopback address
KERAS_BACKEND=jax python -m benchmarks.several_hosts --address 10.0.0.1:4000 --processes 3 --process 0     on three hosts

The second is called on every host, with its number; the address is that of number 0. `keras.distribution.initialize`
joins the processes. Keras takes what a process passes to `fit` for its share and puts the shares of all together, so that
every process makes the same step. Whatever looks at the weights, saving too, all of them have to do.
"""

import argparse
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np

BATCH, STEPS, EPOCHS = 64, 20, 3


def share(rows: np.ndarray, process: int, processes: int) -> np.ndarray:
    """A process's part of every batch, in order: (n, …) -> (n / processes, …)."""
    each = rows.reshape(-1, processes, BATCH // processes, *rows.shape[1:])
    return each[:, process].reshape(-1, *rows.shape[1:])


def network() -> keras.Model:
    """A small CNN with the same first weights wherever it is made."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    blocks = [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(2)]
    blocks += [layers.Conv2D(32, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(10)]
    model = keras.Sequential([keras.Input((32, 32, 3)), *blocks])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def train(address: str, processes: int, process: int, weights: str) -> list[float]:
    """Train on random images as one of several processes; the loss of each epoch, and the best milliseconds a step.

    weights: where the weights go at the end, if anywhere; each process needs a path of its own.
    """
    if processes > 1:  # before anything is computed
        keras.distribution.initialize(address, processes, process)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    rng = np.random.default_rng(0)
    images = rng.random((STEPS * BATCH, 32, 32, 3), dtype="float32")
    labels = rng.integers(0, 10, STEPS * BATCH)
    model, losses, times = network(), [], []
    for _ in range(EPOCHS):  # the first compiles
        start = time.perf_counter()
        history = model.fit(
            share(images, process, processes),
            share(labels, process, processes),
            batch_size=BATCH // processes,
            shuffle=False,
            verbose=0,
        )
        losses += history.history["loss"]
        times.append(time.perf_counter() - start)
    if weights:
        model.save_weights(weights)
    return [*losses, 1000 * min(times[1:]) / STEPS]


def on_this_machine(processes: int, folder: Path | None = None) -> list[list[float]]:
    """What `train` returns in each of several processes that are joined on the loopback address.

    folder: each leaves its weights there, as <number>.weights.h5. Raises CalledProcessError where one fails.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "benchmarks.several_hosts", f"--address={address}"]
    running = []
    for process in range(processes):
        own = [f"--processes={processes}", f"--process={process}"]
        own += [f"--weights={folder / f'{process}.weights.h5'}"] if folder else []
        running.append(subprocess.Popen([*command, *own], stdout=subprocess.PIPE, text=True))
    outputs = [each.communicate()[0] for each in running]
    for each in running:
        if each.returncode:
            raise subprocess.CalledProcessError(each.returncode, each.args)
    return [[float(number) for number in output.splitlines()[-1].split()] for output in outputs]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", help="of process 0, with a port")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--process", type=int, default=0, help="this one's number, from 0")
    parser.add_argument(
        "--weights", default="", help="where to save them; a path of its own for each process"
    )
    arguments = parser.parse_args()
    if keras.backend.backend() != "jax":
        sys.exit("Set KERAS_BACKEND=jax: Keras joins processes on JAX alone.")
    if arguments.address:
        print(*train(**vars(arguments)))
        return
    ((*alone, one),) = on_this_machine(1)
    (*joined, two), *_ = on_this_machine(arguments.processes)
    print(
        f"one process {one:.1f} ms a step, {arguments.processes} processes {two:.1f} ms: {two / one:.2f} of it"
    )
    print(f"the losses differ by {max(abs(a - b) for a, b in zip(alone, joined, strict=True)):.1e} at most")


if __name__ == "__main__":
    main()
