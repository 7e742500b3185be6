"""Finding ids in an ascending array of ids that lies in a mapped file.

The ids of vectors.faiss are not aligned to 8 bytes, and NumPy copies an unaligned array whole before it searches in it.
Here only the ids that are looked at are read, so that opening and searching a large file takes no memory of its own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.records.generation import DocIds

_BLOCK = 1 << 18  # ids copied at once
_DENSE = 16  # with at least one key for so many ids, reading all ids is faster than a binary search for each key

_Side = Literal["left", "right"]


def find_positions(ids: DocIds, keys: DocIds, side: _Side = "left", *, distinct: bool = False) -> NDArray[np.int64]:
    """Return where keys (m,) belong in ascending ids (n,), as np.searchsorted does: int64 (m,), each 0 to n.

    distinct: no id occurs twice. Then the fewer numbers are missing between the ids, the fewer ids are looked at.
    """
    if ids.flags.aligned:
        return np.searchsorted(ids, keys, side).astype(np.int64, copy=False)
    if len(keys) * _DENSE >= len(ids):
        return _search_blocks(ids, keys, side)
    low, high = np.zeros(len(keys), np.int64), np.full(len(keys), len(ids), np.int64)
    if distinct and len(ids):  # at most so many ids are below a key, and at most so many above it
        below = keys - ids[0] + (side == "right")
        above = ids[-1] - keys + (side == "left")
        low, high = np.clip(len(ids) - above, 0, len(ids)), np.clip(below, 0, len(ids))
    return _search_each(ids, keys, side, low, high)


def _search_each(
    ids: DocIds, keys: DocIds, side: _Side, low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Search for all keys at once between two bounds, one step of a binary search after the other."""
    while (low < high).any():
        middle = np.minimum((low + high) >> 1, len(ids) - 1)
        found = ids[middle]
        before = (found < keys if side == "left" else found <= keys) & (low < high)
        low, high = np.where(before, middle + 1, low), np.where(before, high, np.minimum(middle, high))
    return low


def _search_blocks(ids: DocIds, keys: DocIds, side: _Side) -> NDArray[np.int64]:
    """Search block by block, each copied once."""
    order = np.argsort(keys, kind="stable")
    ascending, found = keys[order], np.zeros(len(keys), np.int64)
    starts = np.arange(0, len(ids), _BLOCK)
    # A key that equals the first id of a block may have its leftmost place in the block before.
    bounds = np.searchsorted(ascending, ids[starts], "right" if side == "left" else "left")
    bounds[:1] = 0
    for start, first, end in zip(starts, bounds, [*bounds[1:], len(keys)], strict=True):
        if first < end:
            block = np.array(ids[start : start + _BLOCK])
            found[order[first:end]] = start + np.searchsorted(block, ascending[first:end], side)
    return found


def check_order(ids: DocIds) -> tuple[bool, int]:
    """Return whether ids (n,) are ascending, equal ones included, and if so how many are distinct."""
    n = int(len(ids) > 0)
    for start in range(0, len(ids), _BLOCK):
        steps = np.diff(ids[start : start + _BLOCK + 1])
        if (steps < 0).any():
            return False, 0
        n += int(np.count_nonzero(steps))
    return True, n
