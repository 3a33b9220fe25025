"""Charts of prices as small black-and-white images, many at a time.

Three pixels a day: the open as a tick on the left, a bar from low to high in the middle, the close as a tick on the
right, a moving average of the closes as a line, and below, in the lower fifth, bars of the volume. After J. Jiang,
B. Kelly and D. Xiu, "(Re-)Imag(in)ing Price Trends", Journal of Finance 78(6), 2023.
"""

import numpy as np

from utils.daily_prices import CLOSE, HIGH, LOW, OPEN, VOLUME

SIZES = {5: (32, 15), 20: (64, 60), 60: (96, 180)}  # days -> rows, columns
AVERAGE = 5  # the place of the moving average in a window, behind open, high, low, close and volume
PIECE = 5_000  # charts at a time


def chart_windows(values: np.ndarray, ends: np.ndarray, days: int) -> np.ndarray:
    """What the charts that end on these days show: float32 (ends, stocks, days, 6), the oldest day first.

    values: float32 (all days, stocks, 5) as `load_daily_prices` gives them; ends: int, places in values, at least
    2 * days - 2, where the first moving average has all of its closes. The six are open, high, low, close, volume
    and the mean close of the so many days up to each day. NaN where a day is missing. Raises ValueError for other
    ends.
    """
    ends = np.asarray(ends)
    if not len(ends) or ends.min() < 2 * days - 2 or ends.max() >= len(values):
        raise ValueError(
            f"charts of {days} days end from day {2 * days - 2} to day {len(values) - 1}, not {ends}."
        )
    back = np.arange(-days + 1, 1)
    windows = np.empty((len(ends), values.shape[1], days, 6), dtype="float32")
    for place in range(days):
        windows[:, :, place, :AVERAGE] = values[ends + back[place]]
        closes = values[(ends + back[place])[:, None] + back, :, CLOSE]
        windows[:, :, place, AVERAGE] = closes.mean(axis=1)
    return windows


def rescaled(windows: np.ndarray) -> np.ndarray:
    """The numbers behind a chart, from 0 to 1, float32 (n, days, 6).

    Prices: 0 is the lowest low or moving average of the window, 1 the highest; 0.5 where all are the same.
    Volume: 1 is the largest of the window. Raises ValueError for another shape, missing numbers, a high below the
    low, a price of zero or less, or a negative volume.
    """
    windows = np.asarray(windows, dtype="float32")
    if windows.ndim != 3 or windows.shape[2] != 6:
        raise ValueError(f"windows are (n, days, 6), not {windows.shape}.")
    if not np.isfinite(windows).all():
        raise ValueError("windows with missing numbers cannot be drawn: leave them out first.")
    if (windows[..., HIGH] < windows[..., LOW]).any():
        raise ValueError("a window has a high below the low.")
    if (windows[..., VOLUME] < 0).any() or (np.delete(windows, VOLUME, axis=2) <= 0).any():
        raise ValueError("a window has a price of zero or less, or a negative volume.")
    low = windows[..., [LOW, AVERAGE]].min(axis=(1, 2))[:, None, None]
    high = windows[..., [HIGH, AVERAGE]].max(axis=(1, 2))[:, None, None]
    flat = high == low
    scaled = np.where(flat, 0.5, (windows - low) / np.where(flat, 1, high - low))
    largest = windows[..., VOLUME].max(axis=1, keepdims=True)
    scaled[..., VOLUME] = windows[..., VOLUME] / np.where(largest > 0, largest, 1)
    return np.clip(scaled, 0, 1)


def render(windows: np.ndarray, volume: bool = True, moving_average: bool = True) -> np.ndarray:
    """The charts of windows, (n, days, 6) as in `chart_windows`: uint8 (n, rows, columns), 255 where drawn, else 0.

    volume, moving_average: whether these are drawn; the rest stays where it is. Raises ValueError as `rescaled` does,
    and for days other than 5, 20 and 60.
    """
    windows = np.asarray(windows)
    if windows.ndim != 3 or windows.shape[1] not in SIZES:
        raise ValueError(f"charts have 5, 20 or 60 days, windows (n, days, 6), not {windows.shape}.")
    charts = np.zeros((len(windows), *SIZES[windows.shape[1]]), dtype="uint8")
    for first in range(0, len(windows), PIECE):
        piece = slice(first, first + PIECE)
        _draw(charts[piece], rescaled(windows[piece]), volume, moving_average)
    return charts


def areas(rows: int) -> tuple[int, int]:
    """Rows of the prices, from the top, and of the volume, from the bottom; one row between them is empty."""
    return rows * 4 // 5, rows - rows * 4 // 5 - 1


def _draw(charts: np.ndarray, scaled: np.ndarray, volume: bool, moving_average: bool) -> None:
    """Draw into charts, (n, rows, columns), all black."""
    n, days = scaled.shape[:2]
    price_rows, volume_rows = areas(charts.shape[1])
    pixels = charts.reshape(n, charts.shape[1], days, 3)
    rows = np.rint((1 - scaled) * (price_rows - 1)).astype("int16")  # from the top
    chart, day = np.ogrid[:n, :days]
    line = np.arange(price_rows, dtype="int16")[:, None]
    bar = (line >= rows[:, None, :, HIGH]) & (line <= rows[:, None, :, LOW])
    pixels[:, :price_rows, :, 1] = 255 * bar
    pixels[chart, rows[..., OPEN], day, 0] = 255
    pixels[chart, rows[..., CLOSE], day, 2] = 255
    if moving_average:
        average = scaled[..., AVERAGE]
        before, after = average[:, [0, *range(days - 1)]], average[:, [*range(1, days), days - 1]]
        for column, other in enumerate((before, average, after)):
            height = (2 * average + other) / 3
            row = np.rint((1 - height) * (price_rows - 1)).astype("int16")
            pixels[chart, row, day, column] = 255
    if volume:
        height = np.ceil(scaled[..., VOLUME] * volume_rows).astype("int16")
        line = np.arange(volume_rows, 0, -1, dtype="int16")[:, None]
        pixels[:, -volume_rows:, :, 1] = 255 * (line <= height[:, None])
