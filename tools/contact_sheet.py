"""The README's picture: the stored figures of all cells tagged `contact-sheet`, in columns."""

import base64
import io

import nbformat
from PIL import Image

from tools import figures, notebooks
from utils.storage import ROOT, write_bytes

SHEET = ROOT / "results" / "contact_sheet.png"
TAG = "contact-sheet"
COLUMNS, WIDTH, GAP = 3, 440, 20  # the last two: of a column, and between figures, in pixels


def tagged() -> list[Image.Image]:
    """The tagged figures, in the order of the notebooks, each scaled to the width of a column."""
    found = []
    for path in notebooks.find():
        for cell in nbformat.read(path, as_version=4).cells:
            if TAG not in cell.metadata.get("tags", []):
                continue
            for output in cell.outputs:
                if png := output.get("data", {}).get("image/png"):
                    figure = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
                    size = (WIDTH, round(figure.height * WIDTH / figure.width))
                    found.append(figure.resize(size, Image.Resampling.LANCZOS))
    return found


def update() -> None:
    """Renew results/contact_sheet.png: each figure goes below the shortest column."""
    columns, heights = [[] for _ in range(COLUMNS)], [GAP] * COLUMNS
    for figure in tagged():
        shortest = heights.index(min(heights))
        columns[shortest].append((figure, heights[shortest]))
        heights[shortest] += figure.height + GAP
    sheet = Image.new("RGB", (COLUMNS * (WIDTH + GAP) + GAP, max(heights)), "white")
    for i, column in enumerate(columns):
        for figure, top in column:
            sheet.paste(figure, (GAP + i * (WIDTH + GAP), top))
    write_bytes(SHEET, figures.as_png(figures.quantised(sheet)))


if __name__ == "__main__":
    update()
