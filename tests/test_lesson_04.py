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
    """One frame a simulation: 24 lags, return, up, p_up; index (date, ticker)."""
    found = []
    for seed in SEEDS:
        table = prices(seed)
        table["date"] = pd.to_datetime(table["date"]) + pd.offsets.MonthEnd(0)
        closes = table.pivot(index="date", columns="ticker", values="adj_close")
        closes.index = closes.index.to_period("M")
        returns, _ = complete_returns(closes, "simulation")
        frame = lagged(returns, 24)
        frame["return"] = returns.stack().loc[frame.index]
        frame["up"] = frame["return"] > 0
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
    np.testing.assert_allclose(table["p_up"], bundled["p_up"], atol=2e-3)
    np.testing.assert_allclose(table["adj_close"], bundled["adj_close"], rtol=2e-4)


def test_p_up_is_a_probability(panels):
    """Where the simulation says 60 %, 60 % go up, but for what a month's market does to all stocks at once."""
    everything = pd.concat(panels)
    groups = everything.groupby(pd.cut(everything["p_up"], [0, 0.4, 0.5, 0.6, 0.7, 1]), observed=True)
    error = groups["up"].mean() - groups["p_up"].mean()
    assert (error.abs() < 0.04).all(), error


@pytest.fixture(scope="module")
def found(panels) -> list[dict[str, float]]:
    """For each simulation the mean AUC within the months of 2014 to 2017, by what the score is made of."""
    results = []
    for frame in panels:
        lags = frame[[column for column in frame if column.startswith("lag")]]
        train = frame.index.get_level_values("date").year < 2014
        test = frame[~train].copy()
        spread = np.log(lags.std(axis=1)).rename("spread")
        inputs = {"lags": lags, "lags and their sizes": lags.join(lags.abs().add_suffix(" size"))}
        inputs["lags and volatility"] = lags.join(spread)
        aucs = {"best": auc_within(test, "p_up")}
        for name, table in inputs.items():
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
            model.fit(table[train], frame["up"][train])
            test["score"] = model.predict_proba(table[~train])[:, 1]
            aucs[name] = auc_within(test, "score")
        test["score"] = -spread[~train]
        aucs["calm"] = auc_within(test, "score")
        print({name: round(auc, 3) for name, auc in aucs.items()})
        results.append(aucs)
    return results


def test_volatility_finds_most_but_not_all(found):
    for aucs in found:
        assert aucs["best"] > 0.575
        assert 0.6 * (aucs["best"] - 0.5) < aucs["lags and volatility"] - 0.5 < aucs["best"] - 0.5


def test_sizes_say_what_lags_do_not_and_no_more_than_volatility_does(found):
    for aucs in found:
        assert aucs["lags and their sizes"] > aucs["lags"] + 0.008
        assert abs(aucs["lags and volatility"] - aucs["lags and their sizes"]) < 0.01
        assert aucs["calm"] > 0.535


def test_calm_stocks_rise_more_often_but_return_no_more(panels):
    """Their return on average is that of volatile stocks, within three standard errors."""
    differences = []
    for frame in panels:
        lags = frame[[column for column in frame if column.startswith("lag")]]
        rank = lags.std(axis=1).groupby(level="date").rank(pct=True)
        calm, volatile = frame[rank <= 0.2], frame[rank > 0.8]
        assert calm["up"].mean() > volatile["up"].mean() + 0.08
        by_month = [part["return"].groupby(level="date").mean() for part in (calm, volatile)]
        differences.append(by_month[0] - by_month[1])
    difference = pd.concat(differences)
    assert abs(difference.mean()) < 3 * difference.sem()


def test_what_goes_before_decides(panels):
    """After a large move last month, the other direction is likelier."""
    for frame in panels:
        fell, rose = frame[frame["lag 1"] < -0.1], frame[frame["lag 1"] > 0.1]
        assert fell["p_up"].mean() > rose["p_up"].mean() + 0.03
        assert fell["up"].mean() > rose["up"].mean()
