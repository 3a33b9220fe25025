"""Tables that read the same on every backend, terminal and rerun."""

import math

import keras
import pandas as pd


def layer_table(model: keras.Model) -> pd.DataFrame:
    """Layers of a built model: name, type, output shape without the batch, parameters; a last row sums up.

    Unlike `model.summary()`, the table does not change with the terminal, with training or with the models
    built before, so that a notebook's stored output can be compared to the letter. Name every layer.
    """
    rows = [
        (layer.name, type(layer).__name__, " × ".join(map(str, layer.output.shape[1:])), layer.count_params())
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    rows.append(("total", "", "", model.count_params()))
    table = pd.DataFrame(rows, columns=["layer", "type", "output shape", "parameters"])
    table["parameters"] = table["parameters"].map("{:,}".format)
    return table.set_index("layer")


def multiply_adds(model: keras.Model) -> int:
    """Multiplications with additions that a built model makes of one input, all its kernels taken together.

    Every value of a kernel is used once at each place of the output: a dense layer has one place, a convolution
    rows × columns, a depthwise, separable or grouped one, too; a transposed one has those of its input. Biases,
    activations, pooling, normalisation and what joins branches are left out, as is usual; networks within the model
    count. Training an image takes about three times as many: forward, and two gradients backward.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer)
            continue
        transposed = isinstance(layer, (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose))
        places = math.prod((layer.input if transposed else layer.output).shape[1:-1])
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):  # a separable convolution has two
            if (kernel := getattr(layer, name, None)) is not None:
                total += math.prod(kernel.shape) * places
    return total
