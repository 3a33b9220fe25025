"""Seconds to a given test accuracy on CIFAR-10, with notebook 09's residual network and recipe.

COURSE_SCALE=full python -m benchmarks.cifar10_speed [--target 0.94] [--epochs 16] [--seed 42]
python -m benchmarks.cifar10_speed --target 0.3 --epochs 2      # the sample's scenes, small network: a try-out

The network, the recipe and the test-time flips are the notebook's own functions. All training images are trained on.
Timed is the training; the first step, which compiles, and the looks at the test images are given apart. Test images
decide when the clock stops, so the accuracy is no estimate for new images. Weights are averaged at the end only.
"""

import argparse
import ast
import os
import time

import keras
import nbformat
import numpy as np
from keras import layers

from utils.datasets import load_cifar10
from utils.run import Run, environment
from utils.storage import ROOT

NOTEBOOK = "09_after_alexnet"
FUNCTIONS = {
    "augmented",
    "whitening",
    "with_norm",
    "residual_block",
    "residual_network",
    "compile_by_recipe",
    "chances",
}
SETTINGS = {"WIDTHS", "EPOCHS", "BATCH", "PEAK_RATE", "DECAY", "EMA", "PRECISION"}


def notebooks_own(run: Run) -> dict:
    """The notebook's functions and its settings for this run's scale, as they stand there."""
    found = {"keras": keras, "layers": layers, "np": np, "run": run}
    for cell in nbformat.read(ROOT / f"{NOTEBOOK}.ipynb", as_version=4).cells:
        for node in ast.parse(cell.source).body if cell.cell_type == "code" else []:
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            function = isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS
            if function or (isinstance(node, ast.Assign) and names & SETTINGS):
                exec(compile(ast.Module([node], []), NOTEBOOK, "exec"), found)
    if missing := (FUNCTIONS | SETTINGS) - found.keys():
        raise LookupError(f"{NOTEBOOK} does not define {', '.join(sorted(missing))}")
    return found


class Clock(keras.callbacks.Callback):
    """Stops the training at the target; counts its seconds without the looks at the test images."""

    def __init__(self, measure, target: float):
        super().__init__()
        self.measure, self.target = measure, target
        self.seconds, self.looking, self.reached = 0.0, 0.0, None

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        ended = time.perf_counter()
        self.seconds += ended - self.started
        accuracy = self.measure()
        self.looking += time.perf_counter() - ended
        print(f"epoch {epoch + 1}: {accuracy:.2%} of the test images after {self.seconds:.1f} s", flush=True)
        if accuracy >= self.target and self.reached is None:
            self.reached = self.seconds
            self.model.stop_training = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=float, default=0.94, help="accuracy at which the clock stops")
    parser.add_argument("--epochs", type=int, help="by default the notebook's")
    parser.add_argument("--seed", type=int, default=42)
    asked = parser.parse_args()
    os.environ["COURSE_SEED"] = str(asked.seed)
    run = Run(NOTEBOOK)
    (X, y), (X_test, y_test) = load_cifar10(run)
    X, X_test, Y = X.astype("float32"), X_test.astype("float32"), keras.utils.to_categorical(y)
    own = notebooks_own(run) | {"X_fit": X}
    own["WHITENING"], _ = own["whitening"](X[:5000])
    own["EPOCHS"] = asked.epochs or own["EPOCHS"]
    for function in FUNCTIONS:  # they take settings and images from where they are defined
        own[function].__globals__.update(own)
    keras.config.set_dtype_policy(own["PRECISION"])
    model = own["residual_network"]()
    own["compile_by_recipe"](model)
    model.optimizer.build(model.trainable_variables)
    at_first = [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]

    def measure() -> float:
        return float(np.mean(own["chances"](model, X_test).argmax(axis=1) == y_test))

    measure()  # compiles
    start = time.perf_counter()
    model.fit(X[: own["BATCH"]], Y[: own["BATCH"]], batch_size=own["BATCH"], verbose=0)
    compiling = time.perf_counter() - start
    for variable, value in zip((*model.variables, *model.optimizer.variables), at_first, strict=True):
        variable.assign(value)
    clock = Clock(measure, asked.target)
    model.fit(X, Y, batch_size=own["BATCH"], epochs=own["EPOCHS"], callbacks=[clock], verbose=0)
    final = measure()  # with averaged weights
    if clock.reached is None and final >= asked.target:
        clock.reached = clock.seconds
    verdict = f"{clock.reached:.1f} s" if clock.reached is not None else "not reached"
    print(f"{asked.target:.1%}: {verdict}; at the end {final:.2%} after {clock.seconds:.1f} s of training")
    print(f"compilation and first step {compiling:.1f} s, looks at the test images {clock.looking:.1f} s")
    for fact, value in ({"precision": own["PRECISION"]} | environment()).items():
        print(f"{fact}: {value}")


if __name__ == "__main__":
    main()
