"""Pretrained networks, ready for images from 0 to 255: the course's slim VGG16, or Keras's with ImageNet weights."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
import pandas as pd
from keras import applications

from utils import slim_vgg16
from utils.published import Published, find
from utils.run import Run
from utils.storage import DataError, sha256_of
from utils.tables import multiply_adds

SLIM_SIDE, SLIM_SMALLEST = 64, 32  # pixels; the slim VGG16 was trained on 32 × 32 to 128 × 128
Decode = Callable[..., list[tuple[str, float]]]


class Architecture(NamedTuple):
    """One of keras.applications; address and MD5 of its weights are those in Keras's source."""

    preprocess: Callable[[np.ndarray], np.ndarray]  # may change its argument
    side: int  # of the images it was trained on, in pixels
    smallest: int  # side that its base takes
    accuracy: float  # ImageNet, top-1, validation images, as keras.io/api/applications states it
    file: str  # of the weights, below KERAS; the whole network's ends in .h5
    ending: str  # of the file without the top
    md5: tuple[str, str]  # of these two files; empty where Keras publishes none

    def weights(self, name: str, include_top: bool) -> Published:
        file = f"{self.file}{'.h5' if include_top else self.ending}"
        return Published(
            name=f"{name}, pretrained on ImageNet{'' if include_top else ', without its top'}",
            filename=file.split("/")[1],
            url=KERAS + file,
            md5=self.md5[0 if include_top else 1],
            cache_folder="models",
        )


KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"
ARCHITECTURES = {
    "VGG16": Architecture(
        applications.vgg16.preprocess_input, 224, 32, 0.713,
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels", "_notop.h5",
        ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    ),
    "VGG19": Architecture(
        applications.vgg19.preprocess_input, 224, 32, 0.713,
        "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels", "_notop.h5",
        ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
    ),
    "ResNet50": Architecture(
        applications.resnet50.preprocess_input, 224, 32, 0.749,
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels", "_notop.h5",
        ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    ),
    "InceptionV3": Architecture(
        applications.inception_v3.preprocess_input, 299, 75, 0.779,
        "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels", "_notop.h5",
        ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    "MobileNetV2": Architecture(
        applications.mobilenet_v2.preprocess_input, 224, 32, 0.713,
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224", "_no_top.h5",
        ("", ""),
    ),
}  # fmt: skip
CLASS_NAMES = Published(
    name="The list of ImageNet's classes",
    filename="imagenet_class_index.json",
    url="https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    md5="c2c37ea517e94d9795004a39431a14cb",
    cache_folder="models",
)


class Network(NamedTuple):
    """A pretrained network and what belongs to it."""

    model: keras.Model
    preprocess: Callable[[np.ndarray], np.ndarray]  # (n, h, w, 3), 0 to 255 → the model's input, float32
    side: int  # usual height and width of its input, in pixels
    decode: Decode  # (predictions of one image, top=5) → [(name, probability)], most likely first
    weights: str  # which weights these are

    @property
    def value_range(self) -> tuple[np.ndarray, np.ndarray]:
        """What the model's input holds for black and for white, float32 (3,) each, in the order of its channels."""
        black, white = self.preprocess(np.array([0, 255], "uint8").repeat(3).reshape(2, 1, 1, 3))
        return black.ravel(), white.ravel()

    @property
    def rgb_step(self) -> int:
        """1 where the model's input has red first, -1 where it has blue: inputs[..., ::rgb_step] are red, green, blue."""
        black, red = self.preprocess(np.array([[0, 0, 0], [255, 0, 0]], "uint8").reshape(2, 1, 1, 3))
        return 1 if np.argmax(red - black) == 0 else -1


def load_network(
    run: Run,
    name: str,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] | None = None,
) -> Network:
    """A pretrained network: of keras.applications at full scale, the slim VGG16 for "VGG16" in the sample.

    name: one of ARCHITECTURES. include_top: with the layers that classify, or the convolutional base only.
    input_shape: rows, columns and 3, None for any size. The top of keras.applications' networks takes their usual size
    only; else any size is the default. Weights come from COURSE_DATA, Keras's cache or Keras's own address.

    Notes the weights' SHA-256 in the run's data and prints what it gave. Raises DataError.
    """
    if name not in ARCHITECTURES:
        raise DataError(f"There is no network {name!r} here. Known: {', '.join(ARCHITECTURES)}.")
    if run.scale == "sample":
        if name != "VGG16":
            raise DataError(
                f"{name} does not come with the sample, which has a slim VGG16 only: "
                'use load_network(run, "VGG16"), or set COURSE_SCALE=full.'
            )
        shape = _checked_shape(name, input_shape or (None, None, 3), SLIM_SMALLEST)
        model = slim_vgg16.slim_vgg16(include_top=include_top, input_shape=shape)
        given = "slim VGG16, pretrained on scenes of emoji" + ("" if include_top else ", without its top")
        sha256 = sha256_of(slim_vgg16.WEIGHTS)
        preprocess, side, decode = slim_vgg16.preprocess_input, SLIM_SIDE, slim_vgg16.decode
    else:
        known = ARCHITECTURES[name]
        usual = (known.side, known.side, 3)
        shape = _checked_shape(
            name, input_shape or (usual if include_top else (None, None, 3)), known.smallest
        )
        if include_top and shape != usual:
            raise DataError(
                f"{name} with its top takes images of {usual}, not {shape}: use include_top=False."
            )
        path, given, sha256 = find(known.weights(name, include_top))
        model = _with_weights(name, path, include_top, shape)
        given = given if given.startswith(name) else f"{name}: {given}"
        preprocess, side, decode = _without_side_effect(known.preprocess), known.side, decode_imagenet
    run.note_data(**{f"weights_{name}{'' if include_top else '_notop'}": f"{given}, SHA-256 {sha256}"})
    text = f"{given}; {model.count_params():,} parameters, SHA-256 {sha256[:12]}…"
    print(text)
    return Network(model, preprocess, side, decode, text)


