"""What a convolutional network sees: feature maps, filters, and which pixels of an image decide.

The functions take a Keras model and images as its preprocessing makes them: float, (n, h, w, 3), or (h, w, 3)
where one image is explained, 16 pixels or more each way. They return NumPy arrays, and the same for the same seed.
For another shape or dtype, an unknown layer, unit or class (`target`, from 0) they raise ValueError.

A network that ends in softmax or sigmoid is explained by its scores before that step: a probability near 1 hardly
changes where the score of its class does, and it also rises where only the other classes lose.

All gradients come from `input_gradient`, the one function of the course that imports Keras's backend.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.ndimage import gaussian_filter
from skimage.segmentation import slic
from sklearn.linear_model import Ridge

from utils import submodels
from utils.submodels import Score, checked_images


def input_gradient(
    score: Score, images: np.ndarray, *arguments: np.ndarray, compiled: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Scores, float32 (n,), and their gradients with respect to the images, of the images' shape.

    score: a function from a Keras tensor (n, h, w, channels), and one for each further argument, to (n,); each
    score depends on its own image alone. compiled: compile the score at its first call and use it again for the
    same function and shapes, which pays from some ten calls on; weights that change later may then go unnoticed.

    Raises RuntimeError for a backend other than TensorFlow, JAX and PyTorch, ValueError for scores of another shape.
    """
    gradient = (_compiled_gradient if compiled else _gradient)(score)
    images = np.asarray(images, dtype="float32")
    tensors = [ops.convert_to_tensor(array) for array in (images, *arguments)]
    scores, gradients = (ops.convert_to_numpy(result) for result in gradient(*tensors))
    if scores.shape != (len(images),):
        raise ValueError(f"score gives the shape {scores.shape}, not ({len(images)},).")
    return scores, gradients


def _gradient(score: Score, compiled: bool = False) -> Callable:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def gradient(images, *arguments):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                scores = score(images, *arguments)
            return scores, tape.gradient(scores, images, unconnected_gradients="zero")

        return tf.function(gradient) if compiled else gradient
    if backend == "jax":
        import jax

        def total(images, *arguments):
            scores = score(images, *arguments)
            return scores.sum(), scores

        def gradient(images, *arguments):
            (_, scores), gradients = jax.value_and_grad(total, has_aux=True)(images, *arguments)
            return scores, gradients

        return jax.jit(gradient) if compiled else gradient
    if backend == "torch":
        import torch

        def gradient(images, *arguments):
            with torch.enable_grad():
                images = images.detach().requires_grad_()
                scores = score(images, *arguments)
                return scores, torch.autograd.grad(scores.sum(), images)[0]

        return gradient
    raise RuntimeError(f"no gradients on {backend}: set KERAS_BACKEND to tensorflow, jax or torch.")


@lru_cache(maxsize=4)
def _compiled_gradient(score: Score) -> Callable:
    return _gradient(score, compiled=True)


def feature_maps(model: keras.Model, images: np.ndarray, layer: str, batch_size: int = 32) -> np.ndarray:
    """What a layer makes of the images, (n, h, w, 3): float32 (n, rows, columns, channels) after a convolution."""
    return np.concatenate(
        list(submodels.outputs(submodels.up_to(model, layer), checked_images(images, 4), batch_size))
    )


