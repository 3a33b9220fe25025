"""Monthly returns from a table of prices: read in pieces, counted repairs, windows of lagged returns,
winsorised, and the labels beside them.

The table is WIKI/PRICES as Quandl and Nasdaq Data Link published it, or any other with the columns ticker, date and
adj_close: one row a stock and day (or week). Only a month's last close counts.
"""

import gzip
import itertools
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from utils.storage import DataError

COLUMNS = ["ticker", "date", "adj_close"]
ROWS = 1_000_000  # read at a time
HDF_KEY = "quandl/wiki/prices"  # where the book's assets.h5 keeps them
DAYS_SHORT = 7  # a month is complete when the table reaches so close to its end
CONFLICTS = "conflicting duplicates (the price nearest to the month before counts)"
PLAUSIBLE = -0.9, 4.0  # monthly returns beyond are named, so that somebody looks at them


def month_end_closes(path: Path, start: str, end: str) -> tuple[pd.DataFrame, Counter]:
    """Last adjusted close of every month from the one before start to end, float64, (months, tickers).

    path: CSV (plain, .gz, .xz or the only CSV in a .zip), .parquet or .h5; start, end: months such as "2008-01".
    The rows may stand in any order. Of several prices for a ticker's last day in a month the one nearest to its
    close of the month before counts (as a ratio; the lowest where there is no earlier close). Returns the closes,
    NaN where a ticker has none in a month, with a month left out at the end that the table does not reach the end
    of, and counts of what was repaired.

    Raises DataError where the table cannot be read, lacks a column, or holds a date that is none.
    """
    first, last = pd.Period(start, "M") - 1, pd.Period(end, "M")
    kept, repairs, row = [], Counter(), 0
    for piece in pieces(path, COLUMNS):
        kept.append(_last_of_month(_clean(piece, path, row, repairs), first, last, repairs))
        row += len(piece)
    table = pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()
    if table.empty:
        raise DataError(f"{path} holds no usable prices from {first} to {last}.")
    table = _settled(_keep_last(table, repairs), repairs)
    closes = table.pivot(index="month", columns="ticker", values="adj_close")
    closes.index = pd.PeriodIndex.from_ordinals(closes.index, freq="M", name="month")
    reaches = pd.Timestamp(table["day"].max(), unit="D")
    if reaches < closes.index[-1].to_timestamp(how="end") - pd.Timedelta(days=DAYS_SHORT + 1):
        repairs[f"closes of {closes.index[-1]}, which ends on {reaches.date()}, left out"] = int(
            closes.iloc[-1].count()
        )
        closes = closes.iloc[:-1]
    return closes, repairs


def complete_returns(closes: pd.DataFrame, source: str) -> tuple[pd.DataFrame, Counter]:
    """Monthly returns of the tickers that have a close in every month, float64, (month ends, tickers).

    Returns them and why the other tickers were dropped. Raises DataError where fewer than two are left.
    """
    closes = closes.reindex(pd.period_range(closes.index[0], closes.index[-1], freq="M", name="month"))
    present = closes.notna()
    short = ~(present.iloc[0] & present.iloc[-1])
    gaps = ~present.all() & ~short
    dropped = Counter({"short history": int(short.sum()), "gaps": int(gaps.sum())})
    kept = closes.loc[:, present.all()]
    if kept.shape[1] < 2:
        raise DataError(
            f"{source}: {kept.shape[1]} of {closes.shape[1]} tickers have a close in every month from "
            f"{closes.index[0]} to {closes.index[-1]} ({describe(dropped) or 'nothing dropped'}). "
            "Stocks are compared within a month, so at least 2 are needed."
        )
    return month_ends(kept.pct_change(fill_method=None).iloc[1:]), dropped


