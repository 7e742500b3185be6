"""Pooling of token states to the vector of a text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.records.encoder import Vectors


def _take_mean(states: Vectors, skip: int) -> Vectors:
    vector: Vectors = states[skip:].mean(axis=0, dtype=np.float32) if len(states) > skip else np.zeros_like(states[0])
    return vector


def _take_root_mean(states: Vectors, skip: int) -> Vectors:
    vector: Vectors = _take_mean(states, skip) * np.float32(np.sqrt(max(len(states) - skip, 0)))
    return vector


def _take_first(states: Vectors, skip: int) -> Vectors:
    first: Vectors = states[skip if skip < len(states) else 0]
    return first


def _take_last(states: Vectors, skip: int) -> Vectors:
    last: Vectors = states[-1]
    return last


def _take_largest(states: Vectors, skip: int) -> Vectors:
    vector: Vectors = states[skip:].max(axis=0) if len(states) > skip else np.zeros_like(states[0])
    return vector


def _take_weighted(states: Vectors, skip: int) -> Vectors:
    weights = np.arange(1, len(states) + 1, dtype=np.float32)[skip:]
    vector: Vectors = (states[skip:] * weights[:, None]).sum(axis=0) / max(float(weights.sum()), 1e-9)
    return vector


# Name in sentence-transformers -> states (n_tokens, dim) and the number of tokens to leave out -> (dim,).
POOLINGS: dict[str, Callable[[Vectors, int], Vectors]] = {
    "mean": _take_mean,
    "cls": _take_first,
    "max": _take_largest,
    "lasttoken": _take_last,
    "weightedmean": _take_weighted,
    "mean_sqrt_len_tokens": _take_root_mean,
}


def pool_tokens(states: NDArray[np.float32], pooling: str, skip: int = 0) -> Vectors:
    """Pool token states (n_tokens, dim) to a vector (dim,) of any length; several poolings, as "cls+mean", are joined.

    skip: number of first tokens that are left out; with "lasttoken" it changes nothing.
    """
    parts = [POOLINGS[name](states, skip) for name in pooling.split("+")]
    return np.concatenate(parts).astype(np.float32)


def scale_to_unit(vector: Vectors) -> Vectors:
    """Scale a vector (dim,) to length 1; a zero vector stays zero, for the contract check to find."""
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector).astype(np.float32)


def pool_states(states: NDArray[np.float32], pooling: str) -> Vectors:
    """Pool token states (n_tokens, dim) to one vector (dim,) of length 1, as pool_tokens and scale_to_unit do."""
    return scale_to_unit(pool_tokens(states, pooling))
