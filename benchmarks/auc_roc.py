"""What auc_roc costs in training: seconds an epoch against keras.metrics.AUC with its 200 thresholds, and no metric.

python -m benchmarks.auc_roc
"""

import time

import keras
import numpy as np

from utils.metrics import auc_roc

ROWS, BATCH, REPEATS = 64_000, 64, 3


def seconds(metrics: list) -> float:
    """Best seconds of an epoch of the chapter's time-series network, compiled with the metrics."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(ROWS, 24, 1)).astype("float32"), rng.integers(0, 2, ROWS)
    model = keras.Sequential(
        [
            keras.Input((24, 1)),
            keras.layers.Conv1D(32, 3, activation="relu"),
            keras.layers.MaxPooling1D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=metrics)
    model.fit(X, y, batch_size=BATCH, verbose=0)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        model.fit(X, y, batch_size=BATCH, verbose=0)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    none, keras_auc, ours = seconds([]), seconds([keras.metrics.AUC()]), seconds([auc_roc])
    print(f"{ROWS:,} rows in batches of {BATCH}, seconds an epoch on {keras.backend.backend()}:")
    print(f"  no metric {none:.2f} · keras.metrics.AUC {keras_auc:.2f} · auc_roc {ours:.2f}")
    print(f"  auc_roc / no metric = {ours / none:.2f}; auc_roc / keras.metrics.AUC = {ours / keras_auc:.2f}")
