"""Charts: every pixel against plain drawing, and none that knows the future."""

import numpy as np
import pytest

from utils.charts import AVERAGE, PIECE, SIZES, areas, chart_windows, render, rescaled


def market(days=300, stocks=4, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    close = 40 * np.exp(np.cumsum(rng.normal(0, 0.02, (days, stocks)), axis=0))
    opening = close * np.exp(rng.normal(0, 0.01, close.shape))
    high = np.maximum(opening, close) * np.exp(rng.exponential(0.005, close.shape))
    low = np.minimum(opening, close) * np.exp(-rng.exponential(0.005, close.shape))
    return np.stack([opening, high, low, close, rng.lognormal(12, 1, close.shape)], axis=-1).astype("float32")


def windows_of(days, n=30) -> np.ndarray:
    ends = np.arange(2 * days - 2, 300, max(1, (300 - 2 * days) // n))
    return chart_windows(market(), ends, days).reshape(-1, days, 6)


def drawn_plainly(window) -> np.ndarray:
    """One chart, pixel by pixel."""
    days = len(window)
    rows, columns = SIZES[days]
    price_rows, volume_rows = areas(rows)
    scaled = rescaled(window[None])[0]
    chart = np.zeros((rows, columns), dtype="uint8")
    at = lambda height: int(np.rint((1 - height) * (price_rows - 1)))  # noqa: E731
    for day, (opening, high, low, close, volume, average) in enumerate(scaled):
        chart[at(opening), 3 * day] = 255
        chart[at(high) : at(low) + 1, 3 * day + 1] = 255
        chart[at(close), 3 * day + 2] = 255
        around = scaled[max(day - 1, 0), AVERAGE], average, scaled[min(day + 1, days - 1), AVERAGE]
        for column, other in enumerate(around):
            chart[at((2 * average + other) / 3), 3 * day + column] = 255
        height = int(np.ceil(volume * volume_rows))
        if height:
            chart[rows - height :, 3 * day + 1] = 255
    return chart


@pytest.mark.parametrize("days", SIZES)
def test_every_pixel_is_that_of_plain_drawing(days):
    windows = windows_of(days)
    charts = render(windows)
    assert charts.shape == (len(windows), *SIZES[days])
    assert charts.dtype == np.uint8
    np.testing.assert_array_equal(charts, [drawn_plainly(window) for window in windows])


@pytest.mark.parametrize("days", SIZES)
def test_no_pixel_knows_a_later_day(days):
    values, end = market(), 2 * days + 20
    before = render(chart_windows(values, [end], days)[0])
    later, own = values.copy(), values.copy()
    later[end + 1 :] *= np.random.default_rng(1).uniform(0.2, 5, later[end + 1 :].shape)
    np.testing.assert_array_equal(render(chart_windows(later, [end], days)[0]), before)
    own[end, :, 1] *= 2  # the last day itself does change it
    assert (render(chart_windows(own, [end], days)[0]) != before).any()


def test_price_and_volume_units_do_not_matter():
    windows = windows_of(5)
    scaled = windows * np.array([8, 8, 8, 8, 64, 8], dtype="float32")
    np.testing.assert_array_equal(render(scaled), render(windows))


def test_pieces_join(monkeypatch):
    windows = windows_of(5)
    whole = render(windows)
    monkeypatch.setattr("utils.charts.PIECE", 7)
    np.testing.assert_array_equal(render(windows), whole)
    assert PIECE > 7


def test_parts_can_be_left_out():
    windows = windows_of(5)
    rows = areas(32)[0]
    assert not render(windows, volume=False)[:, rows:].any()
    np.testing.assert_array_equal(render(windows, volume=False)[:, :rows], render(windows)[:, :rows])
    assert render(windows, moving_average=False).sum() < render(windows).sum()


def test_the_average_is_of_the_closes_up_to_each_day():
    values = market()
    window = chart_windows(values, [50], 5)[0, 2]
    expected = [values[day - 4 : day + 1, 2, 3].mean() for day in range(46, 51)]
    np.testing.assert_allclose(window[:, AVERAGE], expected, rtol=1e-6)


def test_flat_prices_and_no_volume():
    window = np.full((1, 5, 6), 10, dtype="float32")
    window[..., 4] = 0
    chart = render(window)[0]
    assert (chart.any(axis=1).nonzero()[0] == [12]).all()  # one line, in the middle


def test_a_missing_day_makes_its_windows_missing():
    values = market()
    values[50, 0] = np.nan
    found = np.isnan(chart_windows(values, np.arange(45, 62), 5)).any(axis=(2, 3))
    assert list(np.flatnonzero(found[:, 0]) + 45) == list(
        range(50, 59)
    )  # in the chart, or in its first average
    assert not found[:, 1:].any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w[:, :4], "5, 20 or 60"),
        (lambda w: w[..., :5], "windows are"),
        (lambda w: np.where(np.arange(6) == 1, w / 2, w), "high below the low"),
        (lambda w: np.where(np.arange(6) == 4, -w, w), "negative volume"),
        (lambda w: np.where(np.arange(6) == 0, 0, w), "zero or less"),
        (lambda w: np.where(np.arange(6) == 0, np.nan, w), "missing numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        render(change(windows_of(5)))


@pytest.mark.parametrize("ends", [[7], [300], []])
def test_ends_outside_of_the_prices(ends):
    with pytest.raises(ValueError, match="end from day 8 to day 299"):
        chart_windows(market(), ends, 5)
