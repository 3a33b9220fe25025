"""Notebook 05's lesson, with its own functions: what a network has learned carries over, and not from its last layer alone.

Every split draws its own scenes, with `sample/scenes.py`; no drawing is in both parts. The network has learned from
ImageNet's photographs, and sees drawings.
"""

import keras
import numpy as np
import pandas as pd
import pytest
from course import ROOT, FakeRun, definitions
from keras import layers
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sample.scenes import scenes
from utils.efficientnet_lite0 import stage_ends
from utils.networks import load_network

SPLITS = (100, 101, 102)  # the bundled scenes have another
LABELLED, SIDE = 200, 64
SCENES = {"fit": LABELLED, "validation": 10, "test": 300}  # no more are looked at, and drawing takes its time


@pytest.fixture(scope="module")
def notebook() -> dict:
    around = {"keras": keras, "layers": layers, "np": np, "pd": pd, "ENDS": stage_ends()}
    around |= {"make_pipeline": make_pipeline, "StandardScaler": StandardScaler}
    around |= {"RidgeClassifierCV": RidgeClassifierCV}
    return definitions(ROOT / "05_bottleneck_features.ipynb", {"stage_means", "linear"}, around)


@pytest.fixture(scope="module")
def accuracies(notebook) -> pd.DataFrame:
    """Accuracy of the notebook's linear classifier: a row a split, a column a kind of features."""
    keras.utils.set_random_seed(0)
    base = load_network(FakeRun("sample"), include_top=False)
    untrained = base._replace(model=keras.models.clone_model(base.model))
    networks = {"learned": base, "random": untrained}
    networks = {name: notebook["stage_means"](network, SIDE) for name, network in networks.items()}
    filters = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(64, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
            layers.AveragePooling2D(8),
            layers.Flatten(),
        ]
    )
    rows = []
    for split in SPLITS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sample.scenes.SCENES", SCENES)
            drawn = scenes(split)
        labels = drawn["y_train"][:LABELLED], drawn["y_test"]
        scaled = [base.preprocess(drawn[part]) for part in ("x_train", "x_test")]
        scaled[0] = scaled[0][:LABELLED]
        keras.utils.set_random_seed(split)
        for network in (untrained.model, filters):  # other random weights for each split
            network.set_weights(keras.models.clone_model(network).get_weights())
        found = {
            "pixels": [part.reshape(len(part), -1) for part in scaled],
            "filters": [filters.predict(part, batch_size=100, verbose=0) for part in scaled],
        }
        for name, network in networks.items():
            means = [network.model.predict(part, batch_size=20, verbose=0) for part in scaled]
            found[name] = [part[:, -1280:] for part in means]
            if name == "learned":
                before = 32 + 16 + 24 + 40 + 80  # the widths of stem and stages 1 to 4
                found["stage 5"] = [part[:, before : before + 112] for part in means]
        rows.append(
            {
                kind: notebook["linear"]().fit(known, labels[0]).score(new, labels[1])
                for kind, (known, new) in found.items()
            }
        )
    print(pd.DataFrame(rows).round(3))
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("ahead", "behind", "at_least"),
    [
        ("learned", "random", 0.15),
        ("learned", "filters", 0.1),
        ("filters", "pixels", 0.0),
        ("stage 5", "learned", 0.05),
    ],
)
def test_better_features(accuracies, ahead, behind, at_least):
    difference = accuracies[ahead] - accuracies[behind]
    assert difference.mean() > at_least
    assert difference.mean() > 2 * difference.std() / np.sqrt(len(difference))


def test_random_depth_is_no_better_than_pixels(accuracies):
    assert (accuracies["random"] - accuracies["pixels"]).mean() < 0.03
