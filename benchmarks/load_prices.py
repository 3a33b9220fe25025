"""Memory and time of loading a table as large as WIKI/PRICES, against pandas.read_csv of the whole file.

python -m benchmarks.load_prices [ROWS]

Writes a simulated table of 15 million rows and 14 columns (1.7 GB) to a temporary folder, and reads it in a process
of its own each way, since a process's peak memory never falls. Baseline: `pandas.read_csv(path)`, then the last row
of each ticker and month.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from utils.prices import month_end_closes

HEADER = "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume\n"
START, END = "1990-01", "2017-12"


def write_table(path: Path, rows: int) -> None:
    """As many tickers as needed, each with one row a weekday from 1990 to 2017."""
    dates = [f"{date:%Y-%m-%d}" for date in pd.bdate_range("1990-01-01", "2017-12-29")]
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(HEADER)
        for number in range(-(-rows // len(dates))):
            closes = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, len(dates))))
            file.writelines(
                f"T{number:04d},{date},41.04,41.51,40.7,41.2,1382100.0,0.0,1.0,28.40,28.73,28.17,{close:.6f},1382100.0\n"
                for date, close in zip(dates, closes, strict=True)
            )


def in_pieces(path: Path) -> pd.DataFrame:
    return month_end_closes(path, START, END)[0]


def all_at_once(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    table["month"] = pd.to_datetime(table["date"]).dt.to_period("M")
    last = table.sort_values("date").groupby(["month", "ticker"])["adj_close"].last()
    return last.unstack()


def measured(way: str, path: Path) -> tuple[float, float, str]:
    """Seconds, peak memory in GB, and what was read, of this script run with the name of a function."""
    command = [sys.executable, "-m", "benchmarks.load_prices", "--way", way, str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\t")
    return float(output[0]), float(output[1]), output[2].strip()


def main(rows: int = 15_000_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "WIKI_PRICES.csv"
        write_table(path, rows)
        print(f"{path.stat().st_size / 1e9:.1f} GB")
        results = {way: measured(way, path) for way in ("in_pieces", "all_at_once")}
    for way, (seconds, memory, shape) in results.items():
        print(f"  {way}: {seconds:.1f} s, peak {memory:.2f} GB, {shape}")
    (ours, our_memory, _), (theirs, their_memory, _) = results.values()
    print(
        f"  all_at_once / in_pieces: {theirs / ours:.1f} times the time, {their_memory / our_memory:.1f} times the memory"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        start = time.perf_counter()
        closes = globals()[sys.argv[2]](Path(sys.argv[3]))
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{seconds}\t{peak}\t{closes.shape[0]} months x {closes.shape[1]} tickers")
    else:
        main(*map(int, sys.argv[1:2]))
