"""Texts of like length in packs of a fixed token budget, without padding between them. Pure arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.tokens import Tokens

TOKENS_PER_TEXT = 64  # texts shorter than this on average fill a pack by their number, not by their tokens


@dataclass(frozen=True, slots=True)
class Pack:
    """Texts that go through the model together, the longest first."""

    positions: NDArray[np.int64]  # (n_texts,) which texts these are
    ids: NDArray[np.int32]  # (n_ids,) token ids, text after text
    position_ids: NDArray[np.int32]  # (n_ids,) place of each token in its text, from 0
    cu_seqlens: NDArray[np.int32]  # (n_texts + 1,) text i has ids[cu_seqlens[i]:cu_seqlens[i + 1]]
    n_texts: int
    longest: int  # ids of the longest text


def most_texts(budget: int) -> int:
    """Texts that a pack of so many tokens holds at most."""
    return max(1, budget // TOKENS_PER_TEXT)


def packs(
    tokens: Tokens, budget: int, rounded: int | None = None, among: NDArray[np.bool_] | None = None
) -> Iterator[Pack]:
    """Cut texts into packs of at most `budget` tokens, the longest texts first; equal lengths stay in order.

    A text that is longer than the budget has a pack of its own; one without any id is in none. `rounded` is for
    models that pad: every text then counts as much as the longest of its pack, rounded up to a multiple of this.
    `among` (n,) says which texts to take; None takes all.
    """
    lengths = tokens.lengths
    taken = lengths > 0 if among is None else (lengths > 0) & among
    order = np.flatnonzero(taken)
    order = order[np.argsort(-lengths[order], kind="stable")]
    ends = np.cumsum(lengths[order])
    start = 0
    while start < len(order):
        if rounded is None:
            before = ends[start] - lengths[order[start]]
            end = int(np.searchsorted(ends, before + budget, side="right"))
        else:
            end = start + budget // round_up(int(lengths[order[start]]), rounded)
        end = max(start + 1, min(end, start + most_texts(budget), len(order)))
        yield packed(tokens, order[start:end])
        start = end


def packed(tokens: Tokens, positions: NDArray[np.int64]) -> Pack:
    """The texts at these positions, in this order, as one pack."""
    lengths = tokens.lengths[positions]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    position_ids = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    ids = tokens.ids[np.repeat(tokens.offsets[positions], lengths) + position_ids]
    return Pack(
        positions,
        ids,
        position_ids.astype(np.int32),
        starts.astype(np.int32),
        n_texts=len(positions),
        longest=int(lengths.max(initial=0)),
    )


def round_up(length: int, multiple: int) -> int:
    """The next multiple that is not below the length."""
    return -(-length // multiple) * multiple
