"""Arrays in the database of a large segment, which filters read at once: the table `arrays`.

They hold again what other tables say, so a segment without them gives the same answers. A place is the position of a
record among the ids of the segment, ascending.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.records.generation import DocIds

CREATE_ARRAYS = "CREATE TABLE main.arrays (name TEXT PRIMARY KEY, content BLOB NOT NULL)"
IDS, YEARS = "ids", "years"  # names of arrays
_YEAR_TYPES = ("<i2", "<i8")  # the first that holds all years; its lowest number stands for no year


def name_term(term_id: int | str) -> str:
    """Return the name of the array with the places of the records that have a term."""
    return f"term {term_id}"


def dump_ids(doc_ids: DocIds) -> bytes:
    """Return packed ids, int64 (n,) ascending."""
    return doc_ids.astype("<i8").tobytes()


def parse_ids(content: bytes) -> DocIds:
    """Return packed ids, int64 (n,)."""
    return np.frombuffer(content, "<i8").astype(np.int64, copy=False)


def dump_flags(flags: NDArray[np.bool_]) -> bytes:
    """Return packed flags, bool (n,), one for each place."""
    return np.packbits(flags).tobytes()


def parse_flags(content: bytes, n: int) -> NDArray[np.bool_]:
    """Return n packed flags, bool (n,)."""
    return np.unpackbits(np.frombuffer(content, np.uint8), count=n).view(np.bool_)


def dump_places(places: NDArray[np.int64]) -> bytes:
    """Return packed places, int64 (n,), each below 2^32."""
    return places.astype("<u4").tobytes()


def parse_places(content: bytes) -> NDArray[np.uint32]:
    """Return packed places, uint32 (n,)."""
    return np.frombuffer(content, "<u4")


def dump_years(years: NDArray[np.int64], known: NDArray[np.bool_]) -> bytes | None:
    """Return packed years, int64 (n,), of which some are known, bool (n,); None if one is the lowest of all numbers."""
    for kind in _YEAR_TYPES:
        bounds = np.iinfo(kind)
        if not len(years[known]) or (years[known].min() > bounds.min and years[known].max() <= bounds.max):
            return np.where(known, years, bounds.min).astype(kind).tobytes()
    return None


def find_years(content: bytes, n: int, ranges: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    """Return which of n packed years are in one of the ranges, both ends included: bool (n,)."""
    kind = _YEAR_TYPES[0] if len(content) == n * np.dtype(_YEAR_TYPES[0]).itemsize else _YEAR_TYPES[1]
    years, bounds = np.frombuffer(content, kind), np.iinfo(kind)
    found = np.zeros(n, np.bool_)
    for low, high in ranges:
        if low <= bounds.max and high > bounds.min:
            found |= (years >= max(low, bounds.min + 1)) & (years <= min(high, bounds.max))
    return found
