"""Pooling of token states to the vector of a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.records.encoder import Vectors


def pool_states(states: NDArray[np.float32], pooling: str) -> Vectors:
    """Pool token states (n_tokens, dim) to one vector (dim,) of length 1: their mean, or with "cls" the first one.

    A zero vector stays zero, for the contract check to find.
    """
    vector: Vectors = states[0] if pooling == "cls" else states.mean(axis=0, dtype=np.float32)
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector).astype(np.float32)