def strongest(
    model: keras.Model, images: np.ndarray, layer: str, unit: int, n: int = 9, batch_size: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the images, (m, h, w, 3), excite a unit (a channel of a layer) most: Zeiler & Fergus (2014).

    An image's activation is the largest of the unit's feature map. Returns places in images, int (n,), and their
    activations, float32 (n,), strongest first; fewer where there are fewer images.
    """
    part = submodels.up_to(model, layer)
    submodels.checked_units(part, layer, [unit])
    batches = submodels.outputs(part, checked_images(images, 4), batch_size)
    activations = np.concatenate([maps[..., unit].reshape(len(maps), -1).max(axis=1) for maps in batches])
    order = np.argsort(-activations, kind="stable")[:n]
    return order, activations[order]


def visualise_filters(
    model: keras.Model,
    layer: str,
    filters: Sequence[int] | None = None,
    side: int = 128,
    steps: int = 20,
    step: float = 0.05,
    blur: float = 0.6,
    batch_size: int = 8,
    value_range: tuple[float, float] | tuple[np.ndarray, np.ndarray] = (-1, 1),
    seed: int = 0,
    progress: Callable[[int], Any] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that excite filters, by gradient ascent from noise: Erhan et al. (2009), Simonyan et al. (2014).

    Each step moves a picture along the gradient of its filter's mean activation, by `step` of value_range in root
    mean square, and blurs it by `blur` pixels (Yosinski et al. 2015). Without the blur, as in the chapter, pictures
    are full of noise, and a filter that the first noise leaves at 0 stays there. A batch climbs for several filters
    at once, with one compiled function for all batches; each filter starts from the same noise in any batch.

    filters: channels of a convolutional layer, all by default. value_range: of the images that the model takes, two
    numbers, or an array (3,) each where its channels differ. progress: called after each batch with its number of
    filters. Returns pictures, uint8 (filters, side, side, 3), in the order of the model's channels, all with the same
    mean and contrast, and the mean activations that they reach, float32 (filters,).
    """
    part, (low, high) = submodels.up_to(model, layer), np.asarray(value_range, dtype="float32")
    if len(part.output_shape) != 4:
        raise ValueError(f"{layer} has no rows and columns: choose a convolution.")
    filters = submodels.checked_units(
        part, layer, range(part.output_shape[-1]) if filters is None else filters
    )

    def score(images, units):
        activations = ops.mean(part(images, training=False), axis=(1, 2))
        return ops.take_along_axis(activations, units[:, None], axis=1)[:, 0]

    pictures, scores = [], []
    for start in range(0, len(filters), batch_size):
        chosen = filters[start : start + batch_size]
        units = np.resize(chosen, min(batch_size, len(filters))).astype("int32")  # one shape, compiled once
        noise = [np.random.default_rng([seed, unit]).uniform(-1, 1, (side, side, 3)) for unit in units]
        images = checked_images((low + high) / 2 + (high - low) * (np.stack(noise) / 25), 4)
        for _ in range(steps):
            gradients = input_gradient(score, images, units, compiled=True)[1]
            size = np.sqrt(np.mean(gradients**2, axis=(1, 2, 3), keepdims=True)) + 1e-12
            images = images + step * (high - low) * gradients / size
            images = np.clip(gaussian_filter(images, (0, blur, blur, 0)), low, high)
        scores.append(input_gradient(score, images, units, compiled=True)[0][: len(chosen)])
        pictures.append(_picture(images[: len(chosen)] - (low + high) / 2))
        progress(len(chosen))
    return np.concatenate(pictures), np.concatenate(scores)


def _picture(images: np.ndarray) -> np.ndarray:
    """uint8 images with the mean 0.5 and the standard deviation 0.15 of the range, as the chapter shows them.

    images: float (n, h, w, 3), equal in all channels where grey.
    """
    centred = images - images.mean(axis=(1, 2, 3), keepdims=True)
    centred /= centred.std(axis=(1, 2, 3), keepdims=True) + 1e-9
    return (np.clip(0.5 + 0.15 * centred, 0, 1) * 255).round().astype("uint8")


def lime(
    model: keras.Model, image: np.ndarray, target: int, segments: int = 40, samples: int = 200, seed: int = 0
) -> np.ndarray:
    """What each superpixel adds to the score of class target, by LIME: Ribeiro, Singh & Guestrin (2016).

    Each sample covers a random half of the superpixels with the image's mean colour; a ridge regression explains the
    scores by what was left, the closer a sample to the image the heavier. segments: about how many superpixels.
    Returns each pixel's coefficient, float32 (h, w).
    """
    image = checked_images(image, 3)
    labels = superpixels(image, segments)
    kept = np.random.default_rng(seed).random((samples, labels.max() + 1)) < 0.5
    kept[0] = True  # the image itself
    covered = np.where(kept[:, labels][..., None], image, image.mean(axis=(0, 1)))
    scores = submodels.scores(model, covered, target)
    distance = 1 - np.sqrt(kept.mean(axis=1))  # cosine
    linear = Ridge(alpha=1.0).fit(kept, scores, sample_weight=np.exp(-((distance / 0.25) ** 2) / 2))
    return linear.coef_[labels].astype("float32")


def superpixels(image: np.ndarray, segments: int = 40) -> np.ndarray:
    """The superpixel of each pixel of an image, (h, w, 3): int (h, w), from 0. SLIC: Achanta et al. (2012)."""
    image = checked_images(image, 3)
    in_range = (image - image.min()) / (np.ptp(image) + 1e-9)
    return slic(in_range, n_segments=segments, start_label=0)
