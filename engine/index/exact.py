"""Exact scores and the one total order of a ranking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.records import DocIds, Vectors

CHUNK = 8192  # rows taken to float64 at once
TIE = 1e-5  # scores nearer than this may swap between FAISS's kernels; float32 sums of 384 products err by 1e-6


def exact_scores(vectors: Vectors, rows: NDArray[np.int64], query: Vectors) -> NDArray[np.float32]:
    """Inner products of some rows, each summed in float64, clipped to [-1, 1], rounded to float32."""
    scores = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), CHUNK):
        part = vectors[rows[start : start + CHUNK]].astype(np.float64)
        scores[start : start + CHUNK] = (part * query.astype(np.float64)).sum(axis=1).clip(-1.0, 1.0)
    return scores


def ranked(doc_ids: DocIds, scores: NDArray[np.float32], top_k: int) -> list[tuple[int, float]]:
    """The best (doc id, score), best first: score descending, then id ascending."""
    ranking = np.lexsort((doc_ids, -scores))[:top_k]
    return [(int(doc_ids[i]), float(scores[i])) for i in ranking]
