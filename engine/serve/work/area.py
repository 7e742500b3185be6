"""An area of a map: a polygon that a person draws, and the points in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError

_MAX_CORNERS = 200
MAX_LENGTH = 6_000  # characters of an area
_EXPECTED = f"3 to {_MAX_CORNERS} corners, like 0,0 1,0 1,1"


@dataclass(frozen=True, slots=True)
class _Area:
    """A polygon on the plane of a map; where its edges cross, a point inside is one with an odd number of turns."""

    corners: NDArray[np.float64]  # (n, 2), at least 3

    def find_rows(self, places: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the rows of the points (n, 2) in the polygon, ascending.

        A point is inside if a ray from it to the right crosses an odd number of edges (Shimrat, Commun ACM 1962;5:434,
        doi:10.1145/368637.368653). The browser counts in the same way.
        """
        low, high = self.corners.min(axis=0), self.corners.max(axis=0)
        near = np.flatnonzero(((places >= low) & (places <= high)).all(axis=1))
        x, y = places[near].astype(np.float64).T
        inside = np.zeros(len(near), bool)
        for (x1, y1), (x2, y2) in zip(self.corners, np.roll(self.corners, 1, axis=0), strict=True):
            if y1 != y2:
                inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
        rows: NDArray[np.int64] = near[inside]
        return rows


def parse_area(text: str) -> _Area:
    """Return the area that a text names: corners as x,y with spaces between them.

    Raises:
        UsageError: it is not such a text.
    """
    corners = [corner.split(",") for corner in text.split()]
    try:
        numbers = [(float(x), float(y)) for x, y in corners]
    except ValueError as err:
        raise UsageError(f"area is {text[:80]!r}, expected {_EXPECTED}") from err
    if not 3 <= len(numbers) <= _MAX_CORNERS or not all(math.isfinite(number) for pair in numbers for number in pair):
        raise UsageError(f"area has {len(numbers):,} corners or an endless number, expected {_EXPECTED}")
    return _Area(np.array(numbers, np.float64))
