"""The slim VGG16 carries notebook 05's lesson: features learned from other things need few labelled images.

Every split draws its own scenes, with `sample/scenes.py`; no drawing is in both parts.
"""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sample.scenes import scenes
from utils.slim_vgg16 import preprocess_input, slim_vgg16

SPLITS = (100, 101, 102)  # the bundled scenes have another
LABELLED = 100
SCENES = {"fit": LABELLED, "validation": 10, "test": 300}  # no more are looked at, and drawing takes its time


def features(network: keras.Model, images: np.ndarray) -> np.ndarray:
    return network.predict(preprocess_input(images), batch_size=100, verbose=0).reshape(len(images), -1)


@pytest.fixture(scope="module")
def ahead() -> np.ndarray:
    """By how much pretrained features beat untrained ones with LABELLED images, one value a split."""
    keras.utils.set_random_seed(0)
    pretrained = slim_vgg16(include_top=False)
    untrained = slim_vgg16(weights=None, include_top=False)
    differences = []
    for split in SPLITS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sample.scenes.SCENES", SCENES)
            drawn = scenes(split)
        labelled = np.concatenate(
            [np.flatnonzero(drawn["y_train"] == label)[: LABELLED // 10] for label in range(10)]
        )
        accuracy = []
        for network in (pretrained, untrained):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
            model.fit(features(network, drawn["x_train"][labelled]), drawn["y_train"][labelled])
            accuracy.append(model.score(features(network, drawn["x_test"]), drawn["y_test"]))
        print(split, np.round(accuracy, 3))
        differences.append(accuracy[0] - accuracy[1])
    return np.array(differences)


def test_pretrained_features_are_far_ahead_with_few_labelled_images(ahead):
    assert ahead.mean() > 0.15
    assert ahead.mean() > 2 * ahead.std(ddof=1) / np.sqrt(len(ahead))
