"""Daily prices: what is read, repaired and refused."""

import numpy as np
import pandas as pd
import pytest
from course import FakeRun
from sklearn.metrics import roc_auc_score

from sample import daily_prices as drawn
from utils import prices as reading
from utils.daily_prices import CLOSE, HIGH, LOW, OPEN, VALUES, VOLUME
from utils.datasets import load_daily_prices
from utils.storage import DataError


def panel(tickers=("A", "B", "NA"), days=40, seed=0) -> pd.DataFrame:
    """Rows of a few stocks, in the export's order."""
    rng = np.random.default_rng(seed)
    rows = []
    for ticker in tickers:
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, days)))
        opening = close * np.exp(rng.normal(0, 0.003, days))
        high, low = np.maximum(opening, close) * 1.004, np.minimum(opening, close) * 0.996
        dates = pd.bdate_range("2010-01-04", periods=days).strftime("%Y-%m-%d")
        numbers = dict(zip(VALUES, (opening, high, low, close, np.full(days, 1e6)), strict=True))
        rows.append(pd.DataFrame({"ticker": ticker, "date": dates, **numbers}))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def load(folder, table, name="WIKI_PRICES_OHLCV.csv"):
    table.to_csv(folder / name, index=False)
    return load_daily_prices(FakeRun("full"))


def test_values_are_those_of_the_table(folder):
    table = panel()
    found = load(folder, table.sample(frac=1, random_state=1))
    assert list(found.tickers) == ["A", "B", "NA"]
    assert found.values.shape == (40, 3, 5)
    assert found.values.dtype == np.float32
    assert found.p_up is None
    np.testing.assert_allclose(found.values[:, 2], table[table["ticker"] == "NA"][VALUES], rtol=1e-6)


def test_pieces_give_the_same(folder, monkeypatch):
    whole = load(folder, panel())
    monkeypatch.setattr(reading, "ROWS", 7)
    pieces = load_daily_prices(FakeRun("full"))
    np.testing.assert_array_equal(whole.values, pieces.values)
    assert whole.dates.equals(pieces.dates)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("adj_high", 1.0, "1 rows with a high below the low"),
        ("adj_volume", 0, "1 rows with no volume"),
        ("adj_volume", -5, "1 rows with no volume"),
        ("adj_close", 0, "1 rows with a price of zero or less"),
        ("adj_low", -3, "1 rows with a price of zero or less"),
        ("adj_open", None, "1 rows with a missing or infinite entry"),
        ("adj_open", np.inf, "1 rows with a missing or infinite entry"),
    ],
)
def test_rows_that_cannot_be_are_left_out_and_counted(folder, capsys, column, value, said):
    table = panel()
    table.loc[45, column] = value
    found = load(folder, table)
    assert said in capsys.readouterr().out
    assert np.isnan(found.values[5, 1]).all()
    assert np.isnan(found.values).sum() == 5


def test_words_in_place_of_numbers_are_counted(folder, capsys):
    table = panel().astype({"adj_close": object})
    table.loc[3, "adj_close"] = "n/a?"
    found = load(folder, table)
    assert "1 entries that are no number" in capsys.readouterr().out
    assert np.isnan(found.values[3, 0]).all()


def test_a_close_outside_of_the_range_widens_it(folder, capsys):
    table = panel()
    table.loc[2, "adj_close"] = table.loc[2, "adj_high"] * 1.05
    found = load(folder, table)
    assert "1 opens or closes outside" in capsys.readouterr().out
    assert found.values[2, 0, HIGH] == found.values[2, 0, CLOSE]


def test_missing_days_stay_missing(folder):
    table = panel().drop(index=[10, 11, 12])
    found = load(folder, table)
    assert np.isnan(found.values[10:13, 0]).all()
    assert np.isfinite(found.values[13, 0]).all()


def test_a_day_with_one_stock_of_many_is_no_trading_day(folder, capsys):
    table = panel(tickers=[f"T{i}" for i in range(12)])
    extra = table.iloc[[4]].assign(date="2010-01-09")  # a Saturday
    found = load(folder, pd.concat([table, extra]))
    assert "1 rows on days with few stocks" in capsys.readouterr().out
    assert len(found.dates) == 40


@pytest.mark.parametrize("factor", [0.5, 1 / 3, 0.1, 2])
def test_the_day_of_an_unadjusted_split_is_left_out(folder, capsys, factor):
    table = panel()
    later = (table["ticker"] == "B") & (table["date"] > "2010-01-20")
    table.loc[later, VALUES[:4]] *= factor
    found = load(folder, table)
    assert "1 days with a jump like an unadjusted split" in capsys.readouterr().out
    assert np.isnan(found.values[:, 1, OPEN]).sum() == 1


def test_a_crash_during_the_day_is_no_split(folder, capsys):
    table = panel()
    later = (table["ticker"] == "B") & (table["date"] >= "2010-01-20")
    first = later & (table["date"] == "2010-01-20")
    table.loc[later, VALUES[:4]] *= 0.5
    table.loc[first, ["adj_open", "adj_high"]] *= 2
    found = load(folder, table)
    assert "split" not in capsys.readouterr().out
    assert np.isfinite(found.values).all()


def test_duplicates_count_and_the_last_stays(folder, capsys):
    table = panel()
    again = table.iloc[[7]].assign(adj_volume=5.0)
    found = load(folder, pd.concat([table, again]))
    assert "1 duplicate rows" in capsys.readouterr().out
    assert found.values[7, 0, VOLUME] == 5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (panel(tickers=["ONE"]), "prices of one stock, ONE"),
        (panel().drop(columns="adj_high"), "lacks adj_high"),
        (panel().assign(date="04.01.2010"), "dates look like"),
        (panel().iloc[:0], "no usable prices"),
        (panel().assign(adj_volume=0), "no usable prices"),
    ],
)
def test_refusals(folder, table, said):
    with pytest.raises(DataError, match=said):
        load(folder, table)


def test_no_file(folder):
    with pytest.raises(DataError, match="WIKI_PRICES_OHLCV"):
        load_daily_prices(FakeRun("full"))


def test_sample(capsys):
    run = FakeRun("sample")
    found = load_daily_prices(run)
    assert found.values.shape == (1040, 80, 5)
    assert np.isfinite(found.values).all()
    assert "repairs" not in capsys.readouterr().out
    assert run.facts["n_tickers"] == 80
    fridays = np.flatnonzero(np.isfinite(found.p_up[:, 0]))[:-1]
    rose = found.values[fridays + 5, :, CLOSE] > found.values[fridays, :, CLOSE]
    assert roc_auc_score(rose.ravel(), found.p_up[fridays].ravel()) > 0.62
    assert (found.values[..., LOW] <= found.values[..., [OPEN, CLOSE]].min(axis=-1)).all()


def test_a_rerun_draws_the_same_sample():
    found, table = load_daily_prices(FakeRun("sample")), drawn.daily_prices()
    closes = table.pivot(index="date", columns="ticker", values="adj_close").to_numpy()
    np.testing.assert_allclose(closes, found.values[..., CLOSE], atol=0.011)
