"""A sheet of the pictures that excite the filters of a layer most, as the chapter's conv_filter_viz draws it.

python -m utils.conv_filter_viz --layer block5_conv1 --output filters.png

It draws the slim VGG16, or EfficientNet-Lite0; with COURSE_SCALE=full VGG16 or another network with ImageNet weights.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from utils.interpret import visualise_filters
from utils.networks import NETWORKS, Network, load_network
from utils.run import Run
from utils.storage import DataError, atomic

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
    with atomic(path) as partial:
        Image.fromarray(image).save(partial, format="PNG")


def draw(
    network: Network, layer: str, output: Path, filters: int, best: int, side: int, steps: int
) -> np.ndarray:
    """Write the sheet of the best among the first filters of a layer; their activations, float32, strongest first.

    side: of a picture, in pixels. Filters that never fire are left out. Raises ValueError, for an unknown layer or
    where no filter fires.
    """
    model = network.model
    if layer in [known.name for known in model.layers]:  # otherwise visualise_filters says which there are
        filters = min(filters, model.get_layer(layer).output.shape[-1])
    with tqdm(total=filters, desc=layer, unit="filter", ncols=100) as bar:
        pictures, scores = visualise_filters(
            model, layer, range(filters), side, steps, value_range=network.value_range, progress=bar.update
        )
    order = [i for i in np.argsort(-scores, kind="stable")[:best] if scores[i] > 0]
    if not order:
        raise ValueError(f"none of the first {filters} filters of {layer} fires.")
    write_png(output, sheet(pictures[order][..., :: network.rgb_step]))
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
    parser.add_argument(
        "--network",
        default="VGG16",
        help=f"{', '.join(NETWORKS)} (default %(default)s; COURSE_SCALE=full for all but the first two)",
    )
    options = parser.parse_args(arguments)
    if options.output.suffix.lower() != ".png":
        parser.error(f"--output {options.output}: a name that ends in .png is needed.")
    if not options.output.parent.is_dir():
        parser.error(f"--output {options.output}: there is no folder {options.output.parent}.")
    if options.output.is_dir():
        parser.error(f"--output {options.output} is a folder.")
    try:
        with redirect_stdout(sys.stderr):  # what is loaded is said beside the progress, not in the result
            run = Run("conv_filter_viz")
            network = load_network(run, options.network, include_top=False)
        if run.scale == "full" and options.side < (least := NETWORKS[options.network]):
            raise ValueError(f"{options.network} takes pictures of {least} pixels or more: --side {least}.")
        scores = draw(
            network, options.layer, options.output, options.filters, options.best, options.side, options.steps
        )
    except OSError as error:
        parser.exit(1, f"{options.output} cannot be written ({error.strerror}).\n")
    except (ValueError, DataError) as error:
        line = " ".join(str(error).split())  # what load_network and Keras say has several
        parser.exit(1, f"{line}\n")
    print(
        f"{options.output}: {len(scores)} filters of {options.layer}, strongest first, "
        f"mean activations {scores[0]:.3g} to {scores[-1]:.3g}"
    )


if __name__ == "__main__":
    main()
