"""A simulated panel of daily prices with patterns of known strength: data/daily_prices.csv.xz."""

import numpy as np
import pandas as pd
from scipy import stats

N_STOCKS, N_WEEKS, WEEK = 80, 208, 5
FIRST_DAY = "2014-01-06"  # a Monday; there are no holidays
BURN_IN = 4  # weeks simulated before the first
STEPS = 8  # a day's path of prices, from which its high and low are taken
# What a week's return depends on, in units of the stock's own weekly volatility.
BREAKOUT = 0.6  # Friday closes beyond the range of the four days before, on high volume: the move goes on
HIGH_VOLUME = 1.4  # Friday's volume over the mean of the four days before
REVERSAL = -0.3  # otherwise: times last week's return in those units, at most 2 either way
MARKET_MEAN, MARKET_VOLATILITY = 0.0005, 0.006  # a day


def expected_shift(
    prices: np.ndarray, volume: np.ndarray, start: np.ndarray, sigma: np.ndarray
) -> np.ndarray:
    """The planted effect on the week to come, (stocks,), in units of weekly volatility.

    prices: the week's open, high, low and close, (days, 4, stocks); volume: (days, stocks); start: the close before
    the week, (stocks,); sigma: daily volatility, (stocks,).
    """
    close = prices[-1, 3]
    up = close > prices[:-1, 1].max(axis=0)
    down = close < prices[:-1, 2].min(axis=0)
    busy = volume[-1] > HIGH_VOLUME * volume[:-1].mean(axis=0)
    move = np.clip(np.log(close / start) / (sigma * np.sqrt(WEEK)), -2, 2)
    return np.where(busy & (up | down), BREAKOUT * (up * 1.0 - down), REVERSAL * move)


def daily_prices(seed: int = 1) -> pd.DataFrame:
    """A simulated panel in the columns of WIKI/PRICES, and p_up, one row a stock and day.

    p_up, on Fridays: the probability that the next five days' return is above zero, for one who knows all of the
    past and of the above; NaN on other days.
    """
    rng = np.random.default_rng(seed)
    weeks = BURN_IN + N_WEEKS
    sigma = np.exp(rng.normal(np.log(0.017), 0.25, N_STOCKS))
    typical = np.exp(rng.normal(13.5, 0.8, N_STOCKS))  # volume
    prices = np.zeros((weeks, WEEK, 4, N_STOCKS))
    volume = np.zeros((weeks, WEEK, N_STOCKS))
    p_up = np.full((weeks, WEEK, N_STOCKS), np.nan)
    last, shift = rng.uniform(15, 60, N_STOCKS), np.zeros(N_STOCKS)
    for week in range(weeks):
        before = last
        for day in range(WEEK):
            market = rng.normal(MARKET_MEAN, MARKET_VOLATILITY)
            drift = market + sigma * shift / np.sqrt(WEEK)
            steps = rng.normal(drift / STEPS, sigma / np.sqrt(STEPS), (STEPS, N_STOCKS))
            path = last * np.exp(np.cumsum(steps, axis=0))  # the open is the first of them
            day_prices = [path[0], path.max(axis=0), path.min(axis=0), path[-1]]
            prices[week, day] = np.round(day_prices, 2)
            surprise = rng.normal(0, 0.45, N_STOCKS) + 0.2 * np.abs(np.log(path[-1] / last)) / sigma
            volume[week, day] = typical * np.exp(surprise)
            last = path[-1]
        shift = expected_shift(prices[week], volume[week], before, sigma)
        spread = np.sqrt(WEEK) * np.sqrt(sigma**2 + MARKET_VOLATILITY**2)
        expected = WEEK * MARKET_MEAN + shift * sigma * np.sqrt(WEEK)
        p_up[week, -1] = stats.norm.cdf(expected / spread)
    kept = slice(BURN_IN, None)
    days = pd.bdate_range(FIRST_DAY, periods=N_WEEKS * WEEK)
    in_order = prices[kept].reshape(-1, 4, N_STOCKS).transpose(2, 0, 1).reshape(-1, 4)
    table = pd.DataFrame(in_order, columns=["adj_open", "adj_high", "adj_low", "adj_close"])
    traded = volume[kept].reshape(-1, N_STOCKS).T.ravel()
    digits = 10 ** np.floor(np.log10(traded) - 1)  # two digits count
    table["adj_volume"] = (np.round(traded / digits) * digits).astype(int)
    table["p_up"] = p_up[kept].reshape(-1, N_STOCKS).T.ravel().round(2)
    table.insert(0, "date", np.tile(days.strftime("%Y-%m-%d"), N_STOCKS))
    table.insert(0, "ticker", np.repeat([f"D{number:02d}" for number in range(N_STOCKS)], len(days)))
    return table
