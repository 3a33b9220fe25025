"""Charts of five days, drawn all at once, against a loop that draws pixel by pixel, and against Matplotlib.

python -m benchmarks.price_charts

Baselines: the same pixels set in a plain loop over charts and days (2,000 charts, and a check that they are the same),
and a Matplotlib figure of 15 × 32 pixels for each chart, as vlines, hlines and bars (200 charts).
"""

import time

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from utils.charts import AVERAGE, SIZES, areas, chart_windows, render, rescaled

CHARTS, PLAIN, DRAWN = 100_000, 2_000, 200


def market(days: int, stocks: int) -> np.ndarray:
    """Simulated daily prices and volumes, float32 (days, stocks, 5)."""
    rng = np.random.default_rng(0)
    close = 40 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, stocks)), axis=0))
    opening = close * np.exp(rng.normal(0, 0.01, close.shape))
    high, low = np.maximum(opening, close) * 1.005, np.minimum(opening, close) * 0.995
    volume = rng.lognormal(12, 1, close.shape)
    return np.stack([opening, high, low, close, volume], axis=-1).astype("float32")


def plain(windows: np.ndarray) -> np.ndarray:
    """The same charts, pixel by pixel."""
    days = windows.shape[1]
    price_rows, volume_rows = areas(SIZES[days][0])
    charts = np.zeros((len(windows), *SIZES[days]), dtype="uint8")
    for chart, scaled in zip(charts, rescaled(windows), strict=True):
        rows = np.rint((1 - scaled) * (price_rows - 1)).astype(int)
        for day in range(days):
            chart[rows[day, 0], 3 * day] = 255
            for row in range(rows[day, 1], rows[day, 2] + 1):
                chart[row, 3 * day + 1] = 255
            chart[rows[day, 3], 3 * day + 2] = 255
            around = max(day - 1, 0), day, min(day + 1, days - 1)
            for column, other in enumerate(around):
                height = (2 * scaled[day, AVERAGE] + scaled[other, AVERAGE]) / 3
                chart[int(np.rint((1 - height) * (price_rows - 1))), 3 * day + column] = 255
            for row in range(int(np.ceil(scaled[day, 4] * volume_rows))):
                chart[-1 - row, 3 * day + 1] = 255
    return charts


def with_matplotlib(windows: np.ndarray) -> None:
    """A small figure for each chart, rendered to pixels."""
    for window in windows:
        figure, (above, below) = plt.subplots(2, figsize=(0.15, 0.32), dpi=100, height_ratios=[4, 1])
        days = np.arange(len(window))
        above.vlines(days, window[:, 2], window[:, 1])
        above.hlines(window[:, 0], days - 0.4, days)
        above.hlines(window[:, 3], days, days + 0.4)
        above.plot(days, window[:, AVERAGE])
        below.bar(days, window[:, 4])
        above.axis("off")
        below.axis("off")
        figure.canvas.draw()
        plt.close(figure)


def seconds(function, windows: np.ndarray) -> float:
    start = time.perf_counter()
    function(windows)
    return time.perf_counter() - start


def main() -> None:
    values = market(CHARTS // 100 + 8, 100)
    windows = chart_windows(values, np.arange(8, len(values)), 5).reshape(-1, 5, 6)
    same = np.array_equal(plain(windows[:PLAIN]), render(windows[:PLAIN]))
    ours = min(seconds(render, windows) for _ in range(3)) / len(windows)
    loop = seconds(plain, windows[:PLAIN]) / PLAIN
    figures = seconds(with_matplotlib, windows[:DRAWN]) / DRAWN
    print(
        f"{len(windows):,} charts of 5 days in {ours * len(windows):.2f} s; same pixels as the loop: {same}"
    )
    print(f"  plain loop / render = {loop / ours:.0f} · Matplotlib / render = {figures / ours:,.0f}")


if __name__ == "__main__":
    main()