def decode_imagenet(predictions: np.ndarray, top: int = 5) -> list[tuple[str, float]]:
    """Names and probabilities of the top classes of one image, most likely first.

    predictions: (1000,), or (1, 1000) as `model.predict` gives it. The names come from COURSE_DATA, Keras's cache or
    a download. Raises ValueError for predictions of another shape, and DataError.
    """
    probabilities = np.squeeze(predictions)
    if probabilities.shape != (1000,):
        raise ValueError(f"predictions of one image have the shape (1000,), not {np.shape(predictions)}.")
    names = _imagenet_names()
    return [(names[i], float(probabilities[i])) for i in np.argsort(-probabilities, kind="stable")[:top]]


def architecture_facts() -> pd.DataFrame:
    """Size, depth, cost and published accuracy of the five networks of keras.applications; no weights are made.

    Index: network. parameters, parameters without top: numbers; input side: pixels; depth: layers with a kernel on
    the longest path; giga-multiply-adds: for one image, of all kernels, 1e9; ImageNet top-1: a fraction.
    """
    # In a thread of its own, Keras forgets the variables without values as soon as it ends.
    with ThreadPoolExecutor(1) as thread:
        rows = thread.submit(lambda: {name: _facts(name) for name in ARCHITECTURES}).result()
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def _facts(name: str) -> dict[str, int | float]:
    with keras.StatelessScope(initialize_variables=False):
        model = getattr(applications, name)(weights=None)
    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    top = sum(layer.count_params() for layer in kernels if isinstance(layer, keras.layers.Dense))
    depth: dict[int, int] = {}  # by tensor; the layers are in order
    for layer in model.layers:
        before = max((depth.get(id(tensor), 0) for tensor in keras.tree.flatten(layer.input)), default=0)
        depth[id(layer.output)] = before + (layer in kernels)
    return {
        "parameters": model.count_params(),
        "parameters without top": model.count_params() - top,
        "input side": ARCHITECTURES[name].side,
        "depth": max(depth.values()),
        "giga-multiply-adds": multiply_adds(model) / 1e9,
        "ImageNet top-1": ARCHITECTURES[name].accuracy,
    }  # fmt: skip


def _checked_shape(name: str, shape: tuple, smallest: int) -> tuple:
    shape = tuple(shape)
    if len(shape) != 3 or shape[2] != 3 or any(side is not None and side < smallest for side in shape[:2]):
        raise DataError(
            f"{name} takes input_shape=(rows, columns, 3) with at least {smallest} rows and columns, not {shape}: "
            "enlarge the images, or choose another network."
        )
    return shape


def _with_weights(name: str, path: Path, include_top: bool, shape: tuple) -> keras.Model:
    remedy = "Replace it, or remove it to have it downloaded."
    try:
        with h5py.File(path) as file:
            file.visititems(lambda name, item: None)
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{path} cannot be read as an HDF5 file ({error}): it is damaged or something else. {remedy}"
        ) from error
    try:
        return getattr(applications, name)(weights=str(path), include_top=include_top, input_shape=shape)
    except (ValueError, TypeError, KeyError, OSError) as error:
        kind = name if include_top else f"{name} without its top"
        raise DataError(f"{path} does not hold the weights of {kind} ({error}). {remedy}") from error


def _without_side_effect(preprocess: Callable) -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: preprocess(np.array(images, dtype="float32"))


@cache
def _imagenet_names() -> list[str]:
    path = find(CLASS_NAMES).path
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return [index[str(i)][1].replace("_", " ") for i in range(1000)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not Keras's list of ImageNet's classes ({error!r}). Replace it, or remove it."
        ) from error
