"""Figures that more than one cell draws. Importing this module sets the course's Matplotlib style.

The functions draw on Matplotlib's current figure and return nothing, so that a cell shows its figure once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator, PercentFormatter

plt.style.use(Path(__file__).with_name("course.mplstyle"))

TRAINING, VALIDATION = "#56B4E9", "#D55E00"


def show_images(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int = 10,
    title: str | None = None,
    width: float = 9,
    colours: Sequence[str] | None = None,
) -> None:
    """Draw images of one size, (height, width) or (height, width, channels), in a grid with a title each.

    Single-channel images are drawn in grey, black to white over the range of all of them. width: of the
    figure, in inches. colours: of the titles, one each.
    """
    images = np.asarray(images)
    rows = -(-len(images) // columns)
    captions = [] if titles is None else [titles[i * columns : (i + 1) * columns] for i in range(rows)]
    lines = sum(1 + max(title.count("\n") for title in row) for row in captions if any(row))
    cell = width / columns * images.shape[1] / images.shape[2]
    height = rows * cell + 0.25 * lines + (0.3 if title else 0)
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])  # ticks that nobody sees would be laid out, at half of the cost
        axis.axis("off")
    grey = {"vmin": images.min(), "vmax": images.max(), "cmap": "gray"}
    for i, (image, axis) in enumerate(zip(images, axes.flat, strict=False)):
        if image.ndim == 3 and image.shape[-1] == 1:
            image = image[..., 0]
        axis.imshow(image, **(grey if image.ndim == 2 else {}))
        if titles is not None:
            axis.set_title(titles[i], fontsize=9, loc="center", **({"color": colours[i]} if colours else {}))
    if title:
        figure.suptitle(title, x=0.01, ha="left")


def show_numbers(arrays: Mapping[str, np.ndarray], title: str, decimals: int = 1) -> None:
    """Draw small arrays, (rows, columns), side by side, each number in its cell.

    Purple cells are negative, orange ones positive, the stronger the larger within their array.
    """
    widths = [max(array.shape[1], 2.5) for array in arrays.values()]
    height = min(3.1, 9 / sum(widths) * max(len(array) for array in arrays.values()) + 0.8)
    figure, axes = plt.subplots(
        1, len(arrays), figsize=(9, height), squeeze=False, layout="constrained", width_ratios=widths
    )
    for axis, (name, array) in zip(axes.flat, arrays.items(), strict=True):
        most = max(np.abs(array).max(), 1e-9)
        axis.imshow(array, cmap="PuOr_r", vmin=-1.6 * most, vmax=1.6 * most)
        for (row, column), value in np.ndenumerate(array):
            axis.text(
                column, row, f"{round(float(value), decimals) + 0:g}", ha="center", va="center", fontsize=8
            )
        axis.set_title(name, loc="center")
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    figure.suptitle(title, x=0.01, ha="left")


def learning_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    title: str,
    metric: str = "accuracy",
    label: str | None = None,
    chosen_by: str | None = None,
) -> None:
    """A metric by epoch on training and validation data, one panel a model, the kept epoch marked.

    histories: model name -> `History.history` with the metric, and the metric after "val_". The kept epoch is
    the first with the highest value of chosen_by (without it, of the validation metric), as
    `ModelCheckpoint(save_best_only=True)` keeps it. label: of the vertical axis, where it is not the
    metric's name. Accuracies are drawn in percent.
    """
    figure, axes = plt.subplots(1, len(histories), sharey=True, squeeze=False, layout="constrained")
    for axis, (name, history) in zip(axes.flat, histories.items(), strict=True):
        training, validation = history[metric], history[f"val_{metric}"]
        epochs = np.arange(1, len(training) + 1)
        axis.plot(epochs, training, color=TRAINING, linestyle="--", label="training")
        axis.plot(epochs, validation, color=VALIDATION, label="validation")
        best = int(np.argmax(history[chosen_by] if chosen_by else validation))
        axis.plot(epochs[best], validation[best], "o", color=VALIDATION, label="kept")
        axis.set(title=name, xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if metric.endswith("accuracy"):
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0, 0].set_ylabel(label or metric)
    axes[0, 0].legend(loc="lower right")
    figure.suptitle(title, x=0.01, ha="left")


def confusion_heatmap(matrix: np.ndarray, labels: Sequence[str], title: str) -> None:
    """Counts of true (rows) against predicted (columns) classes; the colour grows with the mistakes.

    matrix: (classes, classes) counts, as `sklearn.metrics.confusion_matrix` gives them.
    """
    names = max(len(str(label)) for label in labels) > 3
    figure, axis = plt.subplots(figsize=(6.4, 6) if names else (5.4, 5), layout="constrained")
    mistakes = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    counts = np.where(matrix > 0, matrix.astype(str), "")
    sns.heatmap(
        mistakes, annot=counts, fmt="", cmap="Oranges", cbar=False, square=True,
        xticklabels=labels, yticklabels=labels, linewidths=0.5, ax=axis,
    )  # fmt: skip
    axis.set(xlabel="predicted", ylabel="true")
    axis.tick_params(length=0, rotation=0)
    if names:
        axis.tick_params(axis="x", rotation=60)
    figure.suptitle(title, x=0.01, ha="left")
