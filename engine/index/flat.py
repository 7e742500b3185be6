"""Exact inner-product search over vectors that are mapped from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError, UsageError
from engine.index.exact import TIE, exact_scores, ranked
from engine.index.layout import mapped
from engine.index.library import faiss
from engine.records import DocIds, Vectors

METRIC = "inner_product"
MARGIN = 16  # candidates beyond top_k, so that ties at the end are seen
BATCH = 256  # queries scanned at once: FAISS reads the vectors once for all of them
FEW = 256  # rows that are scored one by one sooner than FAISS scans past the others

Ranking = list[tuple[int, float]]  # (doc id, score), best first
Candidates = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores and rows, both (q, n)


class FlatIndex:
    """A published vectors.faiss, memory-mapped and read-only. Safe to search from several threads."""

    tie = TIE  # what the scores of `candidates` may be off by

    def __init__(self, path: Path, dim: int) -> None:
        """Map the file.

        Raises:
            CorruptError: not an IDMap2,Flat inner-product index of this dimension.
        """
        found = mapped(path, dim)
        self.path = path
        self.dim = dim
        self.size = len(found.doc_ids)
        self.doc_ids: DocIds = found.doc_ids
        self.vectors: Vectors = found.vectors
        self.inner = found.inner  # FAISS reads from it as long as this object lives
        try:
            self.flat: Any = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(found.inner), found.inner.size))
        except (RuntimeError, MemoryError) as err:
            raise CorruptError(f"{path} can't be read by FAISS: {str(err)[:200]}. Run: engine rollback") from err
        # Files of the engine are in the order of the ids; one that is not is searched in that order all the same.
        ascending = bool((np.diff(self.doc_ids) > 0).all())
        self.order: NDArray[np.int64] | None = None if ascending else np.argsort(self.doc_ids, kind="stable")

    def rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Row numbers of doc ids; an id that is not there has row -1."""
        if self.size == 0:
            return np.full(len(doc_ids), -1, dtype=np.int64)
        place = np.searchsorted(self.doc_ids, doc_ids, sorter=self.order).clip(max=self.size - 1)
        rows = place if self.order is None else self.order[place]
        found: NDArray[np.int64] = np.where(self.doc_ids[rows] == doc_ids, rows, -1)
        return found

    def vector(self, doc_id: int) -> Vectors | None:
        """The stored vector of one doc id, float32 (dim,), or None."""
        row = int(self.rows(np.array([doc_id], dtype=np.int64))[0])
        return None if row < 0 else np.array(self.vectors[row])

    def search(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Find the best (doc id, score) of each query, best first: score descending, then id ascending.

        queries is float32 (q, dim), unit length. Each list has min(top_k, size) items, never padding. Scores are
        inner products in [-1, 1], summed in float64 so that equal vectors score equal wherever they lie.

        Raises:
            UsageError: queries of another shape, or not finite, or top_k below 1.
        """
        queries = self.checked(queries, top_k)
        return self.rank(queries, min(top_k, self.size)) if self.size else [[] for _ in queries]

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int) -> list[Ranking]:
        """Find the best of some doc ids for each query: as search, and nothing else is ranked.

        doc_ids is int64 (n,), distinct; one that is not in the index is left out. Each list has top_k items, fewer only
        when fewer of them are there.

        Raises:
            UsageError: queries of another shape, or not finite, or top_k below 1.
        """
        queries = self.checked(queries, top_k)
        rows = self.rows(doc_ids)
        rows = rows[rows >= 0]
        return self.rank_among(queries, rows, min(top_k, len(rows))) if len(rows) else [[] for _ in queries]

    def checked(self, queries: Vectors, top_k: int) -> Vectors:
        """The queries, contiguous.

        Raises:
            UsageError: of another shape, or not finite, or top_k below 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim or not np.isfinite(queries).all():
            raise UsageError(f"query vectors of shape {queries.shape}, expected finite (n, {self.dim})")
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}, expected 1 or more")
        return np.ascontiguousarray(queries, np.float32)

    def rank(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Rank all vectors; top_k is at most their number."""
        found: list[Ranking] = []
        for start in range(0, len(queries), BATCH):
            found += self.settled(queries[start : start + BATCH], top_k, self.size, None)
        return found

    def rank_among(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank some rows, exactly; top_k is at most their number."""
        if len(rows) <= FEW:
            ids = self.doc_ids[rows]
            return [ranked(ids, exact_scores(self.vectors, rows, query), top_k) for query in queries]
        selector = faiss.IDSelectorBitmap(bitmap(rows, self.size))
        return self.settled(queries, top_k, len(rows), faiss.SearchParameters(sel=selector))

    def settled(self, queries: Vectors, top_k: int, n_all: int, only: Any) -> list[Ranking]:
        """Rank by candidates; where a tie may be cut off at their end, by twice as many."""
        found: list[Ranking | None] = [None] * len(queries)
        n, open_ = min(n_all, top_k + MARGIN), np.arange(len(queries))
        while len(open_):
            scores, rows = self.candidates(queries[open_], n) if only is None else self.scan(queries[open_], n, only)
            sure = (scores[:, -1] < scores[:, top_k - 1] - self.tie) | (n == n_all)
            for i in np.flatnonzero(sure):
                exact = exact_scores(self.vectors, rows[i], queries[open_[i]])
                found[open_[i]] = ranked(self.doc_ids[rows[i]], exact, top_k)
            n, open_ = min(n_all, 2 * n), open_[~sure]
        return [ranking for ranking in found if ranking is not None]

    def candidates(self, queries: Vectors, n: int) -> Candidates:
        """The n best rows of each query, n at most the size, by scores that are right to within `tie`."""
        return self.scan(queries, n, None)

    def scan(self, queries: Vectors, n: int, only: Any) -> Candidates:
        """FAISS's own exhaustive search on the CPU; `only` are search parameters with a selector, or None."""
        scores, rows = self.flat.search(queries, n, params=only)
        return scores, rows


def bitmap(members: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """The set of numbers below size as bits, the lowest first: what FAISS's IDSelectorBitmap reads."""
    mask = np.zeros(size, bool)
    mask[members] = True
    return np.packbits(mask, bitorder="little")
