"""Figures that more than one cell draws. Importing this module sets the course's Matplotlib style, and lets every figure
that a notebook displays carry a description (utils/alt_text.py).

The functions make a new figure each and return nothing, so that a cell shows its figure once. A figure
that moves is returned, as HTML with plain JavaScript, which JupyterLab and a page show without a network.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axis import Axis
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from utils.alt_text import describe_figures

describe_figures()
plt.style.use(Path(__file__).with_name("course.mplstyle"))

TRAINING, VALIDATION = "#56B4E9", "#D55E00"
YES, NO = "#0072B2", "#D55E00"
SCAN = ("padding", 0), ("stride", 1), ("dilation", 1)  # what a convolution does where nothing is said


def percent(axis: Axis, decimals: int | None = 0) -> None:
    """Let an axis, such as ax.yaxis, show shares from 0 to 1 in percent. decimals: None for as many as the ticks need."""
    axis.set_major_formatter(PercentFormatter(1, decimals=decimals))


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
        axis.set(xticks=[], yticks=[])  # or Matplotlib measures every tick, drawn or not, many times over
        axis.axis("off")
    grey = {"vmin": images.min(), "vmax": images.max(), "cmap": "gray"}
    for i, (image, axis) in enumerate(zip(images, axes.flat, strict=False)):
        if image.ndim == 3 and image.shape[-1] == 1:
            image = image[..., 0]
        axis.imshow(image, **(grey if image.ndim == 2 else {}))
        if titles is not None:
            colour = {"color": colours[i]} if colours else {}
            axis.set_title(titles[i], fontsize=9, loc="center", y=1, **colour)
    if title:
        figure.suptitle(title, x=0.01, ha="left")


def show_numbers(
    arrays: Mapping[str, np.ndarray],
    title: str,
    decimals: int = 1,
    frames: Mapping[str, tuple[int, int, int, int]] | None = None,
    one_scale: bool = False,
) -> None:
    """Draw small arrays, (rows, columns), side by side, each number in its cell.

    Purple cells are negative, orange ones positive, the stronger the larger within their array, or within all of
    them with one_scale. frames: by array, a part of it to frame in blue, as (row, column, rows, columns).
    """
    widths = [max(array.shape[1], 2.5) for array in arrays.values()]
    height = min(3.1, 9 / sum(widths) * max(len(array) for array in arrays.values()) + 0.8)
    figure, axes = plt.subplots(
        1, len(arrays), figsize=(9, height), squeeze=False, layout="constrained", width_ratios=widths
    )
    strongest = max(np.abs(array).max() for array in arrays.values())
    for axis, (name, array) in zip(axes.flat, arrays.items(), strict=True):
        most = max(strongest if one_scale else np.abs(array).max(), 1e-9)
        axis.imshow(array, cmap="PuOr_r", vmin=-1.6 * most, vmax=1.6 * most)
        axis.hlines(np.arange(len(array) - 1) + 0.5, -0.5, array.shape[1] - 0.5, color="white", linewidth=0.8)
        axis.vlines(np.arange(array.shape[1] - 1) + 0.5, -0.5, len(array) - 0.5, color="white", linewidth=0.8)
        for (row, column), value in np.ndenumerate(array):
            axis.text(
                column, row, f"{round(float(value), decimals) + 0:g}", ha="center", va="center", fontsize=8
            )
        if frames and name in frames:
            row, column, rows, columns = frames[name]
            corner, look = (column - 0.5, row - 0.5), {"edgecolor": "#0072B2", "linewidth": 3}
            axis.add_patch(Rectangle(corner, columns, rows, fill=False, clip_on=False, zorder=3, **look))
        axis.set_title(name, loc="center")
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    figure.suptitle(title, x=0.01, ha="left")


def show_scans(settings: Mapping[str, Mapping[str, int]], title: str, size: int = 6, kernel: int = 3) -> None:
    """Draw where a square kernel goes on an image of size × size pixels, for each setting beside the others.

    settings: by name, `padding`, `stride` and `dilation` where they are not 0, 1 and 1. Pixels are blue, zeros
    around the image grey; orange pixels meet the kernel's weights at its first position, and each dot is the centre
    of a position. The names get the size of the map that results.
    """
    figure, axes = plt.subplots(1, len(settings), figsize=(9, 3.2), squeeze=False)
    largest = size + 2 * max(setting.get("padding", 0) for setting in settings.values())
    for axis, (name, setting) in zip(axes.flat, settings.items(), strict=True):
        padding, stride, dilation = (setting.get(*pair) for pair in SCAN)
        padded, span = size + 2 * padding, dilation * (kernel - 1) + 1
        for row, column in np.ndindex(padded, padded):
            inside = padding <= min(row, column) and max(row, column) < size + padding
            first = max(row, column) < span and row % dilation == column % dilation == 0
            colour = "#56B4E9" if inside else "#d4d4d4"
            axis.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white"))
            if first:
                look = {"fill": False, "edgecolor": "#D55E00", "linewidth": 2.5}
                axis.add_patch(Rectangle((column + 0.08, row + 0.08), 0.84, 0.84, **look))
        centres = np.arange(0, padded - span + 1, stride) + span / 2
        axis.plot(*np.meshgrid(centres, centres), "o", color="black", markersize=4)
        across = len(centres)
        axis.set(title=f"{name}:\n{size} × {size} becomes {across} × {across}", aspect="equal")
        axis.set(xlim=(-0.2, largest + 0.2), ylim=(largest + 0.2, -0.2))
        axis.axis("off")
    figure.suptitle(title, x=0.01, ha="left")


class Html(str):
    """A piece of HTML that a notebook shows as such."""

    def __repr__(self) -> str:
        return "a figure that moves; it needs JavaScript, and in JupyterLab a notebook that is trusted"

    def _repr_html_(self) -> str:
        return str(self)


def moving_convolution(image: np.ndarray, kernel: np.ndarray) -> Html:
    """A kernel to be moved over an image, (n, n), with weights, (k, k), stride, padding and dilation to be changed.

    Draws a figure of three settings, too, for where no JavaScript runs. One such figure fits on a page.
    """
    settings = {
        "padding 1": {"padding": 1},
        "padding 1, stride 2": {"padding": 1, "stride": 2},
        "padding 2, dilation 2": {"padding": 2, "dilation": 2},
    }
    title = "Pixels (blue), zeros (grey), the first position (orange) and the centres of all (dots)"
    show_scans(settings, title, len(image), len(kernel))
    page = Path(__file__).with_name("moving_convolution.html").read_text(encoding="utf-8")
    return Html(
        page.replace("IMAGE", json.dumps(image.tolist())).replace("KERNEL", json.dumps(kernel.tolist()))
    )


def show_thresholds(
    scores: np.ndarray, positive: np.ndarray, thresholds: Sequence[float], title: str
) -> None:
    """Draw scores, (n,), of positives (blue) on those of negatives (orange), cut at each threshold; and the ROC curve.

    positive: bool, (n,). A score that reaches the threshold is a “yes”. Each panel names precision and recall there.
    """
    scores, positive = np.asarray(scores), np.asarray(positive, dtype=bool)
    figure, axes = plt.subplots(1, len(thresholds) + 1, figsize=(9, 3), layout="constrained")
    bins = np.linspace(scores.min(), scores.max(), 41)
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    steps = {name: np.cumsum(group[order])[last_of_ties] / group.sum() for name, group in
             {"true": positive, "false": ~positive}.items()}  # fmt: skip
    axes[-1].plot([0, *steps["false"]], [0, *steps["true"]], color=YES)
    axes[-1].plot([0, 1], [0, 1], color="#777777", linestyle=":", linewidth=1)
    for axis, threshold in zip(axes, thresholds, strict=False):
        said = scores >= threshold
        true_positives, recall = np.sum(said & positive), np.mean(said[positive])
        precision = f"{true_positives / said.sum():.0%}" if said.any() else "–"
        axis.hist([scores[~positive], scores[positive]], bins, stacked=True, color=[NO, YES])
        axis.axvline(threshold, color="black")
        axis.set(
            title=f"threshold {threshold:.2f}:\nprecision {precision}, recall {recall:.0%}",
            xlabel="score",
            yticks=[],
        )
        axes[-1].plot(np.mean(said[~positive]), recall, "o", color=NO)
    axes[-1].set(
        title="ROC curve, with the\nthresholds as points", xlabel="false positives", ylabel="true positives"
    )
    figure.suptitle(title, x=0.01, ha="left")


def moving_threshold(
    scores: np.ndarray, positive: np.ndarray, names: tuple[str, str] = ("yes", "no")
) -> Html:
    """A threshold to be moved over scores, (n,), from 0 to 1: confusion matrix, precision, recall, point of the ROC curve.

    positive: bool, (n,); names: of positives and negatives. A score that reaches the threshold is a “yes”. Scores are
    counted in classes 0.005 wide. Draws a figure of three thresholds, too, for where no JavaScript runs. One
    such figure fits on a page.
    """
    scores, positive = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    title = f"Blue: {names[0]}, orange: {names[1]}. Right of the line stands what is called {names[0]}"
    show_thresholds(scores, positive, [float(np.quantile(scores, q)) for q in (0.2, 0.5, 0.9)], title)
    width = 0.005
    first = np.floor(scores.min() / width)
    place = np.floor(scores / width).astype(int) - int(first)
    counts = {name: np.bincount(place[group], minlength=place.max() + 1).tolist() for name, group in
              {"POSITIVE": positive, "NEGATIVE": ~positive}.items()}  # fmt: skip
    page = Path(__file__).with_name("moving_threshold.html").read_text(encoding="utf-8")
    values = counts | {
        "FIRST": round(first * width, 3),
        "WIDTH": width,
        "NAMES": list(names),
        "START": len(counts["POSITIVE"]) // 2,
    }
    for name, value in values.items():
        page = page.replace(name, json.dumps(value, ensure_ascii=False))
    return Html(page)


def show_architecture(model: keras.Model, title: str) -> None:
    """Draw what comes out of a built model's layers, from the input on: stacks of maps, and columns of units.

    A map's side is drawn to scale, a column's length by the square root of its units. A stack shows eight maps at
    most. Layers that leave the shape as it is, and those that only flatten, are not drawn.
    """
    shapes = {"input": model.input_shape[1:]}
    for layer in model.layers:
        shape = layer.output.shape[1:]
        if shape != list(shapes.values())[-1] and type(layer).__name__ != "Flatten":
            shapes[layer.name] = shape
    figure, axis = plt.subplots(figsize=(9, 2.6))
    largest, x = max(shape[0] for shape in shapes.values() if len(shape) == 3), 0.0
    for name, shape in shapes.items():
        maps = len(shape) == 3
        height = shape[0] if maps else max(np.sqrt(shape[0]), 1) * largest / 24
        width, sheets = (shape[1], min(shape[2], 8)) if maps else (1.2, 1)
        for sheet in range(sheets):
            corner = (x + 0.9 * sheet, -height / 2 - 0.9 * sheet)
            colour = "#56B4E9" if maps else "#E69F00"
            axis.add_patch(
                Rectangle(corner, width, height, facecolor=colour, edgecolor="white", linewidth=0.8)
            )
        span = max(width + 0.9 * (sheets - 1), 6)
        text = f"{name}\n" + " × ".join(map(str, shape))
        axis.text(
            x + (width + 0.9 * (sheets - 1)) / 2, -largest / 2 - 9, text, ha="center", va="top", fontsize=8
        )
        x += span + 6
    axis.set(xlim=(-3, x), ylim=(-largest / 2 - 19, largest / 2 + 1), aspect="equal")
    axis.axis("off")
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
    import seaborn as sns  # only here: most notebooks draw no such matrix

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
