"""Exact inner-product search over memory-mapped vectors."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError, UsageError
from engine.index.files.lookup import check_order, find_positions
from engine.index.search.exact import TIE, compute_scores, find_best_rows, order_rows, rank_rows
from engine.index.search.layout import map_file
from engine.index.search.library import faiss
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

METRIC = "inner_product"
_MARGIN = 16  # candidates beyond top_k, so that ties at the end are noticed
BATCH = 256  # queries per scan: FAISS reads the vectors once for all of them
_MANY = 16  # queries; with this many, matrix products are faster than FAISS's scan
_PASSAGES = 3  # rows fetched per requested record, where records have several
_FEW = 256  # rows; up to this many, scoring each is faster than a scan by FAISS
_COPIED = 1 << 16  # ids; up to this many are copied to memory, where finding one is faster

Ranking = list[tuple[int, float]]  # (doc id, score), best first
Candidates = tuple[NDArray[np.float32], NDArray[np.int64]]  # scores and rows, both (q, n)


class DeadRows:
    """Rows of an index that searches leave out, with the selectors that FAISS needs for that."""

    def __init__(self, doc_ids: DocIds, rows: NDArray[np.int64]) -> None:
        """Keep doc ids (m,) and all their rows, both ascending, neither empty."""
        self.doc_ids = doc_ids
        self.rows = rows
        self.bits = build_bitmap(rows, int(rows[-1]) + 1)
        self.living = _select_others(self.bits)
        self.parameters = faiss.SearchParameters(sel=self.living[0])

    @cached_property
    def living_ids(self) -> tuple[Any, ...]:
        """A selector by id, for codes, and what it is made of."""
        return _select_others(build_bitmap(self.doc_ids, int(self.doc_ids[-1]) + 1))

    def has_rows(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some rows (n,) are dead."""
        places = rows >> 3
        inside = places < len(self.bits)
        found: NDArray[np.bool_] = inside & (self.bits[np.where(inside, places, 0)] >> (rows & 7) & 1).astype(bool)
        return found


def _select_others(bits: NDArray[np.uint8]) -> tuple[Any, ...]:
    """Return a selector of the numbers outside a bitmap, and what it is made of, which FAISS keeps no reference to."""
    members = faiss.IDSelectorBitmap(bits)
    return faiss.IDSelectorNot(members), members, bits


