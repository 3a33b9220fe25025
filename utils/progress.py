"""Progress of a training, one bar a model."""

import sys

import keras
from tqdm import tqdm


class EpochProgress(keras.callbacks.Callback):
    """A bar that grows by one an epoch, shows the validation accuracy (or another metric), and goes when the training ends.

    For `fit(..., verbose=0, callbacks=[EpochProgress("LeNet5")])`.

    tqdm has a callback of its own; it draws notebook widgets, which are not kept when a notebook is saved,
    or else writes to stderr.
    """

    def __init__(self, title: str, metric: str = "val_accuracy"):
        super().__init__()
        self.title, self.metric = title, metric

    def on_train_begin(self, logs=None):
        self.bar = tqdm(
            total=self.params["epochs"],
            desc=self.title,
            unit="epoch",
            file=sys.stdout,
            ncols=100,
            mininterval=0.5,
            leave=False,
        )

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.metric)
        percent = self.metric.endswith("accuracy")
        images = "validation" if self.metric.startswith("val_") else "training"
        shown = {} if value is None else {images: f"{value:.1%}" if percent else f"{value:.3f}"}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def on_train_end(self, logs=None):
        self.bar.close()
