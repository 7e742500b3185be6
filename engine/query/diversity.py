"""Hits that differ from each other: maximal marginal relevance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.records import Vectors

POOL = 1000  # candidates that are put in a new order, however many hits are wanted; those below stay as they are


def diversified(scores: NDArray[np.float32], vectors: Vectors, diversify: float, wanted: int) -> list[int]:
    """Positions of `wanted` candidates, chosen one after the other (Carbonell & Goldstein, SIGIR 1998).

    scores (n,) are those of the candidates, best first; vectors (n, dim) theirs, unit length. Each time the one is
    taken whose (1 - diversify) * score - diversify * highest cosine to those taken is highest; of equals the earlier
    one. So 0 leaves the order as it is. Fewer only when there are fewer candidates.
    """
    gain = (1 - diversify) * scores.astype(np.float64)
    nearest = np.full(len(scores), -1.0)
    left = np.ones(len(scores), bool)
    taken: list[int] = []
    exact = vectors.astype(np.float64)
    while len(taken) < min(wanted, len(scores)):
        penalty = diversify * nearest if taken else 0.0
        best = int(np.argmax(np.where(left, gain - penalty, -np.inf)))
        taken.append(best)
        left[best] = False
        nearest = np.maximum(nearest, exact @ exact[best])
    return taken
