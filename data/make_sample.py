"""Regenerate the data that ships with the course: python -m data.make_sample

Each function renders one bundled file; `data/README.md` gives its origin, licence and SHA-256.
A rerun writes the same pixels (a test holds that), through a temporary name.
"""

import hashlib
import json
import lzma
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter
from scipy import stats
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits

from data.house_numbers import write_split

DATA = Path(__file__).resolve().parent

# How each 8x8 original is drawn on the 28x28 canvas: MNIST's writers fill a centred 20x20 box, ours wander.
VERSIONS = 2  # drawings of each original
SIZE = (16.0, 22.0)  # side of the box that the 8x8 original fills, in pixels
SHIFT = 3.0  # of the box's centre from the canvas's, in pixels, each way
TURN = 10.0  # degrees, each way
TEST_SHARE = 0.25  # of the originals
GREYS = 16  # as many as the originals have; it also keeps the file small

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SCENES = {"fit": 1170, "validation": 130, "test": 300}  # images, as many of each class
DRAWINGS = {
    "validation": 0.12,
    "test": 0.25,
}  # share of a class's drawings, at least one; the others are for fit
CANVAS = 64  # pixels; scenes are put together at twice their size

HOUSE_NUMBERS = {"train": 3000, "test": 600}  # images
HOUSE_NUMBERS_SEED = 5

N_STOCKS = 300  # with a price in every month
N_SHORT, N_GAPS = 8, 4  # further stocks: listed late or delisted early; suspended for a while
MONTHS = pd.period_range("2007-12", "2017-12", freq="M")
BURN_IN = 36  # months simulated before the first
# What a return depends on, in units of the stock's own volatility; x is a return divided by TYPICAL, at most 3 either way.
TYPICAL = 0.08
REVERSAL = -0.30  # times last month's x, where that is beyond 1
MOMENTUM = 0.15  # times the sum of x over the last twelve months, divided by the square root of twelve
SEASON = {1: 0.15, 4: 0.15, 11: 0.15, 12: 0.15, 6: -0.15, 9: -0.15}  # month -> shift
MARKET_MEAN, MARKET_VOLATILITY = 0.006, 0.025  # a month
FREEDOM = 5  # degrees of freedom of the t distribution of a stock's own shock


def draw_digit(original: np.ndarray, size: float, shift: np.ndarray, turn: float) -> np.ndarray:
    """Draw one original, (8, 8) floats from 0 to 1, on a (28, 28) uint8 canvas.

    size: side of the box in pixels; shift: (rows, columns) in pixels; turn: radians.
    """
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    to_original = rotation * (8 / size)  # canvas coordinates -> coordinates in the original
    offset = np.array([3.5, 3.5]) - to_original @ (np.array([13.5, 13.5]) + shift)
    drawn = affine_transform(np.pad(original, 2), to_original, offset + 2, output_shape=(28, 28), order=3)
    levels = np.clip(np.round(drawn * (GREYS - 1)), 0, GREYS - 1)
    return (levels * (255 // (GREYS - 1))).astype("uint8")


def digits(seed: int = 6) -> dict[str, np.ndarray]:
    """Draw scikit-learn's 1,797 handwritten digits in MNIST's format.

    Returns the arrays of Keras's mnist.npz: x_train, y_train, x_test, y_test, uint8, images (n, 28, 28).
    Every original is drawn VERSIONS times. Training and test images come from different originals, and
    the drawings of one original stand next to each other, so that a slice of the training images is a
    split by original too.
    """
    rng = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(images))
    images, labels = images[order].reshape(-1, 8, 8) / 16, labels[order]
    X = np.stack(
        [
            draw_digit(
                original,
                size=rng.uniform(*SIZE),
                shift=rng.uniform(-SHIFT, SHIFT, size=2),
                turn=np.radians(rng.uniform(-TURN, TURN)),
            )
            for original in images
            for _ in range(VERSIONS)
        ]
    )
    y = np.repeat(labels, VERSIONS).astype("uint8")
    n_train = round(len(images) * (1 - TEST_SHARE)) * VERSIONS
    return {"x_train": X[:n_train], "y_train": y[:n_train], "x_test": X[n_train:], "y_test": y[n_train:]}


def read_sheet(name: str) -> list[tuple[dict[str, str], Image.Image]]:
    """Every drawing on the sheet name.png, RGBA, with what name.json says of it: class, emoji, design."""
    sheet = Image.open(DATA / f"{name}.png").convert("RGBA")
    columns = sheet.width // CANVAS
    found = []
    for i, entry in enumerate(json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))):
        left, top = i % columns * CANVAS, i // columns * CANVAS
        found.append((entry, sheet.crop((left, top, left + CANVAS, top + CANVAS))))
    return found


