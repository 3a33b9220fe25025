"""Daily open, high, low, close and volume of many stocks, from a table in the columns of WIKI/PRICES.

What cannot be is left out and counted: a chart needs all of its days, so that a day left out costs the charts it
would be in, and nothing is filled in.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from utils.prices import parsed_dates, pieces
from utils.storage import DataError

VALUES = ["adj_open", "adj_high", "adj_low", "adj_close", "adj_volume"]
COLUMNS = ["ticker", "date", *VALUES]
OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)
ROUNDING = (
    0.002  # prices that were rounded, or adjusted by rounded factors, may lie so far off the day's range
)
SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20)  # new shares for an old one, or the other way round


def daily_values(path: Path, start: str, end: str) -> tuple[pd.DatetimeIndex, pd.Index, np.ndarray, Counter]:
    """Daily prices and volumes from start to end, dates such as "2005-01-03".

    path: CSV (plain, .gz, .xz or the only CSV in a .zip), .parquet or .h5, the rows in any order; it is read in
    pieces, and 28 bytes a row are kept. Returns trading days, tickers, values float32 (days, tickers, 5), in the order of
    VALUES and NaN throughout where a stock has no usable day, and counts of what was repaired.

    Raises DataError where the table cannot be read, lacks a column, holds a date that is none, or has fewer than
    two stocks.
    """
    first, last = (np.datetime64(day, "D").astype(int) for day in (start, end))
    names: dict[str, int] = {}
    kept, repairs, row = [], Counter(), 0
    for piece in pieces(path, COLUMNS):
        kept.append(_clean(piece, path, row, names, first, last, repairs))
        row += len(piece)
    tickers, days, numbers = (np.concatenate(part) for part in zip(*kept, strict=True)) if kept else ([],) * 3
    if not len(days):
        raise DataError(f"{path} holds no usable prices from {start} to {end}.")
    found, place = np.unique(days, return_inverse=True)
    stocks, stock = np.unique(tickers, return_inverse=True)
    values = np.full((len(found), len(stocks), len(VALUES)), np.nan, dtype="float32")
    values[place, stock] = numbers  # of several rows for a day, the last in the file
    repairs["duplicate rows"] = len(days) - int(np.isfinite(values[..., CLOSE]).sum())
    values, found = _trading_days(values, found, repairs)
    order = np.argsort(np.array(list(names))[stocks])
    values, labels = values[:, order], np.array(list(names))[stocks][order]
    if len(labels) < 2:
        raise DataError(
            f"{path} has the prices of one stock, {labels[0]}, from {start} to {end}. Stocks are compared within a "
            "day, so at least 2 are needed."
        )
    _leave_out_splits(values, repairs)
    return pd.DatetimeIndex(found.astype("datetime64[D]"), name="date"), pd.Index(labels), values, repairs


def _clean(piece, path, row, names, first, last, repairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tickers as numbers, dates as days since 1970 and values of the usable rows; names grows by new tickers."""
    codes, parsed = parsed_dates(piece["date"], path, row)
    days = ((parsed.to_numpy() - np.datetime64("1970-01-01")) // np.timedelta64(1, "D"))[codes]
    numbers = np.column_stack([pd.to_numeric(piece[name], errors="coerce") for name in VALUES])
    words = sum(int((piece[name].notna() & np.isnan(numbers[:, i])).sum()) for i, name in enumerate(VALUES))
    repairs["entries that are no number"] += words
    inside = (days >= first) & (days <= last) & (piece["ticker"].astype(str) != "").to_numpy()
    prices, volume = numbers[:, :4], numbers[:, VOLUME]
    reasons = {
        "rows with a missing or infinite entry": ~np.isfinite(numbers).all(axis=1),
        "rows with a price of zero or less": (prices <= 0).any(axis=1),
        "rows with a high below the low": prices[:, HIGH] < prices[:, LOW],
        "rows with no volume": volume <= 0,
    }
    usable = inside
    for reason, wrong in reasons.items():
        repairs[reason] += int((usable & wrong).sum())
        usable = usable & ~wrong
    numbers = numbers[usable]
    ends = numbers[:, [OPEN, CLOSE]]
    low, high = ends.min(axis=1), ends.max(axis=1)
    outside = (low < numbers[:, LOW] * (1 - ROUNDING)) | (high > numbers[:, HIGH] * (1 + ROUNDING))
    repairs["opens or closes outside of the day's range, which was widened"] += int(outside.sum())
    numbers[:, LOW] = np.minimum(numbers[:, LOW], low)
    numbers[:, HIGH] = np.maximum(numbers[:, HIGH], high)
    tickers, different = pd.factorize(piece["ticker"].to_numpy()[usable])
    known = np.array([names.setdefault(str(name), len(names)) for name in different], dtype="int32")
    return known[tickers], days[usable].astype("int32"), numbers.astype("float32")


def _trading_days(values: np.ndarray, days: np.ndarray, repairs: Counter) -> tuple[np.ndarray, np.ndarray]:
    """Without the days on which fewer than a fifth as many stocks have a row as around them (holidays, typos)."""
    traded = np.isfinite(values[..., CLOSE]).sum(axis=1)
    rare = traded < 0.2 * pd.Series(traded).rolling(61, center=True, min_periods=1).median().to_numpy()
    repairs["rows on days with few stocks"] = int(traded[rare].sum())
    return values[~rare], days[~rare]


def _leave_out_splits(values: np.ndarray, repairs: Counter) -> None:
    """Make the days missing on which a price jumps overnight by the factor of a split, and stays there.

    Adjusted prices do not do that; a chart across such a day would show a fall that no holder has felt.
    """
    close, opening = values[..., CLOSE], values[..., OPEN]
    with np.errstate(invalid="ignore"):
        overnight = np.abs(np.log(opening[1:] / close[:-1]))
        day = np.abs(np.log(close[1:] / close[:-1]))
        near = np.zeros(day.shape, dtype=bool)
        for factor in np.log(SPLITS):
            near |= (np.abs(overnight - factor) < 0.05) & (np.abs(day - factor) < 0.1)
    repairs["days with a jump like an unadjusted split"] = int(near.sum())
    values[1:][near] = np.nan