class FlatRows:
    """Vectors under doc ids, ranked exactly. Safe to search from several threads.

    A record may have several vectors, one per passage; its score is then the best of their scores.
    """

    tie = TIE  # largest error of the scores of `find_candidates`
    is_exact = True  # a search misses no hit

    def __init__(self, doc_ids: DocIds, vectors: Vectors, flat: Any, size: int | None = None) -> None:
        """Keep doc ids (n,), vectors (n, dim) and FAISS's flat index of them.

        size is the number of records. Where it is given, doc_ids is known to be ascending and is not read.
        """
        self.doc_ids = doc_ids  # of each row
        self.n_rows, self.dim = len(doc_ids), int(vectors.shape[1])
        self.vectors = vectors
        self.flat = flat
        ascending, distinct = (True, size) if size is not None else check_order(doc_ids)
        # The engine writes ids in ascending order; a file in another order is searched through a sorted view.
        self.order: NDArray[np.int64] | None = None if ascending else np.argsort(doc_ids, kind="stable")
        self.ascending = doc_ids if self.order is None else doc_ids[self.order]
        self.size = distinct if ascending else len(np.unique(doc_ids))  # records
        self.several = self.size < self.n_rows

    def find_rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Return the first row of each doc id, (n,); -1 for an id that is not in the index."""
        if self.n_rows == 0:
            return np.full(len(doc_ids), -1, dtype=np.int64)
        place = find_positions(self.ascending, doc_ids, distinct=not self.several).clip(max=self.n_rows - 1)
        rows = place if self.order is None else self.order[place]
        known: NDArray[np.int64] = np.where(self.doc_ids[rows] == doc_ids, rows, -1)
        return known

    def find_all_rows(self, doc_ids: DocIds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all rows of doc ids (n,), id after id, and how many each id has, (n,). All ids must be indexed."""
        if not self.several:
            return self.find_rows(doc_ids), np.ones(len(doc_ids), np.int64)
        starts = find_positions(self.ascending, doc_ids)
        counts = find_positions(self.ascending, doc_ids, "right") - starts
        firsts = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        places = firsts + np.arange(len(firsts))
        return (places if self.order is None else self.order[places]), counts

    def find_end(self, row: int) -> int:
        """Return the first row from a row on, in the order of ids, that begins another record; n_rows at the end."""
        if row >= self.n_rows or not self.several:
            return min(row, self.n_rows)
        return int(find_positions(self.ascending, self.ascending[row - 1 : row], "right")[0])

    def get_points(self, doc_ids: DocIds) -> Vectors:
        """Return one unit vector per doc id, (n, dim); of several passages, their mean. All ids must be indexed."""
        rows, counts = self.find_all_rows(doc_ids)
        vectors: Vectors = self.vectors[rows]
        if not self.several or not len(doc_ids):
            return vectors
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        means = np.add.reduceat(vectors.astype(np.float64), starts, axis=0)
        points: Vectors = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
        single = counts == 1  # as stored, so that a record has the same point in every segment
        points[single] = vectors[starts[single]]
        return points

    def search(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Find the best (doc id, score) of each query, best first: score descending, then id ascending.

        queries is float32 (q, dim), unit length. Each list has min(top_k, size) items, never padding. Scores are
        inner products in [-1, 1], summed in float64, so that equal vectors get equal scores wherever they are stored.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
        """
        queries = check_queries(queries, top_k, self.dim)
        return self.rank(queries, min(top_k, self.size)) if self.size else [[] for _ in queries]

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int) -> list[Ranking]:
        """Find the best of some doc ids for each query, as `search` does; no other ids are ranked.

        doc_ids is int64 (n,), distinct; ids that are not in the index are ignored. Each list has top_k items, or fewer
        if fewer of the ids are in the index.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
        """
        queries = check_queries(queries, top_k, self.dim)
        known = doc_ids[self.find_rows(doc_ids) >= 0]
        rows = self.find_all_rows(known)[0]
        return self.rank_among(queries, rows, min(top_k, len(known))) if len(known) else [[] for _ in queries]

    def rank(
        self, queries: Vectors, top_k: int, dead: DeadRows | None = None, *, shallow: bool = False
    ) -> list[Ranking]:
        """Rank all records but the dead; top_k is at most their number. shallow: only an approximate index uses it."""
        rankings: list[Ranking] = []
        n_all = self.n_rows - (0 if dead is None else len(dead.rows))
        for start in range(0, len(queries), BATCH):
            rankings += self.settle_ranking(queries[start : start + BATCH], top_k, n_all, dead)
        return rankings

    def rank_exhaustively(self, queries: Vectors, top_k: int, dead: DeadRows | None = None) -> list[Ranking]:
        """Rank as `rank` does, by comparing all vectors."""
        return FlatRows.rank(self, queries, top_k, dead)

    def rank_members(
        self, queries: Vectors, bits: NDArray[np.uint8], n: int, top_k: int, *, shallow: bool = False
    ) -> list[Ranking | None]:
        """Rank some ids without a look at their rows, where the index can; None for each query where it can't."""
        return [None] * len(queries)

    def rank_among(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank the records of some rows exactly; top_k is at most their number."""
        if len(rows) <= _FEW:
            return [self.rank_candidates(rows, query, top_k) for query in queries]
        selector = faiss.IDSelectorBitmap(build_bitmap(rows, self.n_rows))
        return self.settle_ranking(queries, top_k, len(rows), faiss.SearchParameters(sel=selector))

    def settle_ranking(self, queries: Vectors, top_k: int, n_all: int, only: Any) -> list[Ranking]:
        """Rank the candidates of each query; where a tie may be cut off, fetch twice as many and rank again."""
        rankings: list[Ranking | None] = [None] * len(queries)
        n, open_ = min(n_all, (top_k + _MARGIN) * (_PASSAGES if self.several else 1)), np.arange(len(queries))
        while len(open_):
            scores, rows = (
                self.find_candidates(queries[open_], n) if only is None else self.scan(queries[open_], n, only)
            )
            for i, at in enumerate(open_):
                if n == n_all or self.is_enough(scores[i], rows[i], top_k):
                    rankings[at] = self.rank_candidates(rows[i], queries[at], top_k)
            n, open_ = min(n_all, 2 * n), np.array([at for at in open_ if rankings[at] is None], np.int64)
        return [ranking for ranking in rankings if ranking is not None]

    def is_enough(self, scores: NDArray[np.float32], rows: NDArray[np.int64], top_k: int) -> bool:
        """Return whether the best rows of a scan, with scores accurate to `tie`, determine the top_k records."""
        if self.several:
            firsts = np.sort(np.unique(self.doc_ids[rows], return_index=True)[1])  # the best row of each record
            return len(firsts) >= top_k and bool(scores[-1] < scores[firsts[top_k - 1]] - self.tie)
        return bool(scores[-1] < scores[top_k - 1] - self.tie)

    def rank_candidates(self, rows: NDArray[np.int64], query: Vectors, top_k: int) -> Ranking:
        """Score the records of some rows exactly and return the top_k best."""
        rows = self.keep_best_rows(rows, query, top_k)
        scores = compute_scores(self.vectors, rows, query)
        return rank_rows(self.doc_ids[rows], scores, top_k, several=self.several)

    def keep_best_rows(self, rows: NDArray[np.int64], query: Vectors, n: int) -> NDArray[np.int64]:
        """Return the rows that may be those of the n best, judged by float32 sums, which are faster than exact ones."""
        if self.several or len(rows) <= 2 * n:
            return rows
        scores = np.empty(len(rows), np.float32)
        arrays = (np.ascontiguousarray(query), scores, np.ascontiguousarray(rows))  # FAISS keeps no reference to them
        one, found, chosen = map(faiss.swig_ptr, arrays)
        self.flat.compute_distance_subset(1, one, len(rows), found, chosen)
        kept: NDArray[np.int64] = rows[scores >= np.partition(scores, -n)[-n] - 2 * TIE]
        return kept

    def find_candidates(self, queries: Vectors, n: int) -> Candidates:
        """Find the n best rows of each query by scores accurate to `tie`; n is at most the number of rows."""
        return self.scan(queries, n, None)

    def scan(self, queries: Vectors, n: int, only: Any) -> Candidates:
        """Search all rows on the CPU, all but the dead, or those that FAISS's search parameters select."""
        dead = only if isinstance(only, DeadRows) else None
        if len(queries) >= _MANY and (only is None or dead is not None):
            return find_best_rows(self.vectors, queries, n, None if dead is None else dead.rows)
        scores, rows = self.flat.search(queries, n, params=only if dead is None else dead.parameters)
        return scores, rows

    def score_ids(self, query: Vectors, doc_ids: DocIds) -> NDArray[np.float32]:
        """Return the exact scores (n,) of one query (dim,) with doc ids (n,), in their order. All must be indexed."""
        rows, counts = self.find_all_rows(doc_ids)
        scores = compute_scores(self.vectors, rows, query)
        if not self.several or not len(doc_ids):
            return scores
        best: NDArray[np.float32] = np.maximum.reduceat(scores, np.concatenate([[0], np.cumsum(counts)[:-1]]))
        return best

    def find_places(self, query: Vectors, doc_ids: DocIds, among: DocIds | None = None) -> NDArray[np.int64]:
        """Return the ranks (n,) of doc ids in the full ranking of one query (dim,), from 1; 0 for ids not ranked.

        among restricts the ranking, as in `search_among`; without it every record is ranked. All scores are computed.
        """
        known = None if among is None else among[self.find_rows(among) >= 0]
        rows = np.arange(self.n_rows) if known is None else self.find_all_rows(known)[0]
        ids, scores = self.doc_ids[rows], compute_scores(self.vectors, rows, query)
        order = order_rows(ids, scores, several=self.several)
        places = dict(zip(ids[order].tolist(), range(1, len(order) + 1), strict=True))
        return np.array([places.get(doc_id, 0) for doc_id in doc_ids.tolist()], dtype=np.int64)


class FlatIndex(FlatRows):
    """A published vectors.faiss, memory-mapped and read-only."""

    def __init__(self, path: Path, dim: int, size: int | None = None) -> None:
        """Map the file.

        size is the number of records, where a checked receipt says it: then the ids, which were found in ascending
        order when the file was checked, are not read again, and opening costs the same for every size.

        Raises:
            CorruptError: not an IDMap2,Flat inner-product index of this dimension, or it can't hold so many records.
        """
        mapped = map_file(path, dim)
        self.path = path
        self.inner = mapped.inner  # FAISS reads from it as long as this object lives
        try:
            flat = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(mapped.inner), mapped.inner.size))
        except (RuntimeError, MemoryError) as err:
            raise CorruptError(f"{path} can't be read by FAISS: {str(err)[:200]}. Run: engine verify") from err
        n = len(mapped.doc_ids)
        if size is not None and not (n >= size and (size > 0) == (n > 0)):
            raise CorruptError(f"{path} holds {n:,} vectors, expected those of {size:,} records. Run: engine verify")
        super().__init__(np.array(mapped.doc_ids) if n <= _COPIED else mapped.doc_ids, mapped.vectors, flat, size)


def check_queries(queries: Vectors, top_k: int, dim: int) -> Vectors:
    """Check queries and return them contiguous.

    Raises:
        UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
    """
    if queries.ndim != 2 or queries.shape[1] != dim or not np.isfinite(queries).all():
        raise UsageError(f"query vectors of shape {queries.shape}, expected finite (n, {dim})")
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}, expected 1 or more")
    return np.ascontiguousarray(queries, np.float32)


def build_bitmap(members: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Return a set of numbers below `size` as bits, lowest first, as FAISS's IDSelectorBitmap reads them."""
    if len(members) * 16 > size:  # faster, but takes a byte for each number
        mask = np.zeros(size, bool)
        mask[members] = True
        return np.packbits(mask, bitorder="little")
    bits = np.zeros((size + 7) // 8, np.uint8)
    np.bitwise_or.at(bits, members >> 3, np.left_shift(1, members & 7).astype(np.uint8))
    return bits
