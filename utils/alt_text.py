"""What a figure shows, in words, for readers who do not see it: put beside every figure that a notebook displays.

The words are the figure's own: titles, axes, legends, and what kind of marks it holds. So they are true of every run, at
every scale, and nobody has to remember to renew them.
"""

import sys
from collections.abc import Iterable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

MOST = 600  # characters; a listener cannot skim
FEW = 6  # names or titles that are read out, before "and n more"


def _words(text: str) -> str:
    return " ".join(text.split())


def _list(names: Iterable[str]) -> str:
    """The first names, each once, and how many more there are."""
    each = list(dict.fromkeys(_words(name) for name in names if name and not name.startswith("_")))
    more = f" and {len(each) - FEW} more" if len(each) > FEW else ""
    return ", ".join(each[:FEW]) + more


def _count(number: int, one: str) -> str:
    return f"{number} {one}s" if number > 1 else f"one {one}"


def _marks(axes: Axes) -> str:
    """What is drawn: images, a grid of values, bars, points, lines."""
    bars = [c for c in axes.containers if isinstance(c, BarContainer)]
    errors = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    within = {id(line) for c in errors for line in (c.lines[0], *c.lines[1]) if line is not None}
    drawn = [line for line in axes.lines if id(line) not in within and len(line.get_xdata()) > 0]
    curves = [line for line in drawn if line.get_linestyle() not in ("None", "", " ")]
    dots = len(drawn) - len(curves) + sum(isinstance(c, PathCollection) for c in axes.collections)
    grids = sum(isinstance(c, QuadMesh) for c in axes.collections)
    found = [
        _count(len(axes.images), "image") if axes.images else "",
        "a grid of coloured values" if grids else "",
        _count(sum(len(c.patches) for c in bars), "bar") if bars else "",
        "values with error bars" if errors else "",
        _count(len(curves), "line") if curves else "",
        "points" if dots else "",
    ]
    return ", ".join(part for part in found if part)


def _panel(axes: Axes) -> str:
    """A panel in words; '' for one that shows nothing."""
    marks = _marks(axes)
    title = _words(axes.get_title("left") or axes.get_title("center") or axes.get_title("right"))
    if not marks and not title:
        return ""
    across, up = _words(axes.get_xlabel()), _words(axes.get_ylabel())
    against = " against ".join(name for name in (up, across) if name)
    legend = _list(axes.get_legend_handles_labels()[1])
    ticks = (
        []
        if axes.images
        else [t.get_text() for axis in (axes.yaxis, axes.xaxis) for t in axis.get_ticklabels()]
    )
    named = (
        _list(t for t in ticks if "$" not in t and any(letter.isalpha() for letter in t))
        if not legend
        else ""
    )
    parts = [
        title,
        f"{marks}: {against}" if marks and against else marks or against,
        f"legend: {legend}" if legend else "",
        f"rows or columns: {named}" if named else "",
    ]
    return "; ".join(part for part in parts if part)


def alt_text(figure: Figure) -> str:
    """A description of at most 600 characters: the figure's title, then its panels.

    Many panels of images, as in a sheet of photographs, are counted, and the first titles named.
    """
    title = _words(figure.get_suptitle())
    shown = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]
    panels = [(axes, text) for axes in shown if (text := _panel(axes))]
    if len(panels) > 3 and all(axes.images for axes, _ in panels):
        names = _list(axes.get_title("center") or axes.get_title("left") for axes, _ in panels)
        described = [f"{len(panels)} images" + (f": {names}" if names else "")]
    else:
        described = [text for _, text in panels]
    text = ". ".join(part.rstrip(".") for part in (title, *described) if part) + "."
    return text if len(text) <= MOST else text[: MOST - 2].rsplit(" ", 1)[0] + " …"


def describe_figures() -> None:
    """From now on, every figure that a notebook displays carries its description; outside of a notebook, nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return
    plt.switch_backend(plt.get_backend())  # starts the notebook's, which sets how a figure becomes a PNG
    formatter = shell.display_formatter.formatters["image/png"]
    try:
        draw = formatter.lookup_by_type(Figure)
    except KeyError:  # IPython in a terminal
        return
    formatter.for_type(Figure, lambda figure: (draw(figure), {"alt": alt_text(figure)}))
