"""The networks of keras.applications that the course uses, and where Keras publishes their ImageNet weights."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from keras import applications

from utils.files import Published


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
