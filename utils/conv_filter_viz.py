"""A sheet of the pictures that excite the filters of a layer most, as the chapter's conv_filter_viz draws it; for the slim VGG16.

python -m utils.conv_filter_viz --layer block5_conv1 --output filters.png
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from tqdm import tqdm

from utils import pretrained
from utils.files import DataError
from utils.interpret import visualise_filters

MARGIN = 5  # pixels between the pictures


def sheet(pictures: np.ndarray) -> np.ndarray:
    """Pictures, uint8 (n, side, side, 3), row by row in a square sheet with black margins, uint8 (h, w, 3)."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    pitch = pictures.shape[1] + MARGIN
    canvas = np.zeros((rows * pitch - MARGIN, columns * pitch - MARGIN, 3), dtype="uint8")
    for i, picture in enumerate(pictures):
        top, left = i // columns * pitch, i % columns * pitch
        canvas[top : top + len(picture), left : left + len(picture)] = picture
    return canvas


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image, complete or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="partial-") as partial:
        Image.fromarray(image).save(Path(partial) / path.name, format="PNG")
        (Path(partial) / path.name).replace(path)


def draw(
    model: keras.Model, layer: str, output: Path, filters: int, best: int, side: int, steps: int
) -> np.ndarray:
    """Write the sheet of the best among the first filters of a layer; their activations, float32, strongest first.

    Filters that never fire are left out. Raises ValueError, for an unknown layer or where no filter fires.
    """
    if layer in [known.name for known in model.layers]:  # otherwise visualise_filters says which there are
        filters = min(filters, model.get_layer(layer).output.shape[-1])
    with tqdm(total=filters, desc=layer, unit="filter", ncols=100) as bar:
        pictures, scores = visualise_filters(model, layer, range(filters), side, steps, progress=bar.update)
    order = [i for i in np.argsort(-scores, kind="stable")[:best] if scores[i] > 0]
    if not order:
        raise ValueError(f"none of the first {filters} filters of {layer} fires.")
    write_png(output, sheet(pictures[order]))
    return scores[order]


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m utils.conv_filter_viz", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--layer", required=True, help="a convolution, such as block5_conv1")
    parser.add_argument(
        "--output", required=True, type=Path, help="the PNG to write; it is replaced if it exists"
    )
    parser.add_argument(
        "--filters", type=positive, default=200, help="the first so many (default %(default)s)"
    )
    parser.add_argument(
        "--best", type=positive, default=64, help="of them, the strongest (default %(default)s)"
    )
    parser.add_argument(
        "--side", type=positive, default=128, help="of a picture, in pixels (default %(default)s)"
    )
    parser.add_argument("--steps", type=positive, default=20, help="of gradient ascent (default %(default)s)")
    options = parser.parse_args(arguments)
    if options.output.suffix.lower() != ".png":
        parser.error(f"--output {options.output}: a name that ends in .png is needed.")
    if not options.output.parent.is_dir():
        parser.error(f"--output {options.output}: there is no folder {options.output.parent}.")
    if options.output.is_dir():
        parser.error(f"--output {options.output} is a folder.")
    try:
        model = pretrained.slim_vgg16(include_top=False)
        scores = draw(
            model, options.layer, options.output, options.filters, options.best, options.side, options.steps
        )
    except OSError as error:
        parser.exit(1, f"{options.output} cannot be written ({error.strerror}).\n")
    except (ValueError, DataError) as error:
        parser.exit(1, f"{error}\n")
    print(
        f"{options.output}: {len(scores)} filters of {options.layer}, strongest first, "
        f"mean activations {scores[0]:.3g} to {scores[-1]:.3g}"
    )


if __name__ == "__main__":
    main()
