"""Windows of lagged returns against the chapter's way, and the whole from CSV to features.

python -m benchmarks.return_windows [PRICES.csv]

Baseline: the chapter's loop, which concatenates one transposed frame a period. Both build, from the same panel of
weekly returns (460 periods x 3,118 stocks, 52 lags and the return to predict), a frame with one row a period and stock.
With the path of a table of prices, the time from the file to monthly features is printed as well.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from utils.prices import complete_returns, lagged, month_end_closes

PERIODS, STOCKS, LAGS = 460, 3_118, 52


def chapters_way(returns: pd.DataFrame) -> pd.DataFrame:
    """The loop: newest period first, one frame a period, concatenated as it goes."""
    newest_first = returns.sort_index(ascending=False)
    data = pd.DataFrame()
    for i in range(len(newest_first) - LAGS):
        window = newest_first.iloc[i : i + LAGS + 1]
        frame = window.reset_index(drop=True).T
        frame.index = pd.MultiIndex.from_product([[window.index[0]], frame.index], names=["date", "ticker"])
        data = pd.concat([data, frame])
    return data


def main() -> None:
    rng = np.random.default_rng(0)
    dates = pd.date_range("2009-01-02", periods=PERIODS + LAGS, freq="W-FRI", name="date")
    tickers = pd.Index([f"S{number:04d}" for number in range(STOCKS)], name="ticker")
    returns = pd.DataFrame(rng.normal(0, 0.03, (len(dates), STOCKS)), index=dates, columns=tickers)

    times = []
    for _ in range(3):  # the first call also waits for the system to hand out 300 MB of memory
        start = time.perf_counter()
        ours = lagged(returns, LAGS)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    theirs = chapters_way(returns)
    loop = time.perf_counter() - start

    theirs = theirs.sort_index()
    same = np.allclose(theirs.to_numpy()[:, :0:-1], ours.to_numpy(), atol=1e-6)
    print(f"{len(ours):,} windows of {LAGS} weeks, {STOCKS:,} stocks; same content: {same}")
    print(f"  the chapter's loop {loop:.1f} s · lagged {min(times):.2f} s (first call {times[0]:.2f} s)")
    print(f"  loop / lagged = {loop / min(times):.0f} (first call: {loop / times[0]:.0f})")
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        start = time.perf_counter()
        closes, _ = month_end_closes(path, "2008-01", "2017-12")
        features = lagged(complete_returns(closes, str(path))[0], 24)
        print(f"  from {path.name} to {features.shape} monthly features: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
