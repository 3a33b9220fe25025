"""Metrics that Keras lacks, or computes too coarsely by default."""

import keras
import numpy as np
from keras import ops


def sequence_accuracy(true: np.ndarray, predicted: np.ndarray) -> float:
    """The share of numbers read rightly as a whole: the length and every digit up to it.

    true, predicted: whole numbers, (n, 1 + places), the length first, then the digits in order; what stands beyond
    the length does not count. The measure of I. Goodfellow et al., "Multi-digit number recognition from Street
    View imagery using deep convolutional neural networks", ICLR 2014.

    Raises ValueError where the arrays differ in shape, or where there is nothing to measure.
    """
    return float(np.mean(whole_numbers_right(true, predicted)))


def whole_numbers_right(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """For each number whether all of it was read rightly, bool, (n,); see `sequence_accuracy`."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.shape != predicted.shape or true.ndim != 2 or not true.size:
        raise ValueError(
            f"true {true.shape} and predicted {predicted.shape} must be (n, 1 + places), alike, n ≥ 1"
        )
    beyond = np.arange(true.shape[1] - 1) >= true[:, :1]
    return (true[:, 0] == predicted[:, 0]) & np.all((true[:, 1:] == predicted[:, 1:]) | beyond, axis=1)


class auc_roc(keras.metrics.AUC):
    """Area under the ROC curve, streamed over batches: `model.compile(..., metrics=[auc_roc])`.

    The AUC is the probability that a random positive scores higher than a random negative, ties counting one half
    (Fawcett, "An introduction to ROC analysis", 2006). This is `keras.metrics.AUC` with more thresholds: by default
    that one has 200, and scores between the same two count as tied, so that it is wrong in the second or third decimal
    for a model whose scores all lie close together. With 2**15 thresholds they may lie within 0.003 of each other. What
    is kept does not grow with the data, and batches add up exactly.

    Pass the class itself: Keras then makes one metric a model, and no state is shared. Only to save a whole
    compiled model pass an instance, `auc_roc()`, since Keras cannot write a class into the file.

    y_true: (n,) or (n, 1), values 0 and 1. y_pred: (n,) or (n, 1) probabilities in [0, 1], any float dtype.
    sample_weight: (n,), optional. Result: scalar float32; NaN where it is not defined (one class only, or
    a score that is NaN or outside [0, 1], such as a logit), where `keras.metrics.AUC` would give a number.

    Raises ValueError where y_pred holds more than one score a sample.
    """

    def __init__(self, num_thresholds: int = 2**15, name: str = "auc_roc", dtype: str | None = None):
        super().__init__(num_thresholds=num_thresholds, name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        if len(y_pred.shape) > 1 and y_pred.shape[-1] != 1:
            raise ValueError(f"auc_roc needs one score a sample, (n,) or (n, 1); y_pred is {y_pred.shape}")
        y_true = ops.reshape(ops.cast(y_true, self.dtype), (-1,))
        y_pred = ops.reshape(ops.cast(y_pred, self.dtype), (-1,))
        valid = ops.logical_and(y_pred >= 0, y_pred <= 1)  # False for NaN
        weight = ops.where(valid, 1.0, float("nan"))
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
        super().update_state(y_true, ops.where(valid, y_pred, 0.0), weight)

    def result(self):
        # The lowest threshold is below all scores: these are the weights of all positives and of all negatives.
        both = self.true_positives[0] * self.false_positives[0] > 0
        return ops.where(both, super().result(), float("nan"))

    def get_config(self):
        return {"num_thresholds": self.num_thresholds, "name": self.name, "dtype": self.dtype}
