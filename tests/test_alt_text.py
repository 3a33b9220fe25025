"""Descriptions of figures say what the figure says, and stored figures have one."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from course import NOTEBOOKS, SOLUTIONS, read

from utils.alt_text import MOST, alt_text

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_title_axes_and_legend():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [1, 2], label="LeNet5")
    axes.plot([0, 1], [2, 1], label="feedforward")
    axes.legend()
    axes.set(title="LeNet5\nis ahead", xlabel="epoch", ylabel="accuracy")
    assert alt_text(figure) == (
        "LeNet5 is ahead; 2 lines: accuracy against epoch; legend: LeNet5, feedforward."
    )


def test_panels_in_order_and_marks_by_kind():
    figure, (left, middle, right) = plt.subplots(1, 3)
    left.bar(["cat", "dog"], [1, 2])
    middle.errorbar([1, 2], [1, 2], yerr=1, fmt="o")
    right.plot([1, 2], [1, 2], "o")
    right.set_title("Dots", loc="left")
    figure.suptitle("Three kinds")
    assert alt_text(figure) == (
        "Three kinds. 2 bars; rows or columns: cat, dog. values with error bars. Dots; points."
    )


def test_a_sheet_of_images_is_counted():
    figure, axes = plt.subplots(3, 4)
    for i, ax in enumerate(axes.flat):
        ax.imshow(np.zeros((2, 2)))
        ax.set_title(f"digit {i}", loc="center")
    axes.flat[-1].set_visible(False)
    assert alt_text(figure) == "11 images: digit 0, digit 1, digit 2, digit 3, digit 4, digit 5 and 5 more."


def test_colour_bars_and_empty_panels_are_left_out():
    figure, (ax, _) = plt.subplots(1, 2)
    figure.colorbar(ax.pcolormesh(np.zeros((2, 2))), ax=ax)
    ax.set_title("Confusion", loc="left")
    assert alt_text(figure) == "Confusion; a grid of coloured values."


def test_no_description_is_endless():
    figure, axes = plt.subplots(1, 3)
    for ax in axes:
        ax.plot([1, 2])
        ax.set_title("a title of many words " * 20, loc="left")
    assert len(alt_text(figure)) <= MOST and alt_text(figure).endswith(" …")


@pytest.mark.parametrize("path", [*NOTEBOOKS, *SOLUTIONS], ids=lambda path: path.stem)
def test_every_stored_figure_is_described(path):
    for cell in read(path)["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                assert len(alt) > 10, (
                    f"cell {cell['id']}: make refresh NB={path.stem[:2]} writes the description"
                )