def drawings() -> dict[str, list[Image.Image]]:
    """The drawings of every class, RGBA, from the sheet emoji.png and its index."""
    found = {name: [] for name in CLASSES}
    for entry, drawing in read_sheet("emoji"):
        found[entry["class"]].append(drawing)
    return found


def split_drawings(rng: np.random.Generator) -> dict[str, dict[str, list[Image.Image]]]:
    """Part -> class -> drawings; none is in two parts."""
    parts = {part: {} for part in SCENES}
    for name, pictures in drawings().items():
        pictures = [pictures[i] for i in rng.permutation(len(pictures))]
        for part, share in DRAWINGS.items():
            n = max(1, round(share * len(pictures)))
            parts[part][name], pictures = pictures[:n], pictures[n:]
        parts["fit"][name] = pictures
    return parts


def background(rng: np.random.Generator, side: int) -> Image.Image:
    """A smooth mix of a few random colours on a square canvas, half of the time with noise on it."""
    colours = rng.uniform(40, 215) + rng.normal(0, 28, 3) + rng.normal(0, 28, (*rng.integers(1, 4, 2), 3))
    colours = Image.fromarray(np.clip(colours, 0, 255).astype("uint8"))
    canvas = np.asarray(colours.resize((side, side), Image.Resampling.BICUBIC), dtype=float)
    canvas = canvas + rng.normal(0, rng.choice([0, 25]), canvas.shape)
    return Image.fromarray(np.clip(canvas, 0, 255).astype("uint8"))


