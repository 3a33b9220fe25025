"""Datasets: the bundled sample, or the real data from COURSE_DATA, Keras's cache or the publisher.

Every loader takes the notebook's `Run`, notes name and hash of what it loaded there, prints a banner that
says what it gave, and raises `DataError` where it cannot: it never falls back from real to sample data.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_sample_image
from sklearn.model_selection import train_test_split

from utils import eurosat
from utils.cifar10 import CIFAR10, read_batches
from utils.daily_prices import daily_values
from utils.digit_scenes import Scenes, drawn_scenes, photographed_scenes
from utils.images import SMALLEST, open_image
from utils.prices import (
    complete_returns,
    describe,
    implausible,
    lagged,
    month_end_closes,
    month_ends,
    outcomes,
    winsorised,
)
from utils.published import Published, bundled, described, find, in_course_data, not_found
from utils.run import Run
from utils.storage import DataError, read_json, read_npz, sha256_of_array
from utils.svhn import describe_skipped, ensure_dataset, facts_of, name_of, raw_split, read_split

# Published by Keras; the hash is the one in keras.datasets.mnist.
MNIST = Published(
    name="MNIST",
    filename="mnist.npz",
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
)

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

# The names under which COURSE_DATA may hold the prices, in this order.
PRICES = (
    "WIKI_PRICES.csv", "WIKI_PRICES*.csv", "WIKI_PRICES*.csv.gz", "WIKI_PRICES*.csv.xz", "WIKI_PRICES*.zip",
    "WIKI_PRICES*.parquet", "assets.h5",
)  # fmt: skip
DAILY_PRICES = ("WIKI_PRICES_OHLCV.csv", *PRICES)

EUROSAT_CLASSES = eurosat.CLASSES
EUROSAT_TEST, EUROSAT_SPLIT = 0.2, 0  # share of tiles to test with, and the seed that chooses them

Split = tuple[np.ndarray, np.ndarray]


def load_mnist(run: Run, note_as: str = "") -> tuple[Split, Split]:
    """Handwritten digits: MNIST at full scale, scikit-learn's digits in MNIST's format in the sample.

    Returns (X_train, y_train), (X_test, y_test) as `keras.datasets.mnist.load_data` does: images uint8,
    (n, 28, 28), from 0 (paper) to 255 (ink); labels uint8, (n,), from 0 to 9. In the sample, training and
    test images are drawings of different originals, and the drawings of one original are neighbours.

    note_as: put before the names of the facts noted in the run, for a notebook that loads two datasets.

    Raises DataError.
    """
    if run.scale == "sample":
        path, name, sha256 = bundled("digits.npz", "sample digits")
    else:
        path, name, sha256 = find(MNIST)
    train, test = _read_npz(path, "MNIST", (28, 28))
    facts = {"name": name, "sha256": sha256, "n_train": len(train[0]), "n_test": len(test[0])}
    run.note_data(**{note_as + fact: value for fact, value in facts.items()})
    print(f"{name}: {len(train[0]):,} training and {len(test[0]):,} test images, 28 × 28")
    return train, test


def load_cifar10(run: Run) -> tuple[Split, Split]:
    """Colour images of ten kinds of objects: CIFAR-10 at full scale, scenes rendered from emoji in the sample.

    Returns (X_train, y_train), (X_test, y_test): images uint8, (n, 32, 32, 3), red, green, blue from 0 to
    255; labels uint8, (n,), places in CIFAR10_CLASSES. (Keras's own loader gives labels of shape (n, 1).)
    In the sample, no drawing of a test scene occurs in a training scene, and the last 130 training scenes
    share no drawing with those before them.

    Raises DataError.
    """
    if run.scale == "sample":
        path, name, sha256 = bundled("scenes.npz", "sample scenes")
        train, test = _read_npz(path, "CIFAR-10", (32, 32, 3))
    else:
        path, name, sha256 = find(CIFAR10)
        train, test = read_batches(path).values()
    run.note_data(name=name, sha256=sha256, n_train=len(train[0]), n_test=len(test[0]))
    print(f"{name}: {len(train[0]):,} training and {len(test[0]):,} test images, 32 × 32, in colour")
    return train, test


def load_cifar10_drawings(run: Run, n: int) -> np.ndarray:
    """A number for each of the n training images of `load_cifar10`: those with the same number show the same thing.

    uint8 or int64, (n,). In the sample scenes of the same drawing have the same number; every photograph of CIFAR-10
    has its own. For splits that keep together what belongs together (scikit-learn's `groups`).
    """
    if run.scale == "sample":
        return read_npz(bundled("scenes.npz", "sample scenes")[0])["drawing_train"]
    return np.arange(n)


class MonthlyReturns(NamedTuple):
    """What is known before a month, and what the month then brings; one row a month and stock."""

    features: pd.DataFrame  # float32, (n, lags), columns "lag 24" to "lag 1", oldest first
    labels: pd.Series  # uint8, (n,), 1 where the month's return is above zero
    returns: pd.Series  # float64, (n,), the month's return
    p_up: pd.Series | None  # simulated probability of label 1; None for real prices
    closes: (
        pd.DataFrame
    )  # float64, (month ends, tickers), from the month before start on: what all this comes from


def load_monthly_returns(
    run: Run, lags: int = 24, start: str = "2008-01", end: str = "2017-12", training_end: str = "2014-12"
) -> MonthlyReturns:
    """Lagged monthly stock returns: WIKI/PRICES or a table like it at full scale, a simulated panel in the sample.

    start, end: the first and last month whose return is used; lags: months before the one to predict. Stocks
    without a close in every month are dropped, prices that cannot be are left out, and both are counted in the
    banner, as are repeated rows and those that contradict each other; returns that can hardly be are named there. Lagged returns are winsorised: clipped to the 1 % and 99 % quantiles of all returns up to
    training_end, so that no later return has a say in them. Labels and returns stay as they are.

    Index: (date, ticker), dates being month ends, in order.

    Raises DataError.
    """
    if run.scale == "sample":
        path, name, sha256 = bundled("prices.csv.xz", "sample panel")
    else:
        path, why_not = in_course_data(*PRICES)
        if not path:
            names = " or ".join(PRICES)
            looked = why_not if names in why_not else f"{why_not}; its folder may hold {names}"
            raise not_found("WIKI/PRICES", "a table of prices", [looked])
        path, name, sha256 = described(path)
    closes, repairs = month_end_closes(path, start, end)
    returns, dropped = complete_returns(closes, str(path))
    features = winsorised(lagged(returns, lags), returns, training_end, str(path))
    realised, labels = outcomes(returns, lags)
    run.note_data(name=name, sha256=sha256, n_tickers=returns.shape[1])
    print(
        f"{name}: {returns.index[0]:%Y-%m} to {returns.index[-1]:%Y-%m}, kept {returns.shape[1]:,} of {closes.shape[1]:,} tickers"
    )
    found = {
        "dropped tickers": describe(dropped),
        "repairs": describe(repairs),
        "implausible": implausible(returns),
    }
    for what, text in found.items():
        if text:
            print(f"{what}: {text}")
    return MonthlyReturns(
        features,
        labels,
        realised,
        _simulated_probability(path, features.index) if run.scale == "sample" else None,
        month_ends(closes[returns.columns]),
    )


class DailyPrices(NamedTuple):
    """Daily prices of many stocks; NaN in all five places where a stock has no usable day."""

    dates: pd.DatetimeIndex  # trading days
    tickers: pd.Index
    values: np.ndarray  # float32, (days, tickers, 5): open, high, low, close, volume, adjusted for splits
    p_up: (
        np.ndarray | None
    )  # simulated probability that the next five days' return is above zero, NaN but on Fridays


def load_daily_prices(run: Run, start: str = "2005-01-01", end: str = "2017-12-31") -> DailyPrices:
    """Daily open, high, low, close, volume: WIKI/PRICES or a table like it at full scale, a simulated panel in the sample.

    start, end: the first and last date used. The table needs the columns ticker, date, adj_open, adj_high, adj_low,
    adj_close and adj_volume. Nothing is filled in: what cannot be is left out, and counted in the banner.

    Raises DataError.
    """
    if run.scale == "sample":
        path, name, sha256 = bundled("daily_prices.csv.xz", "simulated daily panel")
    else:
        path, why_not = in_course_data(*DAILY_PRICES)
        if not path:
            raise not_found("WIKI/PRICES", " or ".join(DAILY_PRICES), [why_not])
        path, name, sha256 = described(path)
    dates, tickers, values, repairs = daily_values(path, start, end)
    run.note_data(name=name, sha256=sha256, n_tickers=len(tickers))
    print(
        f"{name}: {len(tickers):,} tickers, {len(dates):,} days from {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
    )
    if text := describe(repairs):
        print(f"repairs: {text}")
    p_up = None
    if run.scale == "sample":
        table = pd.read_csv(path, usecols=["ticker", "date", "p_up"], parse_dates=["date"])
        table = table.pivot(index="date", columns="ticker", values="p_up")
        p_up = table.loc[dates, tickers].to_numpy()
    return DailyPrices(dates, tickers, values, p_up)


def load_svhn(
    run: Run, side: int = 32, margin: float = 0.1, extra: bool = False, partial: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Whole house numbers: SVHN's format 1 at full scale, rendered numbers in its format in the sample.

    side, margin: of the crops, see `utils.svhn`; extra: add SVHN's further images to the training split; partial: go on
    where more than a tenth of a split's images cannot be used, under a name that says so. Returns the
    training and the test split, each with the arrays of `utils.svhn.read_split`: images, X, length, digits, file.
    In the sample, the test images are set in fonts that no training image has. The files are made where they are
    missing.

    Raises DataError.
    """
    found = {
        split: ensure_dataset(run, split, side, margin, partial)
        for split in ("train", *(["extra"] if extra else []), "test")
    }
    splits = {split: read_split(path) for split, (path, *_) in found.items()}
    for split, (path, name, _) in found.items():
        facts = facts_of(path)
        kept = f"{facts['kept']:,} of {facts['annotated']:,} images"
        print(f"{name}, {split}: kept {kept}, skipped {facts['skipped']}")
    train, test = splits["train"], splits["test"]
    if extra:
        train = {key: np.concatenate([train[key], splits["extra"][key]]) for key in train}
        run.note_data(sha256_extra=found["extra"].sha256)
    run.note_data(
        name=name_of(found), sha256=found["train"].sha256, sha256_test=found["test"].sha256,
        n_train=len(train["length"]), n_test=len(test["length"]),
    )  # fmt: skip
    return train, test


def load_satellite_tiles(run: Run) -> tuple[Split, Split]:
    """Satellite tiles of ten kinds of land: EuroSAT (RGB) at full scale, rendered tiles in its layout in the sample.

    Returns (X_train, y_train), (X_test, y_test): images uint8, (n, 64, 64, 3), red, green, blue from 0 to 255; labels
    uint8, (n,), places in EUROSAT_CLASSES. EuroSAT has no published split: a fifth of each class is for testing, the
    same tiles whatever the run's seed, and the others are in random order. In the sample, training and test tiles show
    different regions, and the last 300 training tiles show regions that are in no tile before them.

    Raises DataError.
    """
    if run.scale == "sample":
        paths = [bundled(f"satellite/{part}.zip", "sample tiles") for part in ("train", "test")]
        (_, name, sha256), test_file = paths
        train, test = (eurosat.read_tiles(found.path) for found in paths)
        facts = {"sha256_test": test_file.sha256}
    else:
        path, name, sha256 = eurosat.find_tiles()
        images, labels = eurosat.read_tiles(path)
        if path.is_dir():  # of folders in a folder; their tiles say what they are
            sha256 = sha256_of_array(images, labels)
        train, test = _stratified(images, labels, str(path))
        facts = {"split_seed": EUROSAT_SPLIT}
    run.note_data(name=name, sha256=sha256, n_train=len(train[0]), n_test=len(test[0]), **facts)
    print(f"{name}: {len(train[0]):,} training and {len(test[0]):,} test tiles, 64 × 64, in colour")
    return train, test


class SatelliteScene(NamedTuple):
    """A scene of 11 × 16 tiles."""

    image: np.ndarray  # uint8, (704, 1024, 3)
    truth: np.ndarray  # int64, (11, 16), what each tile shows, places in EUROSAT_CLASSES
    shares: np.ndarray  # float64, (11, 16), how much of the tile that covers


def load_satellite_scene(run: Run, tiles: Split) -> SatelliteScene:
    """A scene to be mapped: in the sample a rendered one, of a region that no tile shows.

    EuroSAT has no scenes: at full scale some of these tiles, drawn by the run's seed, are put together in the same pattern,
    and each shows its class throughout. Raises DataError.
    """
    found = bundled("satellite/scene.jpg", "sample scene")
    facts = read_json(found.path.with_suffix(".json"))
    truth, shares = np.array(facts["tiles"]), np.array(facts["shares"])
    if run.scale == "sample":
        return SatelliteScene(np.asarray(open_image(found.path)), truth, shares)
    (images, labels), rng = tiles, np.random.default_rng(run.seed)
    chosen = [images[rng.choice(np.flatnonzero(labels == label))] for label in truth.ravel()]
    rows = np.stack(chosen).reshape(*truth.shape, eurosat.SIDE, eurosat.SIDE, 3).swapaxes(1, 2)
    image = rows.reshape(truth.shape[0] * eurosat.SIDE, truth.shape[1] * eurosat.SIDE, 3)
    return SatelliteScene(image, truth, np.ones(truth.shape))


def _stratified(images: np.ndarray, labels: np.ndarray, where: str) -> tuple[Split, Split]:
    """Training and test tiles, of each class its share."""
    counts = np.bincount(labels, minlength=len(EUROSAT_CLASSES))
    if counts.min() < 5:
        few = EUROSAT_CLASSES[counts.argmin()]
        raise DataError(
            f"{where} has {counts.min()} tiles of {few}; five of each class are needed to learn and to test."
        )
    how = {"test_size": EUROSAT_TEST, "stratify": labels, "random_state": EUROSAT_SPLIT}
    train, test = train_test_split(np.arange(len(labels)), **how)
    return (images[train], labels[train]), (images[test], labels[test])


def load_digit_scenes(
    run: Run, side: int = 48, n: tuple[int, int] = (1_500, 300), drawn: bool = False
) -> tuple[Scenes, Scenes]:
    """Pictures with house numbers somewhere in them, and a box and a label for every digit.

    At full scale windows of SVHN's photographs, which have no masks; in the sample, or with drawn, scenes that are
    drawn when they are first asked for, with a mask for every digit and in fonts that differ between training and test.
    side: of the pictures, in pixels; n: how many to train and to test with, of photographs the first so many.

    Returns the training and the test scenes, see `utils.digit_scenes.Scenes`. Raises DataError.
    """
    if run.scale == "sample" or drawn:
        _, name, sha256 = bundled("numerals.png", "drawn scenes of house numbers")
        train, test = drawn_scenes(side, n).values()
    else:
        found = {split: raw_split(run, split) for split in ("train", "test")}
        windows = [
            photographed_scenes(found[split].path, side, most) for split, most in zip(found, n, strict=True)
        ]
        (_, name, sha256), (train, test) = found["train"], (scenes for scenes, _ in windows)
        for split, (_, skipped) in zip(found, windows, strict=True):
            print(f"{name}, {split}: skipped {describe_skipped(skipped)}")
    prefix = "drawn_" if drawn else ""
    facts = {"name": name, "sha256": sha256, "n_train": len(train.images), "n_test": len(test.images)}
    run.note_data(**{prefix + fact: value for fact, value in facts.items()})
    numbers = [
        f"{len(s.images):,} {w} scenes with {len(s.labels):,} digits"
        for s, w in ((train, "training"), (test, "test"))
    ]
    print(
        f"{name}: {' and '.join(numbers)}, {side} × {side}, {'without' if train.masks is None else 'with'} masks"
    )
    return train, test


def load_photo(run: Run, path: str | Path | None = None, colour: bool = False) -> np.ndarray:
    """A photograph: at either scale the one of a building that scikit-learn ships, or the reader's own.

    path: any image, see `utils.images.open_image`; it is reduced to 640 pixels at most. Returns float32, from 0
    (black) to 1 (white): (rows, columns) in grey, with the weights 0.299, 0.587, 0.114 for red, green and blue
    (ITU-R BT.601), or with colour (rows, columns, 3).

    Raises DataError where the file is missing, no image, or smaller than 16 pixels.
    """
    if path is None:
        picture, name = Image.fromarray(load_sample_image("china.jpg")), "china.jpg, which scikit-learn ships"
    else:
        picture, name = open_image(path), f"{Path(path).name} (the reader's own)"
        picture.thumbnail((640, 640))
        if min(picture.size) < SMALLEST:
            raise DataError(
                f"{path} is a strip of {picture.width} × {picture.height} pixels once it is reduced to 640. "
                "Use an image of another shape."
            )
    photo = np.asarray(picture.convert("RGB" if colour else "L"), dtype="float32") / 255
    run.note_data(name=name, sha256=sha256_of_array(photo))
    print(f"{name}: {photo.shape[0]} × {photo.shape[1]} pixels, in {'colour' if colour else 'grey'}")
    return photo


def _simulated_probability(path: Path, index: pd.MultiIndex) -> pd.Series:
    """The column p_up of the simulated panel, in the order of the index (month ends, tickers)."""
    table = pd.read_csv(path, usecols=["ticker", "date", "p_up"], parse_dates=["date"])
    table["date"] += pd.offsets.MonthEnd(0)
    return table.set_index(["date", "ticker"])["p_up"].loc[index]


def _read_npz(path: Path, name: str, shape: tuple[int, ...]) -> tuple[Split, Split]:
    """Read and check an archive in the layout of Keras's mnist.npz, of images of this shape in ten classes."""
    keys = ("x_train", "y_train", "x_test", "y_test")
    arrays = read_npz(path)
    if missing := [key for key in keys if key not in arrays]:
        raise DataError(
            f"{path} lacks {', '.join(missing)}: this is not {name}, packed as Keras packs MNIST."
        )
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        expected = {f"x_{split}": (len(images), *shape), f"y_{split}": (len(images),)} if images.ndim else {}
        for key in (f"x_{split}", f"y_{split}"):
            array = arrays[key]
            if array.dtype != np.uint8 or array.shape != expected.get(key) or not len(array):
                raise DataError(
                    f"{path}: {key} is {array.dtype} {array.shape}; {name}'s are uint8, "
                    f"images (n, {', '.join(map(str, shape))}), labels (n,), as many labels as images."
                )
        if labels.max() > 9:
            raise DataError(f"{path}: y_{split} holds the label {labels.max()}; classes go from 0 to 9.")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
