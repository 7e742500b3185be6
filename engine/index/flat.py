"""Exact inner-product search over vectors that are mapped from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError, UsageError
from engine.index.exact import TIE, compute_scores, find_best_rows, order_rows, rank_rows
from engine.index.layout import map_file
from engine.index.library import faiss
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

METRIC = "inner_product"
_MARGIN = 16  # candidates beyond top_k, so that ties at the end are seen
BATCH = 256  # queries scanned at once: FAISS reads the vectors once for all of them
_MANY = 16  # queries at once, from which on matrix products are faster than FAISS's scan
PASSAGES = 3  # rows looked at for each record wanted, where records have several
_FEW = 256  # rows that are scored one by one sooner than FAISS scans past the others

Ranking = list[tuple[int, float]]  # (doc id, score), best first
Candidates = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores and rows, both (q, n)


class FlatIndex:
    """A published vectors.faiss, memory-mapped and read-only. Safe to search from several threads.

    A record may have several vectors, one for each of its passages; then its score is the best of theirs.
    """

    tie = TIE  # what the scores of `candidates` may be off by

    def __init__(self, path: Path, dim: int) -> None:
        """Map the file.

        Raises:
            CorruptError: not an IDMap2,Flat inner-product index of this dimension.
        """
        found = map_file(path, dim)
        self.path = path
        self.dim = dim
        self.doc_ids: DocIds = found.doc_ids  # of each row
        self.n_rows = len(found.doc_ids)
        self.vectors: Vectors = found.vectors
        self.inner = found.inner  # FAISS reads from it as long as this object lives
        try:
            self.flat: Any = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(found.inner), found.inner.size))
        except (RuntimeError, MemoryError) as err:
            raise CorruptError(f"{path} can't be read by FAISS: {str(err)[:200]}. Run: engine rollback") from err
        # Files of the engine are in the order of the ids; one that is not is searched in that order all the same.
        ascending = bool((np.diff(self.doc_ids) > 0).all())  # and each there once
        self.order: NDArray[np.int64] | None = None if ascending else np.argsort(self.doc_ids, kind="stable")
        self.size = self.n_rows if ascending else len(np.unique(self.doc_ids))  # records
        self.several = self.size < self.n_rows

    def find_rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """The first row number of each of the doc ids; an id that is not there has row -1."""
        if self.n_rows == 0:
            return np.full(len(doc_ids), -1, dtype=np.int64)
        place = np.searchsorted(self.doc_ids, doc_ids, sorter=self.order).clip(max=self.n_rows - 1)
        rows = place if self.order is None else self.order[place]
        found: NDArray[np.int64] = np.where(self.doc_ids[rows] == doc_ids, rows, -1)
        return found

    def find_all_rows(self, doc_ids: DocIds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All rows of doc ids that are there, id after id, and how many each has."""
        if not self.several:
            return self.find_rows(doc_ids), np.ones(len(doc_ids), np.int64)
        starts = np.searchsorted(self.doc_ids, doc_ids, "left", self.order)
        counts = np.searchsorted(self.doc_ids, doc_ids, "right", self.order) - starts
        firsts = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        places = firsts + np.arange(len(firsts))
        return (places if self.order is None else self.order[places]), counts

    def get_points(self, doc_ids: DocIds) -> Vectors:
        """A unit vector (n, dim) for each of the doc ids, which are all there; of several passages, their mean."""
        rows, counts = self.find_all_rows(doc_ids)
        vectors: Vectors = self.vectors[rows]
        if not self.several or not len(doc_ids):
            return vectors
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        means = np.add.reduceat(vectors.astype(np.float64), starts, axis=0)
        points: Vectors = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
        return points

    def search(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Find the best (doc id, score) of each query, best first: score descending, then id ascending.

        queries is float32 (q, dim), unit length. Each list has min(top_k, size) items, never padding. Scores are
        inner products in [-1, 1], summed in float64 so that equal vectors score equal wherever they lie.

        Raises:
            UsageError: queries of another shape, or not finite, or top_k below 1.
        """
        queries = self.check_queries(queries, top_k)
        return self.rank(queries, min(top_k, self.size)) if self.size else [[] for _ in queries]

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int) -> list[Ranking]:
        """Find the best of some doc ids for each query: as search, and nothing else is ranked.

        doc_ids is int64 (n,), distinct; one that is not in the index is left out. Each list has top_k items, fewer only
        when fewer of them are there.

        Raises:
            UsageError: queries of another shape, or not finite, or top_k below 1.
        """
        queries = self.check_queries(queries, top_k)
        there = doc_ids[self.find_rows(doc_ids) >= 0]
        rows = self.find_all_rows(there)[0]
        return self.rank_among(queries, rows, min(top_k, len(there))) if len(there) else [[] for _ in queries]

    def check_queries(self, queries: Vectors, top_k: int) -> Vectors:
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
            found += self.settle_ranking(queries[start : start + BATCH], top_k, self.n_rows, None)
        return found

    def rank_among(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank the records of some rows, exactly; top_k is at most their number."""
        if len(rows) <= _FEW:
            return [self.rank_candidates(rows, query, top_k) for query in queries]
        selector = faiss.IDSelectorBitmap(build_bitmap(rows, self.n_rows))
        return self.settle_ranking(queries, top_k, len(rows), faiss.SearchParameters(sel=selector))

    def settle_ranking(self, queries: Vectors, top_k: int, n_all: int, only: Any) -> list[Ranking]:
        """Rank by candidates; where a tie may be cut off at their end, by twice as many."""
        found: list[Ranking | None] = [None] * len(queries)
        n, open_ = min(n_all, (top_k + _MARGIN) * (PASSAGES if self.several else 1)), np.arange(len(queries))
        while len(open_):
            scores, rows = (
                self.find_candidates(queries[open_], n) if only is None else self.scan(queries[open_], n, only)
            )
            for i, at in enumerate(open_):
                if n == n_all or self.is_enough(scores[i], rows[i], top_k):
                    found[at] = self.rank_candidates(rows[i], queries[at], top_k)
            n, open_ = min(n_all, 2 * n), np.array([at for at in open_ if found[at] is None], np.int64)
        return [ranking for ranking in found if ranking is not None]

    def is_enough(self, scores: NDArray[np.float32], rows: NDArray[np.int64], top_k: int) -> bool:
        """Whether the best rows of a scan, by scores right to within `tie`, settle who the top_k records are."""
        if self.several:
            firsts = np.sort(np.unique(self.doc_ids[rows], return_index=True)[1])  # of each record the best
            return len(firsts) >= top_k and bool(scores[-1] < scores[firsts[top_k - 1]] - self.tie)
        return bool(scores[-1] < scores[top_k - 1] - self.tie)

    def rank_candidates(self, rows: NDArray[np.int64], query: Vectors, top_k: int) -> Ranking:
        """The records of some rows, exactly scored."""
        scores = compute_scores(self.vectors, rows, query)
        return rank_rows(self.doc_ids[rows], scores, top_k, several=self.several)

    def find_candidates(self, queries: Vectors, n: int) -> Candidates:
        """The n best rows of each query, n at most the size, by scores that are right to within `tie`."""
        return self.scan(queries, n, None)

    def scan(self, queries: Vectors, n: int, only: Any) -> Candidates:
        """FAISS's own exhaustive search on the CPU; `only` are search parameters with a selector, or None."""
        if only is None and len(queries) >= _MANY:
            return find_best_rows(self.vectors, queries, n)
        scores, rows = self.flat.search(queries, n, params=only)
        return scores, rows

    def score_ids(self, query: Vectors, doc_ids: DocIds) -> NDArray[np.float32]:
        """The exact scores (n,) of one query (dim,) and doc ids (n,) that are all in the index, in their order."""
        rows, counts = self.find_all_rows(doc_ids)
        scores = compute_scores(self.vectors, rows, query)
        if not self.several or not len(doc_ids):
            return scores
        best: NDArray[np.float32] = np.maximum.reduceat(scores, np.concatenate([[0], np.cumsum(counts)[:-1]]))
        return best

    def find_places(self, query: Vectors, doc_ids: DocIds, among: DocIds | None = None) -> NDArray[np.int64]:
        """The ranks (n,) that doc ids have in the whole ranking of one query (dim,), from 1; 0 for one that has none.

        among restricts the ranking, as in search_among; without it every record is ranked. All scores are computed.
        """
        there = None if among is None else among[self.find_rows(among) >= 0]
        rows = np.arange(self.n_rows) if there is None else self.find_all_rows(there)[0]
        ids, scores = self.doc_ids[rows], compute_scores(self.vectors, rows, query)
        order = order_rows(ids, scores, several=self.several)
        places = dict(zip(ids[order].tolist(), range(1, len(order) + 1), strict=True))
        return np.array([places.get(doc_id, 0) for doc_id in doc_ids.tolist()], dtype=np.int64)


def build_bitmap(members: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """The set of numbers below size as bits, the lowest first: what FAISS's IDSelectorBitmap reads."""
    mask = np.zeros(size, bool)
    mask[members] = True
    return np.packbits(mask, bitorder="little")
