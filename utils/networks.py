"""Pretrained networks, ready for images from 0 to 255: EfficientNet-Lite0, the course's slim VGG16, and Keras's.

EfficientNet-Lite0 comes with the course's environment, the slim VGG16 with the course, the weights of
keras.applications' networks from COURSE_DATA, Keras's cache or a download.
"""

import re
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

from utils import efficientnet_lite0, slim_vgg16
from utils.published import Published, find
from utils.run import Run
from utils.storage import SAMPLE, DataError, sha256_of
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
LITE0 = "EfficientNetLite0"
# Every name that load_network takes, and the smallest side that the network's base takes, in pixels.
NETWORKS = {LITE0: efficientnet_lite0.SMALLEST} | {
    name: known.smallest for name, known in ARCHITECTURES.items()
}
CLASSES = SAMPLE / "imagenet_classes.txt"


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
    name: str = LITE0,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] | None = None,
) -> Network:
    """A pretrained network: EfficientNet-Lite0, or another of NETWORKS.

    name: EfficientNet-Lite0 is the same at both scales; the sample has a slim VGG16 for "VGG16", and no other; at full
    scale the others are those of keras.applications, with weights from COURSE_DATA, Keras's cache or Keras's own
    address. include_top: with the layers that classify, or the convolutional base only. input_shape: rows, columns
    and 3, None for any size, which is the default; the top of keras.applications' networks takes their usual size only.

    Notes the weights' SHA-256 in the run's data and prints what it gave. Raises DataError.
    """
    if name not in NETWORKS:
        raise DataError(f"There is no network {name!r} here. Known: {', '.join(NETWORKS)}.")
    if name == LITE0:
        load = _lite0
    elif run.scale != "sample":
        load = _of_keras
    elif name == "VGG16":
        load = _slim
    else:
        raise DataError(
            f"{name} does not come with the sample, which has {LITE0} and a slim VGG16: "
            f'use load_network(run, "{LITE0}") or load_network(run, "VGG16"), or set COURSE_SCALE=full.'
        )
    loaded = load(name, include_top, input_shape)
    note = f"{loaded.given}, SHA-256 {loaded.sha256}"
    run.note_data(**{f"weights_{name}{'' if include_top else '_notop'}": note})
    text = f"{loaded.given}; {loaded.model.count_params():,} parameters, SHA-256 {loaded.sha256[:12]}…"
    print(text)
    return Network(loaded.model, loaded.preprocess, loaded.side, loaded.decode, text)


def decode_imagenet(predictions: np.ndarray, top: int = 5) -> list[tuple[str, float]]:
    """Names and probabilities of the top classes of one image, most likely first.

    predictions: (1000,), or (1, 1000) as `model.predict` gives it. Raises ValueError for predictions of another shape,
    and DataError where the bundled list of the classes is missing or damaged.
    """
    probabilities = np.squeeze(predictions)
    if probabilities.shape != (1000,):
        raise ValueError(f"predictions of one image have the shape (1000,), not {np.shape(predictions)}.")
    names = [name.replace("_", " ") for _, name in imagenet_classes(CLASSES)]
    return [(names[i], float(probabilities[i])) for i in np.argsort(-probabilities, kind="stable")[:top]]


@cache
def imagenet_classes(path: Path = CLASSES) -> tuple[tuple[str, str], ...]:
    """WordNet's number and Keras's name of ImageNet's 1,000 classes, in the order of the softmax layer.

    Raises DataError where the bundled list is missing or damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): restore it (git checkout).") from error
    found = tuple(re.findall(r"(?m)^(n\d{8}) (\S+)$", text))
    if len(found) != 1000 or len(text.splitlines()) != 1000:
        raise DataError(
            f"{path} should have 1,000 lines such as “n01440764 tench”; it has {len(found):,} of them and "
            f"{len(text.splitlines()) - len(found):,} others: restore it (git checkout)."
        )
    return found


def architecture_facts() -> pd.DataFrame:
    """Size, depth, cost and published accuracy of the networks that know ImageNet; no weights are made.

    Index: network. parameters, parameters without top: numbers; input side: pixels; depth: layers with a kernel on
    the longest path; giga-multiply-adds: for one image, of all kernels, 1e9; ImageNet top-1: a fraction.
    """
    # In a thread of its own, Keras forgets the variables without values as soon as it ends.
    with ThreadPoolExecutor(1) as thread:
        rows = thread.submit(lambda: {name: _facts(name) for name in (*ARCHITECTURES, LITE0)}).result()
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def _facts(name: str) -> dict[str, int | float]:
    with keras.StatelessScope(initialize_variables=False):
        if name == LITE0:
            side, accuracy = efficientnet_lite0.SIDE, efficientnet_lite0.ACCURACY
            model = efficientnet_lite0.efficientnet_lite0(input_shape=(side, side, 3))
        else:
            side, accuracy = ARCHITECTURES[name].side, ARCHITECTURES[name].accuracy
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
        "input side": side,
        "depth": max(depth.values()),
        "giga-multiply-adds": multiply_adds(model) / 1e9,
        "ImageNet top-1": accuracy,
    }  # fmt: skip


class _Loaded(NamedTuple):
    model: keras.Model
    given: str  # which weights these are
    sha256: str
    preprocess: Callable[[np.ndarray], np.ndarray]
    side: int
    decode: Decode


def _lite0(name: str, include_top: bool, input_shape: tuple | None) -> _Loaded:
    shape = _checked_shape(name, input_shape or (None, None, 3), efficientnet_lite0.SMALLEST)
    path = efficientnet_lite0.weights_path()
    return _Loaded(
        efficientnet_lite0.efficientnet_lite0(path, include_top, shape),
        "EfficientNet-Lite0, pretrained on ImageNet" + ("" if include_top else ", without its top"),
        efficientnet_lite0.SHA256,
        efficientnet_lite0.preprocess_input,
        efficientnet_lite0.SIDE,
        decode_imagenet,
    )


def _slim(name: str, include_top: bool, input_shape: tuple | None) -> _Loaded:
    shape = _checked_shape(name, input_shape or (None, None, 3), SLIM_SMALLEST)
    return _Loaded(
        slim_vgg16.slim_vgg16(include_top=include_top, input_shape=shape),
        "slim VGG16, pretrained on scenes of emoji" + ("" if include_top else ", without its top"),
        sha256_of(slim_vgg16.WEIGHTS),
        slim_vgg16.preprocess_input,
        SLIM_SIDE,
        slim_vgg16.decode,
    )


def _of_keras(name: str, include_top: bool, input_shape: tuple | None) -> _Loaded:
    known = ARCHITECTURES[name]
    usual = (known.side, known.side, 3)
    shape = _checked_shape(name, input_shape or (usual if include_top else (None, None, 3)), known.smallest)
    if include_top and shape != usual:
        raise DataError(f"{name} with its top takes images of {usual}, not {shape}: use include_top=False.")
    path, given, sha256 = find(known.weights(name, include_top))
    return _Loaded(
        _with_weights(name, path, include_top, shape),
        given if given.startswith(name) else f"{name}: {given}",
        sha256,
        _without_side_effect(known.preprocess),
        known.side,
        decode_imagenet,
    )


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
