"""Texts of similar length in packs of a fixed token budget, without padding between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.texts.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Pack:
    """Texts that go through the model together, the longest first."""

    positions: NDArray[np.int64]  # (n_texts,) positions of the texts
    ids: NDArray[np.int32]  # (n_ids,) token ids, text after text
    position_ids: NDArray[np.int32]  # (n_ids,) position of each token in its text, from 0
    cu_seqlens: NDArray[np.int32]  # (n_texts + 1,) text i has ids[cu_seqlens[i]:cu_seqlens[i + 1]]
    longest: int  # ids of the longest text


def iterate_packs(tokens: Tokens, budget: int) -> Iterator[Pack]:
    """Yield packs of at most `budget` tokens, the longest texts first; texts of equal length stay in order.

    A text longer than the budget gets a pack of its own; a text without ids is in no pack.
    """
    order = np.argsort(-tokens.lengths, kind="stable")
    order = order[tokens.lengths[order] > 0]
    ends = np.cumsum(tokens.lengths[order])
    start = 0
    while start < len(order):
        before = ends[start] - tokens.lengths[order[start]]
        end = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        yield _build_pack(tokens, order[start:end])
        start = end


def _build_pack(tokens: Tokens, positions: NDArray[np.int64]) -> Pack:
    """Join the texts at these positions, in this order."""
    lengths = tokens.lengths[positions]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    position_ids = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    ids = tokens.ids[np.repeat(tokens.offsets[positions], lengths) + position_ids]
    return Pack(positions, ids, position_ids.astype(np.int32), starts.astype(np.int32), int(lengths.max()))
