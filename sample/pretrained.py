"""Pretrain the slim VGG16 on scenes of glyphs: python -m sample.pretrained

About half an hour of one core. It writes data/slim_vgg16.npz after every round that is the best so far on drawings
that it was not trained on; data/README.md says what came of it. It also writes data/pictures.npz. `sample/glyphs.py` draws what the scenes show.
"""

import argparse
import time

import keras
import numpy as np
from PIL import Image

from sample.emoji import fit
from sample.scenes import read_sheet, scene
from sample.writing import write_npz
from utils.slim_vgg16 import preprocess_input, slim_vgg16, stored_form
from utils.storage import SAMPLE

# Side of the scenes in pixels -> scenes a round, scenes a batch. A scene of 128 × 128 costs as much as 16 of 32 × 32.
SIZES = {32: (12800, 128), 48: (3840, 64), 64: (3840, 64), 96: (512, 32), 128: (320, 32)}
ROUNDS, FROZEN = 8, 2  # of new scenes; those at the end in which batch normalisation no longer learns
PASSES = 3  # through the scenes of a round
VERSIONS = 4  # of each drawing a round, stretched and sheared
RATE = 2e-3  # falling to a tenth along a cosine, and from there to zero in the frozen rounds
WARM_UP = 200  # steps
DECAY = 5e-3  # of the weights, times the rate
PICTURES = 48  # in pictures.npz
UNSEEN = 1000  # scenes of each size, to choose by and to measure on

Pictures = dict[str, list[Image.Image]]


