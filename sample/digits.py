"""Handwritten digits in MNIST's format, drawn from those of scikit-learn: data/digits.npz."""

import numpy as np
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits

# How each 8x8 original is drawn on the 28x28 canvas: MNIST's writers fill a centred 20x20 box, ours wander.
VERSIONS = 2  # drawings of each original
SIZE = (16.0, 22.0)  # side of the box that the 8x8 original fills, in pixels
SHIFT = 3.0  # of the box's centre from the canvas's, in pixels, each way
TURN = 10.0  # degrees, each way
TEST_SHARE = 0.25  # of the originals
GREYS = 16  # as many as the originals have; it also keeps the file small


def draw_digit(original: np.ndarray, size: float, shift: np.ndarray, turn: float) -> np.ndarray:
    """Draw one original, (8, 8) floats from 0 to 1, on a (28, 28) uint8 canvas.

    size: side of the box in pixels; shift: (rows, columns) in pixels; turn: radians.
    """
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    to_original = rotation * (8 / size)  # canvas coordinates -> coordinates in the original
    offset = np.array([3.5, 3.5]) - to_original @ (np.array([13.5, 13.5]) + shift)
    drawn = affine_transform(np.pad(original, 2), to_original, offset + 2, output_shape=(28, 28), order=3)
    levels = np.clip(np.round(drawn * (GREYS - 1)), 0, GREYS - 1)
    return (levels * (255 // (GREYS - 1))).astype("uint8")


def digits(seed: int = 6) -> dict[str, np.ndarray]:
    """Draw scikit-learn's 1,797 handwritten digits in MNIST's format.

    Returns the arrays of Keras's mnist.npz: x_train, y_train, x_test, y_test, uint8, images (n, 28, 28).
    Every original is drawn VERSIONS times. Training and test images come from different originals, and
    the drawings of one original stand next to each other, so that a slice of the training images is a
    split by original too.
    """
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(images))
    images, labels = images[order].reshape(-1, 8, 8) / 16, labels[order]
    X = np.stack(
        [
            draw_digit(
                original,
                size=rng.uniform(*SIZE),
                shift=rng.uniform(-SHIFT, SHIFT, size=2),
                turn=np.radians(rng.uniform(-TURN, TURN)),
            )
            for original in images
            for _ in range(VERSIONS)
        ]
    )
    y = np.repeat(labels, VERSIONS).astype("uint8")
    n_train = round(len(images) * (1 - TEST_SHARE)) * VERSIONS
    return {"x_train": X[:n_train], "y_train": y[:n_train], "x_test": X[n_train:], "y_test": y[n_train:]}
