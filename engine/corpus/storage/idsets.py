"""Sets of doc ids as arrays: their form in memory, and the dead among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.records.generation import DocIds

NO_IDS: DocIds = np.empty(0, np.int64)
_FEW = 8  # times as many ids on the other side; then looking up each is faster than comparing all
_SPARSE = 64  # ids further apart than this on average take less memory as numbers than as bits


def find_among(ids: DocIds, others: DocIds) -> NDArray[np.bool_]:
    """Return whether each id is among others (ascending, unique), bool (n,)."""
    if not len(others):
        return np.zeros(len(ids), np.bool_)
    if len(ids) > _FEW * len(others) and (ids[1:] > ids[:-1]).all():  # a few others are looked up in the ids
        found = np.zeros(len(ids), np.bool_)
        places = np.searchsorted(ids, others)
        places = places[places < len(ids)]
        found[places] = ids[places] == others[: len(places)]
        return found
    if _FEW * len(ids) > len(others):
        return np.isin(ids, others)
    places = np.minimum(np.searchsorted(others, ids), len(others) - 1)
    return np.asarray(others[places] == ids)


@dataclass(frozen=True, slots=True, eq=False)
class PackedIds:
    """Ascending ids in little memory: a bit for each number from the lowest on, or the ids where they are sparse."""

    low: int
    bits: NDArray[np.uint8]
    sparse: DocIds | None = None

    @classmethod
    def build(cls, ids: DocIds) -> PackedIds:
        """Pack ids, int64 (n,) ascending and unique."""
        low, high = (int(ids[0]), int(ids[-1])) if len(ids) else (0, 0)
        if high - low >= _SPARSE * len(ids):
            return cls(low, np.empty(0, np.uint8), ids)
        inside = np.zeros(high - low + 1, np.bool_)
        inside[ids - low] = True
        return cls(low, np.packbits(inside))

    def list_ids(self) -> DocIds:
        """Return the ids, int64 (n,) ascending."""
        if self.sparse is not None:
            return self.sparse
        return np.flatnonzero(np.unpackbits(self.bits)).astype(np.int64, copy=False) + self.low
