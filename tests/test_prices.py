"""Monthly returns: what is read, repaired and refused, and that nothing is known before its time."""

import gzip
import io
import json
import lzma
import re
import zipfile
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from course import FakeRun
from sklearn.metrics import roc_auc_score

from utils import prices as module
from utils.datasets import load_monthly_returns
from utils.prices import complete_returns, lagged, month_end_closes
from utils.storage import DataError

OTHERS = ["open", "high", "low", "close", "volume", "ex-dividend", "split_ratio", "adj_open", "adj_volume"]


def panel(tickers=("A", "B", "NA"), start="2007-12-01", end="2010-03-31", seed=0) -> pd.DataFrame:
    """Daily closes of a few tickers, in the export's order and with its other columns."""
    dates = pd.bdate_range(start, end)
    rng = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (len(dates), len(tickers))), axis=0))
    table = pd.DataFrame(closes.round(4), index=dates.strftime("%Y-%m-%d"), columns=tickers)
    table = table.stack().rename_axis(["date", "ticker"]).rename("adj_close").reset_index()
    table = table.sort_values(["ticker", "date"], ignore_index=True)
    return table[["ticker", "date"]].assign(**dict.fromkeys(OTHERS, 1.0), adj_close=table["adj_close"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def write(folder, table, name="WIKI_PRICES.csv"):
    table.to_csv(folder / name, index=False)
    return folder / name


def load(**options):
    return load_monthly_returns(
        FakeRun("full"), **{"lags": 24, "end": "2010-03", "training_end": "2010-01"} | options
    )


def same(ours, theirs) -> bool:
    return all(a is b is None or a.equals(b) for a, b in zip(ours, theirs, strict=True))


def test_sample(capsys):
    run = FakeRun("sample")
    features, labels, realised, p_up, closes = load_monthly_returns(run)
    assert features.shape == (96 * 300, 24)
    assert features.dtypes.eq("float32").all()
    assert features.notna().all().all()
    assert features.index.equals(labels.index)
    assert features.index.equals(realised.index)
    assert features.index.names == ["date", "ticker"]
    assert features.index.is_monotonic_increasing
    np.testing.assert_array_equal(labels, realised > 0)
    assert p_up.index.equals(features.index)
    assert closes.shape == (121, 300)
    assert closes.loc["2017-12-31", "S000"] / closes.loc["2017-11-30", "S000"] - 1 == realised.iloc[-300]
    assert p_up.between(0, 1).all()
    assert roc_auc_score(labels, p_up) > 0.6
    out = capsys.readouterr().out
    assert "sample panel: 2008-01 to 2017-12, kept 300 of 312 tickers" in out
    assert "dropped tickers: 8 short history, 4 gaps" in out
    assert run.facts["n_tickers"] == 300


def test_values_by_hand(folder):
    table = panel()
    write(folder, table)
    features, labels, realised, *_ = load(lags=3)
    closes = table[table["ticker"] == "B"].set_index(pd.to_datetime(table["date"][table["ticker"] == "B"]))[
        "adj_close"
    ]
    last = {month: group.iloc[-1] for month, group in closes.groupby(closes.index.to_period("M"))}
    monthly = {month: last[month] / last[month - 1] - 1 for month in list(last)[1:]}
    row = ("2009-07-31", "B")
    july = pd.Period("2009-07", "M")
    assert realised[row] == pytest.approx(monthly[july])
    assert labels[row] == (monthly[july] > 0)
    assert features.loc[row].tolist() == pytest.approx([monthly[july - lag] for lag in (3, 2, 1)], abs=1e-6)
    assert list(features.columns) == ["lag 3", "lag 2", "lag 1"]


def test_a_ticker_called_na_stays(folder):
    write(folder, panel())
    features, *_ = load()
    assert set(features.index.get_level_values("ticker")) == {"A", "B", "NA"}


@pytest.mark.parametrize("how", ["csv.gz", "csv.xz", "zip", "hashed zip"])
def test_compressed(folder, how):
    plain = panel().to_csv(index=False).encode()
    if how == "csv.gz":
        (folder / "WIKI_PRICES.csv.gz").write_bytes(gzip.compress(plain))
    elif how == "csv.xz":
        (folder / "WIKI_PRICES.csv.xz").write_bytes(lzma.compress(plain))
    else:
        name = "WIKI_PRICES.zip" if how == "zip" else "WIKI_PRICES_212b326a081eacca.zip"
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("WIKI_PRICES_212b326a081eacca.csv", plain)
    compressed = load()
    for path in folder.iterdir():
        path.unlink()
    write(folder, panel())
    assert same(compressed, load())


def test_pieces_and_order_do_not_matter(folder, monkeypatch):
    table = panel()
    write(folder, table)
    whole = load()
    monkeypatch.setattr(module, "ROWS", 100)
    for other in (table, table.sample(frac=1, random_state=0), table.iloc[::-1]):
        write(folder, other)
        assert same(load(), whole)


def test_dataset_json_names_the_table(folder):
    write(folder, panel())
    (folder / "dataset.json").write_text(json.dumps({"WIKI_PRICES.csv": "a table"}))
    run = FakeRun("full")
    load_monthly_returns(run, lags=2, end="2010-03", training_end="2009-12")
    assert run.facts["name"] == "a table"


def test_nothing_there(folder):
    with pytest.raises(DataError, match=r"WIKI/PRICES \(a table of prices\) was not found") as caught:
        load()
    assert str(caught.value).count("WIKI_PRICES*.zip") == 1


def test_nothing_there_and_no_folder_named(monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    with pytest.raises(DataError, match="COURSE_DATA: not set") as caught:
        load()
    assert str(caught.value).count("WIKI_PRICES*.zip") == 1


@pytest.mark.parametrize("column", ["ticker", "date", "adj_close"])
def test_missing_column(folder, column):
    write(folder, panel().drop(columns=column))
    with pytest.raises(DataError, match=rf"WIKI_PRICES\.csv lacks {column}"):
        load()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x01", b"<!doctype html>\n"], ids=["empty", "binary", "html"]
)
def test_no_table(folder, content):
    (folder / "WIKI_PRICES.csv").write_bytes(content)
    with pytest.raises(
        DataError, match=r"cannot be read|lacks ticker, date, adj_close|holds no usable prices"
    ):
        load()


@pytest.mark.parametrize("name", ["WIKI_PRICES.csv.gz", "WIKI_PRICES.csv.xz", "WIKI_PRICES.zip"])
def test_truncated_archive(folder, name):
    plain = panel().to_csv(index=False).encode()
    content = io.BytesIO()
    if name.endswith("zip"):
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("prices.csv", plain)
        whole = content.getvalue()
    else:
        whole = gzip.compress(plain) if name.endswith("gz") else lzma.compress(plain)
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        load()


def test_zip_of_two_tables(folder):
    with zipfile.ZipFile(folder / "WIKI_PRICES.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    with pytest.raises(DataError, match="holds 2 CSV files"):
        load()


def test_duplicate_rows_are_counted(folder, capsys):
    table = panel()
    write(folder, table)
    whole = load()
    write(folder, pd.concat([table, table.iloc[:10], table.iloc[[-1]]]))
    assert same(load(), whole)
    assert "repairs: 11 duplicate rows\n" in capsys.readouterr().out


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("rows", [1_000_000, 100], ids=["one piece", "pieces"])
def test_of_contradicting_rows_the_price_nearest_to_the_month_before_counts(
    folder, capsys, monkeypatch, first, rows
):
    table = panel()
    write(folder, table)
    whole = load()
    # two month ends in a row, so that the second choice hangs on the first; and a day that does not count
    days = table["date"].isin(["2009-06-30", "2009-07-31", "2009-07-15"]) & (table["ticker"] == "B")
    wrong = table[days].assign(adj_close=999.0)
    monkeypatch.setattr(module, "ROWS", rows)
    write(folder, pd.concat([wrong, table] if first else [table, wrong]))
    capsys.readouterr()
    assert same(load(), whole)
    out = capsys.readouterr().out
    assert "repairs: 2 conflicting duplicates (the price nearest to the month before counts)\n" in out


def test_without_an_earlier_close_the_lowest_price_counts(tmp_path):
    table = panel()
    first = (table["date"] == "2007-12-31") & (table["ticker"] == "A")
    path = write(tmp_path, pd.concat([table, table[first].assign(adj_close=0.5)]))
    closes, _ = month_end_closes(path, "2008-01", "2010-03")
    assert closes.loc["2007-12", "A"] == 0.5


def test_returns_that_can_hardly_be_are_named(folder, capsys):
    table = panel()
    write(folder, table)
    load()
    assert "implausible" not in capsys.readouterr().out
    end = (table["date"] == "2009-06-30") & (table["ticker"] == "B")
    write(folder, table.assign(adj_close=table["adj_close"].where(~end, 64 * table["adj_close"])))
    load()
    out = capsys.readouterr().out
    assert re.search(
        r"implausible: 2 returns, the largest: B 2009-06 \(\+\d,\d+%\), B 2009-07 \(-98%\)\n", out
    )


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("0", "1 prices of zero or less"),
        ("-5", "1 prices of zero or less"),
        ("inf", "1 infinite prices"),
        ("n/a?", "1 prices that are no number"),
        ("", ""),
    ],
)
def test_a_price_that_cannot_be_is_left_out(folder, capsys, price, text):
    table = panel()
    table["adj_close"] = table["adj_close"].astype(str)
    # the last day of a month: the day before takes its place
    row = table.index[(table["ticker"] == "A") & (table["date"] == "2009-06-30")][0]
    table.loc[row, "adj_close"] = price
    write(folder, table)
    _, _, realised, *_ = load(lags=12)
    before = float(table["adj_close"][row - 1])
    may = float(table[(table["ticker"] == "A") & (table["date"] == "2009-05-29")]["adj_close"].iloc[0])
    assert realised[("2009-06-30", "A")] == pytest.approx(before / may - 1)
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("date", ["2009-13-01", "yesterday", ""])
@pytest.mark.parametrize("name", ["WIKI_PRICES.csv", "WIKI_PRICES.csv.xz"])
def test_a_date_that_is_none_is_named_with_the_line_of_the_file(folder, monkeypatch, date, name):
    table = panel()
    table.loc[70, "date"] = date
    monkeypatch.setattr(module, "ROWS", 50)
    path = write(folder, table, name)
    with pytest.raises(DataError, match=rf"line 72 has the date '{date}'"):
        load()
    if name.endswith("csv"):  # empty lines count, too
        heading, *lines = path.read_text().splitlines()
        path.write_text("\n".join([heading, "", "  ", *lines]))
        assert path.read_text().splitlines()[73].split(",")[1] == date
        with pytest.raises(DataError, match=rf"line 74 has the date '{date}'"):
            load()


def test_short_history_and_gaps_are_dropped_and_counted(folder, capsys):
    table = panel(tickers=tuple("ABCDEF"))
    month = table["date"].str[:7]
    late = (table["ticker"] == "C") & (month < "2008-06")
    early = (table["ticker"] == "D") & (month > "2009-06")
    gap = (table["ticker"] == "E") & month.isin(["2009-01", "2009-02"])
    write(folder, table[~(late | early | gap)])
    features, *_ = load()
    assert set(features.index.get_level_values("ticker")) == {"A", "B", "F"}
    out = capsys.readouterr().out
    assert "kept 3 of 6 tickers" in out
    assert "dropped tickers: 2 short history, 1 gaps" in out


def test_a_month_without_any_price_is_a_gap_of_all(folder):
    table = panel()
    write(folder, table[table["date"].str[:7] != "2009-01"])
    with pytest.raises(DataError, match=r"0 of 3 tickers have a close in every month .*3 gaps"):
        load()


def test_one_ticker_only(folder):
    write(folder, panel(tickers=("A",)))
    with pytest.raises(DataError, match=r"1 of 1 tickers .* at least 2 are needed"):
        load()


def test_too_short_for_the_lags(folder):
    write(folder, panel(end="2009-12-31"))
    with pytest.raises(DataError, match=r"There are 24 months of returns; 24 lags .* need at least 25"):
        load()


def test_none_of_the_asked_months(folder):
    write(folder, panel(start="1999-01-01", end="2001-12-31"))
    with pytest.raises(DataError, match="holds no usable prices from 2007-12 to 2010-03"):
        load()


@pytest.mark.parametrize(
    ("end", "last"), [("2010-03-12", "2010-02"), ("2010-03-25", "2010-03"), ("2010-03-31", "2010-03")]
)
def test_an_unfinished_last_month_is_left_out(folder, end, last):
    write(folder, panel(end=end))
    features, *_ = load()
    assert f"{features.index[-1][0]:%Y-%m}" == last


def test_the_unfinished_month_is_reported(folder, capsys):
    write(folder, panel(end="2010-03-12"))
    load()
    assert "3 closes of 2010-03, which ends on 2010-03-12, left out" in capsys.readouterr().out


def test_returns_that_start_after_the_training_years(folder):
    write(folder, panel())
    with pytest.raises(DataError, match=r"start in 2008-01, after the training years \(2007-01\)"):
        load(training_end="2007-01")
    load(training_end="2008-01")  # the month of the first returns is enough


def test_weekly_closes_will_do(folder):
    table = panel()
    write(folder, table[pd.to_datetime(table["date"]).dt.day_of_week == 4])
    features, *_ = load()
    assert len(features) == 3 * 3


def test_parquet(folder):
    """Needs the extra `formats`."""
    pytest.importorskip("pyarrow")
    write(folder, panel())
    expected = load()
    (folder / "WIKI_PRICES.csv").unlink()
    table = panel()
    for dates in (table["date"], pd.to_datetime(table["date"])):
        table.assign(date=dates).to_parquet(folder / "WIKI_PRICES.parquet", index=False)
        assert same(load(), expected)
    (folder / "WIKI_PRICES.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"parquet cannot be read"):
        load()


@pytest.mark.parametrize("layout", ["table", "fixed"])
def test_the_books_store(folder, layout):
    """Needs the extra `formats`."""
    pytest.importorskip("tables")
    write(folder, panel())
    expected = load()
    (folder / "WIKI_PRICES.csv").unlink()
    table = panel().assign(date=lambda frame: pd.to_datetime(frame["date"])).set_index(["date", "ticker"])
    table.to_hdf(folder / "assets.h5", key="quandl/wiki/prices", format=layout)
    assert same(load(), expected)
    with pd.HDFStore(folder / "assets.h5") as store:
        store.remove("quandl/wiki/prices")
    with pytest.raises(DataError, match="has no quandl/wiki/prices"):
        load()


def test_parquet_without_pyarrow(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    (folder / "WIKI_PRICES.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="install pyarrow"):
        load()


def test_hdf5_without_pytables(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tables", None)
    (folder / "assets.h5").write_bytes(b"\x89HDF")
    with pytest.raises(DataError, match="install PyTables"):
        load()


def test_course_data_that_is_no_folder(folder, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(folder / "nowhere"))
    with pytest.raises(DataError, match=r"COURSE_DATA=.* cannot be read"):
        load()


@pytest.mark.parametrize("month", ["2008-12", "2009-06", "2010-01"])
def test_no_feature_uses_a_later_price(tmp_path, month):
    """Change every price after a month: lagged returns of the months up to the next one must not move."""
    table = panel()
    later = table["date"].str[:7] > month
    changed = table.assign(adj_close=table["adj_close"].where(~later, 7 * table["adj_close"] ** 0.3))
    windows = []
    for name, version in {"a.csv": table, "b.csv": changed}.items():
        closes, _ = month_end_closes(write(tmp_path, version, name), "2008-01", "2010-03")
        windows.append(lagged(complete_returns(closes, name)[0], 6))
    first, second = windows
    known = first.index.get_level_values("date") <= pd.Period(
        month, "M"
    ).to_timestamp() + pd.offsets.MonthEnd(2)
    assert first[known].equals(second[known])
    assert not first[~known].equals(second[~known])


def test_winsorising_uses_training_months_only(folder):
    table = panel(tickers=tuple("ABCDEFGH"))
    write(folder, table)
    before, *_ = load(lags=3, training_end="2009-06")
    later = table["date"].str[:7] > "2009-06"
    write(folder, table.assign(adj_close=table["adj_close"].where(~later, 7 * table["adj_close"] ** 3)))
    after, *_ = load(lags=3, training_end="2009-06")
    known = before.index.get_level_values("date") <= pd.Timestamp("2009-07-31")
    assert before[known].equals(after[known])
    assert before.max().max() >= after[known].max().max()
    assert after.max().max() == pytest.approx(before.max().max())  # clipped at the same value


def test_counts_read_well():
    assert module.describe(Counter({"short history": 1240, "gaps": 0})) == "1,240 short history"
    assert module.describe(Counter()) == ""
