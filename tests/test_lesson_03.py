"""The scenes carry notebook 03's lesson, by two standard errors over repeated splits of the drawings.

Every split draws its own scenes, with `sample/scenes.py`. The networks, the augmentation and the recipe are the
notebook's own functions.
"""

import keras
import numpy as np
import pytest
from course import NOTEBOOKS, definitions
from keras import layers

from sample.scenes import SCENES, scenes

SPLITS = (100, 101, 102)  # the bundled scenes have another
EPOCHS = 6  # the notebook's at the sample scale
BATCH = 32  # the notebook's OUR_BATCH there
NOTEBOOK = next(path for path in NOTEBOOKS if path.name.startswith("03"))


class Seed:
    seed = 0


@pytest.fixture(scope="module")
def measured() -> dict[tuple[str, str], np.ndarray]:
    """Accuracy by network and images (training or test), one value a split."""
    namespace = {
        "keras": keras, "layers": layers, "run": Seed, "OUR_BATCH": BATCH,
        "folds": [(np.empty(SCENES["fit"]), None)],
    }  # fmt: skip
    names = {"feedforward", "cnn", "augmentation", "after", "centred", "falling_sgd"}
    notebook = definitions(NOTEBOOK, names, namespace)
    keras.utils.set_random_seed(0)
    models = {
        "feedforward": notebook["after"]([notebook["centred"]()], notebook["feedforward"]()),
        "cnn": notebook["after"]([notebook["centred"]()], notebook["cnn"]()),
        "augmented cnn": notebook["after"](
            [notebook["centred"](), *notebook["augmentation"]()], notebook["cnn"]()
        ),
    }
    fresh = {}
    for name, model in models.items():
        model.compile(notebook["falling_sgd"](EPOCHS), "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)
        fresh[name] = [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]

    values = {(name, part): [] for name in models for part in ("training", "test")}
    for split in SPLITS:
        drawn = scenes(split)
        fit = slice(SCENES["fit"])
        parts = {
            "training": (drawn["x_train"][fit].astype("float32") / 255, drawn["y_train"][fit]),
            "test": (drawn["x_test"].astype("float32") / 255, drawn["y_test"]),
        }
        for name, model in models.items():
            keras.utils.set_random_seed(split)
            network = notebook["feedforward" if name == "feedforward" else "cnn"]()
            model.set_weights([*model.get_weights()[: -len(network.weights)], *network.get_weights()])
            for variable, value in zip(model.optimizer.variables, fresh[name], strict=True):
                variable.assign(value)
            model.fit(*parts["training"], batch_size=BATCH, epochs=EPOCHS, verbose=0)
            for part, (X, y) in parts.items():
                answers = keras.ops.convert_to_numpy(model(X, training=False)).argmax(axis=1)
                values[name, part].append(float(np.mean(answers == y)))
    for key, accuracies in values.items():
        print(key, np.round(accuracies, 3))
    return {key: np.array(accuracies) for key, accuracies in values.items()}


def beyond_two_standard_errors(differences: np.ndarray) -> bool:
    return differences.mean() > 2 * differences.std(ddof=1) / np.sqrt(len(differences))


def test_the_feedforward_network_is_far_behind(measured):
    difference = measured["cnn", "test"] - measured["feedforward", "test"]
    assert beyond_two_standard_errors(difference)
    assert difference.mean() > 0.05


def test_augmentation_narrows_the_gap_between_old_and_new_images(measured):
    gap = {name: measured[name, "training"] - measured[name, "test"] for name in ("cnn", "augmented cnn")}
    assert beyond_two_standard_errors(gap["cnn"] - gap["augmented cnn"])


def test_the_feedforward_network_learns_its_training_images_and_not_new_ones(measured):
    ahead = measured["feedforward", "training"] - measured["cnn", "training"]
    assert beyond_two_standard_errors(ahead)
    gap = {name: measured[name, "training"] - measured[name, "test"] for name in ("feedforward", "cnn")}
    assert (gap["feedforward"] - gap["cnn"]).min() > 0.1