def place(canvas: Image.Image, drawing: Image.Image, rng: np.random.Generator, size, spread, opacity) -> None:
    """Draw a drawing on the canvas, scaled, mirrored, turned, tinted, and moved from the centre.

    size, spread: range of its side and largest shift each way, as shares of the canvas's side.
    """
    side = round(canvas.width * rng.uniform(*size))
    drawing = drawing.resize((side, side), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    drawing = drawing.rotate(rng.normal(0, 8), Image.Resampling.BICUBIC, expand=True)
    pixels = np.asarray(drawing) * np.append(rng.uniform(0.7, 1.15, 3), rng.uniform(*opacity))
    drawing = Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))
    x, y = (canvas.width * (0.5 + rng.uniform(-spread, spread, 2))).round().astype(int)
    canvas.paste(drawing, (x - drawing.width // 2, y - drawing.height // 2), drawing)


def scene(
    name: str, pictures: dict[str, list[Image.Image]], rng: np.random.Generator, side: int = CANVAS // 2
) -> np.ndarray:
    """One scene of a class, (side, side, 3) uint8: a background, clutter from other classes, the drawing on top."""
    canvas = background(rng, 2 * side)
    for _ in range(rng.integers(0, 3)):
        other = rng.choice([c for c in pictures if c != name])
        clutter = pictures[other][rng.integers(len(pictures[other]))]
        place(canvas, clutter, rng, size=(0.2, 0.35), spread=0.5, opacity=(0.4, 1))
    drawing = pictures[name][rng.integers(len(pictures[name]))]
    place(canvas, drawing, rng, size=(0.6, 0.95), spread=0.2, opacity=(0.8, 1))
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    return np.asarray(canvas.reduce(2))


def scenes(seed: int = 3) -> dict[str, np.ndarray]:
    """Scenes in CIFAR-10's format and classes, rendered from the drawings of emoji.png.

    Returns x_train, x_test, uint8 (n, 32, 32, 3), and y_train, y_test, uint8 (n,), the place in CLASSES.
    No drawing of a test scene occurs in a training scene. The last SCENES["validation"] training scenes have
    drawings of their own too, so that cutting them off gives a validation set that measures the same.
    """
    rng = np.random.default_rng(seed)
    X, y = {}, {}
    for part, pictures in split_drawings(rng).items():
        y[part] = rng.permutation(np.arange(SCENES[part]) % len(CLASSES)).astype("uint8")
        X[part] = np.stack([scene(CLASSES[label], pictures, rng) for label in y[part]])
    return {
        "x_train": np.concatenate([X["fit"], X["validation"]]),
        "y_train": np.concatenate([y["fit"], y["validation"]]),
        "x_test": X["test"],
        "y_test": y["test"],
    }


def expected_shift(x: np.ndarray, month: int) -> np.ndarray:
    """The planted effects, (stocks,), in units of volatility; x: the twelve months before, (12, stocks)."""
    reversal = REVERSAL * np.where(np.abs(x[-1]) > 1, x[-1], 0)
    momentum = MOMENTUM * x.sum(axis=0) / np.sqrt(12)
    return reversal + momentum + SEASON.get(month, 0)


def simulate_returns(rng: np.random.Generator, stocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Log returns of len(MONTHS) months, and the probability that each is above zero; both (months, stocks).

    A return is beta * market + volatility * (planted effects + own shock); the market's and the stocks'
    volatility rise and fall together, over months. The probability is that of one who knows all past
    returns, all parameters and the current volatility, and neither the market's nor the stock's shock:
    nobody can order the returns better from what came before.
    """
    months = np.arange(MONTHS[0].ordinal - BURN_IN, MONTHS[-1].ordinal + 1)
    beta, sigma = rng.normal(1, 0.3, stocks), np.exp(rng.normal(np.log(0.07), 0.3, stocks))
    unit = np.sqrt((FREEDOM - 2) / FREEDOM)  # a t variable times this has variance one
    shocks, weights = np.polynomial.hermite_e.hermegauss(15)  # for the expectation over the market
    returns, probability = np.zeros((2, len(months), stocks))
    x, level = np.zeros((len(months), stocks)), 0.0
    for t in range(12, len(months)):
        level = 0.85 * level + rng.normal(0, 0.2)
        volatility = np.exp(level - 0.07)
        shift = expected_shift(x[t - 12 : t], months[t] % 12 + 1)
        market = MARKET_MEAN + MARKET_VOLATILITY * volatility * rng.normal()
        own = unit * rng.standard_t(FREEDOM, stocks)
        returns[t] = beta * market + sigma * volatility * (shift + own)
        x[t] = np.clip(np.expm1(returns[t]) / TYPICAL, -3, 3)
        markets = MARKET_MEAN + MARKET_VOLATILITY * volatility * shocks[:, None]
        above_zero = stats.t.cdf((beta * markets / (sigma * volatility) + shift) / unit, FREEDOM)
        probability[t] = weights @ above_zero / weights.sum()
    return returns[BURN_IN:], probability[BURN_IN:]


def prices(seed: int = 1) -> pd.DataFrame:
    """A simulated panel with the columns ticker, date, adj_close, and p_up, one row a stock and month.

    p_up: the probability that the return of the month that ends on this date is above zero, as
    `simulate_returns` gives it; NaN for a stock's first month.
    """
    rng = np.random.default_rng(seed)
    stocks = N_STOCKS + N_SHORT + N_GAPS
    log_returns, p_up = simulate_returns(rng, stocks)
    closes = rng.uniform(15, 90, stocks) * np.exp(np.cumsum(log_returns, axis=0) - log_returns[0])
    present = np.ones_like(closes, dtype=bool)
    for stock in range(N_STOCKS, stocks):
        cut = rng.integers(10, len(MONTHS) - 10)
        if stock >= N_STOCKS + N_SHORT:
            present[cut : cut + 3, stock] = False
        elif rng.random() < 0.5:
            present[:cut, stock] = False
        else:
            present[cut:, stock] = False
    p_up[0] = np.nan
    tickers = np.array([f"S{number:03d}" for number in rng.permutation(stocks)])
    dates = [str(last_weekday(month)) for month in MONTHS]
    table = pd.DataFrame(
        {
            "ticker": np.tile(tickers, len(MONTHS)),
            "date": np.repeat(dates, stocks),
            "adj_close": closes.ravel().round(3),
            "p_up": p_up.ravel().round(3),
        }
    )
    return table[present.ravel()].sort_values(["ticker", "date"], ignore_index=True)


def last_weekday(month: pd.Period) -> date:
    return pd.offsets.BMonthEnd().rollback(month.to_timestamp(how="end")).date()


def write_prices(path: Path, table: pd.DataFrame) -> None:
    """Write the table as CSV, compressed, complete or not at all; print its size and SHA-256."""
    content = lzma.compress(table.to_csv(index=False, lineterminator="\n").encode(), preset=9)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    partial.replace(path)
    print(f"{path.name}: {len(content) / 1e6:.2f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to path.npz, complete or not at all; print its size and SHA-256."""
    partial = path.with_suffix(".part.npz")
    np.savez_compressed(partial, **arrays)
    partial.replace(path)
    content = path.read_bytes()
    print(f"{path.name}: {len(content) / 1e6:.2f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")


def write_house_numbers(folder: Path) -> None:
    """Write the archives train.tar.gz and test.tar.gz; print their sizes and SHA-256."""
    for split, n in HOUSE_NUMBERS.items():
        path = folder / f"{split}.tar.gz"
        write_split(path, split, n, HOUSE_NUMBERS_SEED)
        content = path.read_bytes()
        print(f"{path.name}: {len(content) / 1e6:.2f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    write_npz(DATA / "digits.npz", digits())
    write_npz(DATA / "scenes.npz", scenes())
    write_prices(DATA / "prices.csv.xz", prices())
    write_house_numbers(DATA / "svhn")
