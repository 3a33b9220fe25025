"""The simulated prices carry notebook 04's lesson: what was planted is known, and most of it can be found."""

import lzma

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sample.prices import prices
from utils.prices import complete_returns, lagged
from utils.storage import SAMPLE

SEEDS = (101, 102, 103)  # the bundled panel has another


@pytest.fixture(scope="module")
def panels() -> list[pd.DataFrame]:
    """One frame a simulation: 24 lags, month, up, p_up; index (date, ticker)."""
    found = []
    for seed in SEEDS:
        table = prices(seed)
        table["date"] = pd.to_datetime(table["date"]) + pd.offsets.MonthEnd(0)
        closes = table.pivot(index="date", columns="ticker", values="adj_close")
        closes.index = closes.index.to_period("M")
        returns, _ = complete_returns(closes, "simulation")
        frame = lagged(returns, 24)
        frame["up"] = returns.stack().loc[frame.index] > 0
        frame["p_up"] = table.set_index(["date", "ticker"])["p_up"].loc[frame.index]
        found.append(frame)
    return found


def auc_within(frame: pd.DataFrame, score: str) -> float:
    """The mean AUC within months, from ranks: many times faster than a call of scikit-learn for each month."""
    ups, downs = (up.groupby(level="date").sum() for up in (frame["up"], ~frame["up"]))
    ranks = frame[score].groupby(level="date").rank()
    return np.mean(((ranks * frame["up"]).groupby(level="date").sum() - ups * (ups + 1) / 2) / (ups * downs))


def test_ranks_give_scikit_learns_auc(panels):
    month = (
        panels[0]
        .loc[panels[0].index.get_level_values("date").max() :]
        .assign(score=lambda m: m["p_up"].round(2))
    )
    assert auc_within(month, "score") == pytest.approx(roc_auc_score(month["up"], month["score"]))


def test_a_rerun_simulates_the_same_prices():
    with lzma.open(SAMPLE / "prices.csv.xz", "rt") as file:
        bundled = pd.read_csv(file)
    table = prices()
    assert list(table.columns) == list(bundled.columns)
    assert table[["ticker", "date"]].equals(bundled[["ticker", "date"]])
    np.testing.assert_allclose(table[["adj_close", "p_up"]], bundled[["adj_close", "p_up"]], atol=2e-3)


def test_p_up_is_a_probability(panels):
    """Where the simulation says 60 %, 60 % go up, but for what a month's market does to all stocks at once."""
    everything = pd.concat(panels)
    groups = everything.groupby(pd.cut(everything["p_up"], [0, 0.4, 0.5, 0.6, 0.7, 1]), observed=True)
    error = groups["up"].mean() - groups["p_up"].mean()
    assert (error.abs() < 0.04).all(), error


def test_logistic_regression_finds_most_but_not_all(panels):
    for frame in panels:
        lags = [column for column in frame if column.startswith("lag")]
        years = frame.index.get_level_values("date").year
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
        train = frame[years <= 2014]
        test = frame[years > 2014].copy()
        test["score"] = model.fit(train[lags], train["up"]).predict_proba(test[lags])[:, 1]
        best, found = auc_within(test, "p_up"), auc_within(test, "score")
        print(f"best {best:.3f}, found {found:.3f}")
        assert best > 0.58
        assert 0.5 * (best - 0.5) < found - 0.5 < best - 0.5


def test_what_goes_before_decides(panels):
    """After a large move last month, the other direction is likelier; more so than p_up's own average."""
    for frame in panels:
        fell, rose = frame[frame["lag 1"] < -0.1], frame[frame["lag 1"] > 0.1]
        assert fell["p_up"].mean() > rose["p_up"].mean() + 0.1
        assert fell["up"].mean() > rose["up"].mean()
