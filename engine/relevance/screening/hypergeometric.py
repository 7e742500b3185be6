"""Chances of drawing without replacement, for many draws at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats = NDArray[np.float64]
_Counts = NDArray[np.int64]
_NEGLIGIBLE = 1e-17  # relative to the sum so far


class Hypergeometric:
    """Chances of finding so many good records among those drawn, of at most `most` records."""

    def __init__(self, most: int) -> None:
        """Tabulate the logarithms of the factorials up to `most`."""
        logs = np.cumsum(np.log(np.arange(1, most + 1)), dtype=np.longdouble)
        self._log_factorials: _Floats = np.concatenate([[0.0], logs.astype(np.float64)])

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
        """Return P(at most `found` of `n_drawn` are good), where `n_good` of `n` are; arrays of the same shape (m,)."""
        at = np.minimum(found, np.minimum(n_good, n_drawn))
        log_chance = self.compute_log_chance(at, n, n_good, n_drawn)
        total = chance = np.exp(log_chance)
        for _ in range(int(at.max(initial=0))):
            ways, others = at * (n - n_good - n_drawn + at), (n_good - at + 1) * (n_drawn - at + 1)
            with np.errstate(divide="ignore"):  # ln 0 is -inf: one less can't be
                log_chance = log_chance + np.log(np.maximum(ways, 0)) - np.log(others)
            at, before, chance = at - 1, chance, np.exp(log_chance)
            total = total + chance
            if ((chance <= before) & (chance <= _NEGLIGIBLE * total) & ((total > 0) | (log_chance == -np.inf))).all():
                break
        return np.minimum(total, 1.0)

    def _count_ways(self, n: _Counts, k: _Counts) -> _Floats:
        """Return ln of the number of ways to choose k of n."""
        table = self._log_factorials
        ways: _Floats = table[n] - table[k] - table[n - k]
        return ways
