"""Chances of drawing without replacement, for many draws at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float64]
_Counts = NDArray[np.int64]
_NEGLIGIBLE = 1e-17  # relative to the sum so far


class Hypergeometric:
    """Chances of finding so many good records among those drawn, of at most `most` records."""

    def __init__(self, most: int) -> None:
        """Prepare the logarithms of the factorials up to `most`."""
        self._log_factorials = _list_log_factorials(most)

    def compute_log_chance(self, found: ArrayLike, n: ArrayLike, n_good: ArrayLike, n_drawn: ArrayLike) -> _Floats:
        """Return ln P(exactly `found` of `n_drawn` are good), where `n_good` of `n` are; -inf where it can't be.

        The arguments are numbers or arrays that broadcast together, n at most `most`, n_good and n_drawn at most n.
        """
        found, n, n_good, n_drawn = np.broadcast_arrays(*(np.asarray(x, np.int64) for x in (found, n, n_good, n_drawn)))
        possible = (found >= 0) & (found <= n_drawn) & (found <= n_good) & (n_drawn - found <= n - n_good)
        found = np.where(possible, found, np.minimum(n_good, n_drawn))
        chance = self._count_ways(n_good, found) - self._count_ways(n, n_drawn)
        chance += self._count_ways(n - n_good, np.where(possible, n_drawn - found, 0))
        return np.where(possible, chance, -np.inf)

    def compute_tail(self, found: _Counts, n: _Counts, n_good: _Counts, n_drawn: _Counts) -> _Floats:
        """Return P(at most `found` of `n_drawn` are good), where `n_good` of `n` are; arrays of the same shape (m,).

        The chances are added from `found` away from the mean, so that each is smaller than the one before.
        """
        found = np.minimum(found, np.minimum(n_good, n_drawn))
        is_upper = found * n >= n_good * n_drawn  # then those above are added
        at = found + is_upper
        log_chance = self.compute_log_chance(at, n, n_good, n_drawn)
        total = np.exp(log_chance)
        rows, rest = np.arange(len(at)), n - n_good - n_drawn
        while len(rows):
            k, good, drawn, others = at[rows], n_good[rows], n_drawn[rows], rest[rows]
            less, more = (good - k + 1) * (drawn - k + 1), (k + 1) * (others + k + 1)
            ways, of = k * (others + k), less
            ways, of = np.where(is_upper[rows], (good - k) * (drawn - k), ways), np.where(is_upper[rows], more, of)
            with np.errstate(divide="ignore"):  # ln 0 is -inf: the next can't be
                log_chance[rows] += np.log(np.maximum(ways, 0)) - np.log(of)
            at[rows] += np.where(is_upper[rows], 1, -1)
            chance = np.exp(log_chance[rows])
            total[rows] += chance
            rows = rows[chance > _NEGLIGIBLE * total[rows]]
        return np.clip(np.where(is_upper, 1 - total, total), 0.0, 1.0)

    def is_tail_within(
        self, error: float, found: _Counts, n: _Counts, n_good: _Counts, n_drawn: _Counts
    ) -> NDArray[np.bool_]:
        """Return whether P(at most `found` of `n_drawn` are good) is at most the error, below 1/2; arrays (m,).

        It adds no more chances than are needed to tell. The median is the mean, rounded up or down, so that the chance
        of `found` at or above the mean is at least 1/2.
        """
        within = np.zeros(len(found), bool)
        rows = np.flatnonzero(found * n < n_good * n_drawn)
        at, good, drawn, rest = found[rows], n_good[rows], n_drawn[rows], (n - n_good - n_drawn)[rows]
        chance = np.exp(self.compute_log_chance(at, n[rows], good, drawn))
        total = chance
        while len(rows):
            falls = np.maximum(at * (rest + at), 0) / ((good - at + 1) * (drawn - at + 1))  # the next over this one
            with np.errstate(divide="ignore", invalid="ignore"):
                others = np.where(chance > 0, chance * falls / (1 - falls), 0.0)  # more than all that follow: it falls
            is_within = total + others <= error
            within[rows[is_within]] = True
            open_ = ~is_within & (total <= error)
            rows, at, good, drawn, rest = (each[open_] for each in (rows, at, good, drawn, rest))
            chance, total, falls = (each[open_] for each in (chance, total, falls))
            at, chance = at - 1, chance * falls
            total = total + chance
        return within

    def _count_ways(self, n: _Counts, k: _Counts) -> _Floats:
        """Return ln of the number of ways to choose k of n."""
        table = self._log_factorials
        ways: _Floats = table[n] - table[k] - table[n - k]
        return ways


@lru_cache(maxsize=8)
def _list_log_factorials(most: int) -> _Floats:
    """Return ln n! for n from 0 to `most`."""
    logs = np.cumsum(np.log(np.arange(1, most + 1)), dtype=np.longdouble)
    table: _Floats = np.concatenate([[0.0], logs.astype(np.float64)])
    table.flags.writeable = False
    return table