def split_glyphs(seed: int = 1) -> tuple[Pictures, Pictures]:
    """Class -> drawings to train on, and to validate on.

    Of a class that all four sets have, one set's drawings are for validation; the other classes have none there.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, list[Image.Image]]] = {}
    for entry, drawing in read_sheet("glyphs"):
        found.setdefault(entry["class"], {}).setdefault(entry["design"], []).append(drawing)
    fitted, validation = {}, {}
    for name, designs in found.items():
        if len(designs) == 4:
            validation[name] = designs.pop(rng.choice(sorted(designs)))
        fitted[name] = [drawing for drawings in designs.values() for drawing in drawings]
    return fitted, validation


def scenes(
    pictures: Pictures, names: list[str], n: int, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """n scenes, uint8 (n, side, side, 3), and labels, places in names; each class is equally frequent."""
    shown = rng.permutation(np.resize(rng.permutation(sorted(pictures)), n))
    X = np.stack([scene(str(name), pictures, rng, side)[0] for name in shown])
    place = {name: i for i, name in enumerate(names)}
    return X, np.array([place[name] for name in shown])


def pictures(seed: int = 7) -> dict[str, np.ndarray]:
    """PICTURES scenes of 96 × 96, of as many classes, with drawings that training never saw.

    Returns x, uint8 (n, 96, 96, 3), and names, text (n,), of the classes.
    """
    rng = np.random.default_rng(seed)
    _, validation = split_glyphs()
    names = rng.choice(sorted(validation), PICTURES, replace=False)
    return {"x": np.stack([scene(str(name), validation, rng, 96)[0] for name in names]), "names": names}


def warp(drawing: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The drawing, stretched by up to a third and sheared, 64 × 64 as before."""
    side = drawing.width
    stretch, (a, b) = np.exp(rng.uniform(-0.15, 0.15)), rng.normal(0, 0.12, 2)
    back = np.linalg.inv(
        [[stretch, a], [b, 1 / stretch]]
    )  # canvas coordinates -> the drawing's, about the centres
    offset = np.full(2, side / 2) - back @ np.full(2, float(side))
    matrix = np.column_stack([back, offset]).ravel()
    canvas = drawing.transform((2 * side, 2 * side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return fit(canvas)


def batches(drawings: Pictures, names: list[str], rng: np.random.Generator):
    """PASSES times the scenes of a round, in batches of one size, in random order: float32 images and labels."""
    pictures = {name: [warp(d, rng) for d in found * VERSIONS] for name, found in drawings.items()}
    drawn = {side: scenes(pictures, names, n, side, rng) for side, (n, _) in SIZES.items()}
    for _ in range(PASSES):
        order = {side: rng.permutation(len(y)) for side, (_, y) in drawn.items()}
        chunks = [
            (side, order[side][start : start + batch])
            for side, (n, batch) in SIZES.items()
            for start in range(0, n, batch)
        ]
        for i in rng.permutation(len(chunks)):
            side, chosen = chunks[i]
            X, y = drawn[side]
            yield vary(X[chosen], rng), y[chosen]


def vary(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Preprocessed images: half of them mirrored, a quarter with colours exchanged, all more or less colourful."""
    X, n = preprocess_input(X), len(X)
    mirrored = rng.random(n) < 0.5
    X[mirrored] = X[mirrored, :, ::-1]
    channels = np.where(rng.random((n, 1)) < 0.25, rng.permuted(np.tile(range(3), (n, 1)), axis=1), range(3))
    X = np.take_along_axis(X, channels[:, None, None, :], axis=-1)
    grey = X.mean(axis=-1, keepdims=True)
    saturation, contrast = rng.uniform(0.2, 1.3, (n, 1, 1, 1)), rng.uniform(0.75, 1.25, (n, 1, 1, 1))
    X = contrast * (grey + saturation * (X - grey)) + rng.uniform(-0.2, 0.2, (n, 1, 1, 1))
    return X.astype("float32")


def accuracy(model: keras.Model, X: np.ndarray, y: np.ndarray) -> float:
    """Share of images whose most probable class is theirs."""
    return float(np.mean(model.predict(preprocess_input(X), batch_size=64, verbose=0).argmax(axis=1) == y))


def compile_for(model: keras.Model, rounds: int, first: float, last: float) -> None:
    """Prepare for this many rounds with AdamW, whose rate falls from first to last along a cosine."""
    steps = rounds * PASSES * sum(-(-n // batch) for n, batch in SIZES.values())
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - WARM_UP, alpha=last / first, warmup_target=first, warmup_steps=WARM_UP
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=DECAY), "sparse_categorical_crossentropy")


def train(rounds: int, frozen: int, seed: int = 5) -> None:
    """Train from random weights; after each round, write the weights where they are the best so far.

    The best are those that are right most often on UNSEEN scenes of 32 × 32 and of 64 × 64 that show drawings which
    training never saw. In the frozen rounds at the end batch normalisation uses the means and variances that it
    will have at prediction: those of a batch depend on the size of its scenes, and here they come to fit all sizes.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    fitted, validation = split_glyphs()
    names = list(fitted)
    unseen = {side: scenes(validation, names, UNSEEN, side, rng) for side in (32, 64)}
    model = slim_vgg16(weights=None, classes=len(names))
    compile_for(model, rounds - frozen, RATE, RATE / 10)
    best, start = 0.0, time.perf_counter()
    for done in range(rounds):
        if done == rounds - frozen:
            for layer in model.layers:
                layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
            compile_for(model, frozen, RATE / 10, 0.0)
        losses = [model.train_on_batch(X, y) for X, y in batches(fitted, names, rng)]
        found = {side: accuracy(model, *images) for side, images in unseen.items()}
        print(
            f"round {done + 1}, {time.perf_counter() - start:.0f} s: loss {np.mean(losses):.3f}, unseen drawings",
            ", ".join(f"{side} px {share:.1%}" for side, share in found.items()),
            flush=True,
        )
        if sum(found.values()) > best:
            best = sum(found.values())
            write_npz(SAMPLE / "slim_vgg16.npz", stored_form(model, names))


def measure(seed: int = 6) -> None:
    """Print the accuracy of the written weights on new scenes, of drawings seen and unseen in training, by size."""
    fitted, validation = split_glyphs()
    names, model = list(fitted), slim_vgg16()
    for side in SIZES:
        rng = np.random.default_rng(seed)
        seen, unseen = (accuracy(model, *scenes(p, names, UNSEEN, side, rng)) for p in (fitted, validation))
        print(f"{side} px: seen drawings {seen:.1%}, unseen {unseen:.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--measure", action="store_true", help="measure the weights that are there, without training"
    )
    options = parser.parse_args()
    if not options.measure:
        write_npz(SAMPLE / "pictures.npz", pictures())
        train(ROUNDS, FROZEN)
    measure()


if __name__ == "__main__":
    main()
