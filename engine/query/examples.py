"""Queries by example: Rocchio's formula over stored vectors."""

from __future__ import annotations

import numpy as np

from engine.errors import UsageError
from engine.records import Vectors

# Manning, Raghavan & Schütze, Introduction to Information Retrieval (2008), 9.1.1: "reasonable values".
ALPHA, BETA, GAMMA = 1.0, 0.75, 0.15  # of the text, of the mean of the examples, of the mean of the counter-examples


def rocchio(text: Vectors | None, like: Vectors, unlike: Vectors) -> Vectors:
    """ALPHA * text + BETA * mean(like) - GAMMA * mean(unlike), scaled to unit length: float32 (dim,).

    text is (dim,) or None; like (p, dim) and unlike (n, dim) may be empty. One example alone gives its own vector.

    Raises:
        UsageError: what is left has no direction.
    """
    if text is None and len(like) == 1 and not len(unlike):
        return np.array(like[0])
    total = np.zeros(like.shape[1]) if text is None else ALPHA * text.astype(np.float64)
    if len(like):
        total = total + BETA * like.mean(axis=0, dtype=np.float64)
    if len(unlike):
        total = total - GAMMA * unlike.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise UsageError("the examples cancel each other out, so there is nothing to search for. Name other ones")
    vector: Vectors = (total / length).astype(np.float32)
    return vector
