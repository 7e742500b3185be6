"""How a score compares with those of records that have nothing to do with each other."""

from __future__ import annotations

from bisect import bisect_left

from engine.records import Calibration

DECIMALS = 6  # of a quantile; scores are rounded alike, so that the last bits of equal cosines decide nothing


def percentile(calibration: Calibration | None, score: float, *, of_records: bool) -> float | None:
    """Share in percent of random pairs with a lower cosine, with two decimals; None where nothing was measured.

    of_records: the score is that of two whole records; otherwise of a text and a record. Between two quantiles the
    share grows linearly. Nothing is claimed beyond what was measured: a score above the highest quantile has the
    highest share, 99.99, to be read as "at least"; one not above the lowest quantile has 0.0, although up to the lowest
    share, 1 percent, may lie below it. A higher score never has a lower share.
    """
    if calibration is None:
        return None
    quantiles, shares = calibration.records if of_records else calibration.texts, calibration.shares
    score = round(score, DECIMALS)
    place = bisect_left(quantiles, score)  # the first that is not lower
    if place == 0:
        return 0.0
    if place == len(quantiles):
        return round(100 * shares[-1], 2)
    low, high = quantiles[place - 1], quantiles[place]
    more = (score - low) / (high - low) * (shares[place] - shares[place - 1])
    return round(100 * min(shares[place - 1] + more, shares[place]), 2)