def month_ends(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the last day of each month, "date", in place of the months in its index."""
    return table.set_axis(table.index.to_timestamp(how="end").normalize().rename("date"))


def implausible(returns: pd.DataFrame, most: int = 3) -> str:
    """'2 returns, the largest: SPY 2015-03 (+6,300%), SPY 2015-04 (-98%)'; '' where all are within PLAUSIBLE.

    returns: (month ends, tickers). At most so many are named, the largest first, as ratios of prices.
    """
    low, high = PLAUSIBLE
    odd = returns.stack()
    odd = odd[(odd < low) | (odd > high)]
    size = np.abs(np.log(np.maximum(1 + odd, 1e-12)))
    named = odd[size.sort_values(ascending=False, kind="stable").index[:most]]
    texts = [f"{ticker} {date:%Y-%m} ({value:+,.0%})" for (date, ticker), value in named.items()]
    return f"{len(odd):,} returns, the largest: {', '.join(texts)}" if texts else ""


def lagged(returns: pd.DataFrame, lags: int) -> pd.DataFrame:
    """The returns of the lags months before each month, oldest first; float32, (n, lags).

    returns: (month ends, tickers), without gaps. The index is (date, ticker), for every month that has so many
    before it; the columns are "lag 24" to "lag 1". Raises DataError where there are too few months.
    """
    if len(returns) <= lags:
        raise DataError(
            f"There are {len(returns)} months of returns; {lags} lags and the month to predict need at least {lags + 1}."
        )
    values = returns.to_numpy(dtype="float32")
    months = len(values) - lags
    # One column a lag, each a plain copy of consecutive rows: that is how pandas keeps columns in memory.
    columns = np.stack([values[first : first + months].ravel() for first in range(lags)])
    index = pd.MultiIndex.from_product([returns.index[lags:], returns.columns], names=["date", "ticker"])
    return pd.DataFrame(
        columns.T, index=index, columns=[f"lag {lag}" for lag in range(lags, 0, -1)], copy=False
    )


def winsorised(features: pd.DataFrame, returns: pd.DataFrame, training_end: str, source: str) -> pd.DataFrame:
    """Lagged returns clipped to the 1 % and 99 % quantiles of all returns up to training_end; float32, (n, lags).

    So no later return has a say in them. features: as `lagged` gives them; returns: (month ends, tickers);
    training_end: a month such as "2014-12". Raises DataError where the returns start after it.
    """
    if returns.index[0] > pd.Period(training_end, "M").end_time:
        raise DataError(
            f"{source}: the returns start in {returns.index[0]:%Y-%m}, after the training years ({training_end})."
        )
    low, high = np.quantile(returns.loc[:training_end], [0.01, 0.99])
    return features.clip(low, high).astype("float32")


def outcomes(returns: pd.DataFrame, lags: int) -> tuple[pd.Series, pd.Series]:
    """What the months that `lagged` describes then brought, in the same order: returns, float64, and labels, uint8.

    A label is 1 where the month's return is above zero.
    """
    realised = returns.iloc[lags:].stack().rename("return")
    realised.index = realised.index.set_names(["date", "ticker"])
    return realised, (realised > 0).astype("uint8").rename("up")


def describe(counts: Counter) -> str:
    """'240 short history, 48 gaps'; '' where nothing was counted."""
    return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)


def parsed_dates(dates: pd.Series, path: Path, row: int) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """The different dates of a piece whose first row is row, and for each of its rows which it is.

    Raises DataError where a date is none.
    """
    codes, different = pd.factorize(dates)
    parsed = pd.to_datetime(pd.Index(different), format="ISO8601", errors="coerce")
    if parsed.hasnans or (codes < 0).any():
        wrong = parsed.isna()[codes] | (codes < 0)
        where = int(np.argmax(wrong))
        raise DataError(
            f"{path}: {_place(path, row + where)} has the date {dates.iloc[where]!r}; dates look like 2017-10-31."
        )
    return codes, parsed


def _clean(piece: pd.DataFrame, path: Path, row: int, repairs: Counter) -> pd.DataFrame:
    """Rows with a price above zero, dates as days since 1970; what was left out is counted."""
    prices = piece["adj_close"]
    if not pd.api.types.is_numeric_dtype(prices):
        numbers = pd.to_numeric(prices, errors="coerce")
        repairs["prices that are no number"] += int((numbers.isna() & prices.notna()).sum())
        prices = numbers
    finite = np.isfinite(prices)
    repairs["infinite prices"] += int(np.isinf(prices).sum())
    repairs["prices of zero or less"] += int((finite & (prices <= 0)).sum())

    codes, parsed = parsed_dates(piece["date"], path, row)
    days = (parsed.to_numpy() - np.datetime64("1970-01-01")) // np.timedelta64(1, "D")
    months = parsed.to_period("M").asi8
    usable = (finite & (prices > 0)).to_numpy() & (piece["ticker"].astype(str) != "").to_numpy()
    clean = {"ticker": piece["ticker"], "month": months[codes], "day": days[codes], "adj_close": prices}
    return pd.DataFrame(clean)[usable]


def _last_of_month(table: pd.DataFrame, first: pd.Period, last: pd.Period, repairs: Counter) -> pd.DataFrame:
    return _keep_last(table[table["month"].between(first.ordinal, last.ordinal)], repairs)


def _keep_last(table: pd.DataFrame, repairs: Counter) -> pd.DataFrame:
    """The rows of each ticker's last day in a month, one for each price that they give, the lowest first."""
    if table.empty:
        return table
    tickers = pd.factorize(table["ticker"])[0]
    order = np.lexsort((table["adj_close"], table["day"], table["month"], tickers))
    tickers, table = tickers[order], table.iloc[order]
    months, days, prices = (table[name].to_numpy() for name in ("month", "day", "adj_close"))
    new_month = np.append(True, (tickers[1:] != tickers[:-1]) | (months[1:] != months[:-1]))
    new_day = new_month | np.append(True, days[1:] != days[:-1])
    again = ~new_day & np.append(False, prices[1:] == prices[:-1])
    ends = np.append(np.flatnonzero(new_month)[1:], len(table)) - 1  # of each ticker's month, its last row
    last = days == days[ends][np.cumsum(new_month) - 1]
    repairs["duplicate rows"] += int(again.sum())
    return table[last & ~again]


def _settled(table: pd.DataFrame, repairs: Counter) -> pd.DataFrame:
    """One row a ticker and month of what `_keep_last` leaves: the price nearest to the month before."""
    tickers, months = pd.factorize(table["ticker"])[0], table["month"].to_numpy()
    prices = table["adj_close"].to_numpy()
    starts = np.flatnonzero(np.append(True, (tickers[1:] != tickers[:-1]) | (months[1:] != months[:-1])))
    ends = np.append(starts[1:], len(table))
    chosen = starts.copy()
    for group in np.flatnonzero(ends - starts > 1):  # in order: an earlier choice decides the next
        start, end = starts[group], ends[group]
        repairs[CONFLICTS] += int(end - start - 1)
        if group and tickers[chosen[group - 1]] == tickers[start]:
            ratios = np.abs(np.log(prices[start:end] / prices[chosen[group - 1]]))
            chosen[group] = start + int(np.argmin(ratios))
    return table.iloc[chosen]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into one clear error."""
    damaged = (
        OSError,
        EOFError,
        ValueError,
        lzma.LZMAError,
        zlib.error,
        zipfile.BadZipFile,
        gzip.BadGzipFile,
    )
    try:
        yield
    except damaged as error:
        raise DataError(
            f"{path} cannot be read ({error}). It is damaged or something else: replace it."
        ) from error


def pieces(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    """The columns, ROWS rows at a time, of a CSV (see `month_end_closes`), Parquet file or HDF5 store.

    columns: ticker, date and columns of numbers. Raises DataError where the table cannot be read or lacks one.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        yield from _parquet(path, columns)
    elif suffix in (".h5", ".hdf5"):
        yield from _hdf(path, columns)
    else:
        with _readable(path):
            yield from _csv(path, columns)


def _csv(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    with _opened(path) as file:
        yield from _csv_pieces(file, path, columns)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a CSV file, plain or unpacked."""
    suffix = path.suffix.lower()
    if suffix != ".zip":
        with {".gz": gzip.open, ".xz": lzma.open}.get(suffix, open)(path, "rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        if len(members) != 1:
            raise DataError(f"{path} holds {len(members)} CSV files; the export has one.")
        with archive.open(members[0]) as file:
            yield file


def _place(path: Path, row: int) -> str:
    """Where a row of the table, counted from 0, stands: "line 72" of a CSV file, whose line 1 is the heading."""
    if path.suffix.lower() in (".parquet", ".h5", ".hdf5"):
        return f"row {row + 1}"
    with _readable(path), _opened(path) as file:
        filled = (number for number, line in enumerate(file, 1) if line.strip())  # pandas skips empty lines
        return f"line {next(itertools.islice(filled, row + 1, None))}"


def _csv_pieces(file: IO[bytes], path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    # a ticker may be called NA, so that only an empty price means “missing”
    missing = {name: ["", "NA", "NaN", "nan", "null"] for name in columns[2:]}
    options = {"keep_default_na": False, "na_values": missing}
    reader = pd.read_csv(
        file, chunksize=ROWS, usecols=lambda name: name.strip() in columns,
        dtype={"ticker": "str", "date": "str"}, **options,
    )  # fmt: skip
    with reader:
        for piece in reader:
            yield _named(piece.rename(columns=str.strip), path, columns)


def _parquet(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise DataError(
            f"{path} is a Parquet file: install pyarrow to read it, or convert it to CSV."
        ) from error
    with _readable(path):
        file = parquet.ParquetFile(path)
        present = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=ROWS, columns=present):
            yield _named(batch.to_pandas(), path, columns)


def _hdf(path: Path, columns: list[str]) -> Iterator[pd.DataFrame]:
    try:
        import tables  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"{path} is an HDF5 store: install PyTables (tables) to read it, or use the CSV export."
        ) from error
    with _readable(path), pd.HDFStore(path, mode="r") as store:
        if HDF_KEY not in store:
            raise DataError(f"{path} has no {HDF_KEY}; it holds {', '.join(store.keys()) or 'nothing'}.")
        if store.get_storer(HDF_KEY).is_table:
            for piece in store.select(HDF_KEY, columns=columns[2:], chunksize=ROWS):
                yield _named(piece.reset_index(), path, columns)
        else:
            yield _named(store[HDF_KEY][columns[2:]].reset_index(), path, columns)


def _named(piece: pd.DataFrame, path: Path, columns: list[str]) -> pd.DataFrame:
    """The piece with dates as text; DataError where a column is missing."""
    if missing := [name for name in columns if name not in piece.columns]:
        raise DataError(
            f"{path} lacks {', '.join(missing)}: a WIKI/PRICES export has the columns {', '.join(columns[:-1])} and {columns[-1]}."
        )
    if pd.api.types.is_datetime64_any_dtype(piece["date"]):
        piece["date"] = piece["date"].dt.strftime("%Y-%m-%d")
    return piece
