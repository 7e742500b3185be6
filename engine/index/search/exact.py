"""Exact scores and the total order of a ranking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.records.encoder import Vectors
from engine.records.generation import DocIds

_CHUNK = 8192  # rows multiplied at once
_EXACT = 256  # rows converted to float64 at once; they stay in the cache of a core
TIE = 1e-5  # scores closer than this may swap between FAISS's kernels; float32 sums of 384 products err by 1e-6


def compute_scores(vectors: Vectors, rows: NDArray[np.int64], query: Vectors) -> NDArray[np.float32]:
    """Return the inner products (n,) of rows (n,) with a query (dim,).

    Each is summed in float64, clipped to [-1, 1] and rounded to float32.
    """
    scores, exact = np.empty(len(rows), np.float32), query.astype(np.float64)
    for start in range(0, len(rows), _EXACT):
        part = vectors[rows[start : start + _EXACT]].astype(np.float64)
        part *= exact
        scores[start : start + _EXACT] = part.sum(axis=1).clip(-1.0, 1.0)
    return scores


def order_rows(doc_ids: DocIds, scores: NDArray[np.float32], *, several: bool = False) -> NDArray[np.int64]:
    """Return positions in ranking order: score descending, then id ascending.

    several: an id may occur more than once; only its best score counts.
    """
    order = np.lexsort((doc_ids, -scores))
    if several:
        order = order[np.sort(np.unique(doc_ids[order], return_index=True)[1])]
    return order


def rank_rows(
    doc_ids: DocIds, scores: NDArray[np.float32], top_k: int, *, several: bool = False
) -> list[tuple[int, float]]:
    """Return the top_k best (doc id, score), in the order of `order_rows`."""
    best = order_rows(doc_ids, scores, several=several)[:top_k]
    return list(zip(doc_ids[best].tolist(), scores[best].tolist(), strict=True))


def find_best_rows(
    vectors: Vectors, queries: Vectors, n: int, dead: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the n best rows of each query: scores and rows, both (q, n), best first.

    dead: ascending rows that are left out.

    Vectors are compared in blocks, as matrix products: for many queries at once that is several times as fast as one
    query after the other. n is at most the number of rows that are not left out. Scores are float32 sums, accurate to
    within TIE.
    """
    scores = np.full((len(queries), n), -np.inf, np.float32)
    rows = np.full((len(queries), n), -1, np.int64)
    for start in range(0, len(vectors), _CHUNK):
        block = queries @ np.array(vectors[start : start + _CHUNK]).T  # a copy, since mapped rows are not aligned
        if dead is not None:
            first, end = np.searchsorted(dead, [start, start + _CHUNK])
            block[:, dead[first:end] - start] = -np.inf
        for i, row in enumerate(block):
            better = np.flatnonzero(row > scores[i, -1])
            if len(better):
                merged = np.concatenate([scores[i], row[better]])
                best = np.argpartition(-merged, n - 1)[:n]
                best = best[np.argsort(-merged[best], kind="stable")]
                rows[i] = np.concatenate([rows[i], better + start])[best]
                scores[i] = merged[best]
    return scores, rows
