"""A simulated panel of prices in which it is known what can be predicted: data/prices.csv.xz."""

from datetime import date

import numpy as np
import pandas as pd
from scipy import stats

N_STOCKS = 300  # with a price in every month
N_SHORT, N_GAPS = 8, 4  # further stocks: listed late or delisted early; suspended for a while
MONTHS = pd.period_range("2007-12", "2017-12", freq="M")
BURN_IN = 36  # months simulated before the first
# What a return depends on, in units of the stock's own volatility; x is an earlier return less
# the average of its month, divided by TYPICAL, at most MOST either way.
TYPICAL, MOST = 0.08, 8
REVERSAL = -0.10  # times last month's x, where that is beyond 1
MOMENTUM = 0.04  # times the sum of x over the last twelve months, divided by the square root of twelve
SEASON = {1: 0.15, 4: 0.15, 11: 0.15, 12: 0.15, 6: -0.15, 9: -0.15}  # month -> shift
# A volatile stock is a lottery ticket: a large gain in one month of ten, paid for in all the others.
WIN_CHANCE = 0.1
PRIZE = 3.5  # the gain, in units of volatility, of a stock whose volatility is TYPICAL; it grows with the volatility
VOLATILITY, SPREAD = (
    0.07,
    0.4,
)  # the median stock's, a month; the standard deviation of its logarithm over stocks
MOST_VOLATILE = 0.15
MARKET_MEAN, MARKET_VOLATILITY = 0.012, 0.025  # a month
FREEDOM = 5  # degrees of freedom of the t distribution of a stock's own shock
WORST = -0.6  # a month's return


def expected_shift(x: np.ndarray, month: int) -> np.ndarray:
    """The effects of the past, (stocks,), in units of volatility; x: the twelve months before, (12, stocks)."""
    reversal = REVERSAL * np.where(np.abs(x[-1]) > 1, x[-1], 0)
    momentum = MOMENTUM * x.sum(axis=0) / np.sqrt(12)
    return reversal + momentum + SEASON.get(month, 0)


def simulate_returns(rng: np.random.Generator, stocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns of len(MONTHS) months, and the probability that each is above zero; both (months, stocks).

    A return is beta * market + volatility * (effects of the past + lottery + own shock); the market's and the stocks'
    volatility rise and fall together, over months. The lottery and the shock are zero on average, so that volatility
    changes how often a return is above zero, but not what it is on average. The probability is that of one who knows
    all past returns, all parameters and the current volatility, and neither the market's nor the stock's luck:
    nobody can order the returns better from what came before.
    """
    months = np.arange(MONTHS[0].ordinal - BURN_IN, MONTHS[-1].ordinal + 1)
    beta = rng.normal(1, 0.3, stocks)
    sigma = np.minimum(np.exp(rng.normal(np.log(VOLATILITY), SPREAD, stocks)), MOST_VOLATILE)
    prize = PRIZE * sigma / TYPICAL
    unit = np.sqrt((FREEDOM - 2) / FREEDOM)  # a t variable times this has variance one
    shocks, weights = np.polynomial.hermite_e.hermegauss(15)  # for the expectation over the market
    returns, probability = np.zeros((2, len(months), stocks))
    x, level = np.zeros((len(months), stocks)), 0.0
    for t in range(12, len(months)):
        level = 0.85 * level + rng.normal(0, 0.2)
        volatility = np.exp(level - 0.07)
        shift = expected_shift(x[t - 12 : t], months[t] % 12 + 1) - WIN_CHANCE * prize
        market = MARKET_MEAN + MARKET_VOLATILITY * volatility * rng.normal()
        own = unit * rng.standard_t(FREEDOM, stocks) + prize * (rng.random(stocks) < WIN_CHANCE)
        returns[t] = np.maximum(beta * market + sigma * volatility * (shift + own), WORST)
        x[t] = np.clip((returns[t] - returns[t].mean()) / TYPICAL, -MOST, MOST)
        markets = MARKET_MEAN + MARKET_VOLATILITY * volatility * shocks[:, None]
        for won, chance in ((0, 1 - WIN_CHANCE), (prize, WIN_CHANCE)):
            above_zero = stats.t.cdf((beta * markets / (sigma * volatility) + shift + won) / unit, FREEDOM)
            probability[t] += chance * (weights @ above_zero) / weights.sum()
    return returns[BURN_IN:], probability[BURN_IN:]


def prices(seed: int = 2) -> pd.DataFrame:
    """A simulated panel with the columns ticker, date, adj_close, and p_up, one row a stock and month.

    p_up: the probability that the return of the month that ends on this date is above zero, as
    `simulate_returns` gives it; NaN for a stock's first month.
    """
    rng = np.random.default_rng(seed)
    stocks = N_STOCKS + N_SHORT + N_GAPS
    returns, p_up = simulate_returns(rng, stocks)
    growth = np.cumprod(1 + returns, axis=0)
    closes = rng.uniform(15, 90, stocks) * growth / growth[0]
    present = np.ones_like(closes, dtype=bool)
    for stock in range(N_STOCKS, stocks):
        cut = rng.integers(10, len(MONTHS) - 10)
        if stock >= N_STOCKS + N_SHORT:
            present[cut : cut + 3, stock] = False
        elif rng.random() < 0.5:
            present[:cut, stock] = False
        else:
            present[cut:, stock] = False
    p_up[0] = np.nan
    tickers = np.array([f"S{number:03d}" for number in rng.permutation(stocks)])
    dates = [str(last_weekday(month)) for month in MONTHS]
    table = pd.DataFrame(
        {
            "ticker": np.tile(tickers, len(MONTHS)),
            "date": np.repeat(dates, stocks),
            "adj_close": significant(closes.ravel()),
            "p_up": p_up.ravel().round(3),
        }
    )
    return table[present.ravel()].sort_values(["ticker", "date"], ignore_index=True)


def significant(values: np.ndarray, digits: int = 5) -> np.ndarray:
    """The values, above zero, rounded to so many significant digits: prices that have fallen far keep their returns."""
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(values)))
    return np.round(values * scale) / scale


def last_weekday(month: pd.Period) -> date:
    return pd.offsets.BMonthEnd().rollback(month.to_timestamp(how="end")).date()
