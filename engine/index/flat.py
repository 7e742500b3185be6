"""Exact inner-product search: FAISS ``IDMap2,Flat``. The only module that imports faiss; -1 never leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError, MissingExtraError, UsageError
from engine.records import DocIds, Vectors

try:
    import faiss
except ImportError as missing:
    raise MissingExtraError("FAISS", "[cpu], [gpu] or [lite]") from missing

FACTORY = "IDMap2,Flat"
METRIC = "inner_product"
FOURCC = b"IxM2"  # an IDMap2 file; nothing else is handed to FAISS's reader
MARGIN = 16  # candidates beyond top_k, so that ties at the end are seen
CHUNK = 8192  # rows taken to float64 at once
TIE = 1e-5  # scores nearer than this may swap between FAISS's kernels; float32 sums of 384 products err by 1e-6


def serialized(doc_ids: DocIds, vectors: Vectors) -> NDArray[np.uint8]:
    """The FAISS file of an index as bytes. ids (n,) int64 and distinct, vectors (n, dim) float32, rows matching.

    The caller writes them: faiss.write_index reports success on a full disk.
    """
    index: Any = faiss.index_factory(vectors.shape[1], FACTORY, faiss.METRIC_INNER_PRODUCT)
    index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(doc_ids, np.int64))
    content: NDArray[np.uint8] = faiss.serialize_index(index)
    return content


class FlatIndex:
    """A published vectors.faiss, memory-mapped and read-only. Safe to search from several threads."""

    def __init__(self, path: Path, dim: int) -> None:
        """Map the file.

        Raises:
            CorruptError: not an IDMap2,Flat inner-product index of this dimension.
        """
        self.path = path
        try:
            with path.open("rb") as file:
                if file.read(4) != FOURCC:
                    raise CorruptError(f"{path} is not an {FACTORY} index. Run: engine rollback")
            index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
            flat = faiss.downcast_index(index.index)
        except (RuntimeError, OSError, MemoryError) as err:
            raise CorruptError(f"{path} can't be read by FAISS: {str(err)[:200]}. Run: engine rollback") from err
        if not isinstance(flat, faiss.IndexFlat) or index.metric_type != faiss.METRIC_INNER_PRODUCT or index.d != dim:
            raise CorruptError(
                f"{path} is not an {FACTORY} inner-product index of {dim} dimensions. Run: engine rollback"
            )
        self.index = index
        self.dim: int = dim
        self.size: int = index.ntotal
        self.doc_ids: DocIds = faiss.vector_to_array(index.id_map)
        # A view of the mapped file; self.index keeps it alive.
        self.vectors: Vectors = faiss.rev_swig_ptr(flat.get_xb(), self.size * dim).reshape(self.size, dim)
        self.order: NDArray[np.int64] = np.argsort(self.doc_ids, kind="stable")

    def rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Row numbers of doc ids; an id that is not there has row -1."""
        if self.size == 0:
            return np.full(len(doc_ids), -1, dtype=np.int64)
        place = np.searchsorted(self.doc_ids, doc_ids, sorter=self.order).clip(max=self.size - 1)
        rows = self.order[place]
        found: NDArray[np.int64] = np.where(self.doc_ids[rows] == doc_ids, rows, -1)
        return found

    def vector(self, doc_id: int) -> Vectors | None:
        """The stored vector of one doc id, float32 (dim,), or None."""
        row = int(self.rows(np.array([doc_id], dtype=np.int64))[0])
        return None if row < 0 else np.array(self.vectors[row])

    def search(self, queries: Vectors, top_k: int) -> list[list[tuple[int, float]]]:
        """Find the best (doc id, score) of each query, best first: score descending, then id ascending.

        queries is float32 (q, dim), unit length. Each list has min(top_k, size) items, never padding. Scores are
        inner products in [-1, 1], summed in float64 so that equal vectors score equal wherever they lie.

        Raises:
            UsageError: queries of another shape, or not finite, or top_k below 1.
        """
        self.check(queries, top_k)
        queries = np.ascontiguousarray(queries, np.float32)
        return [self.best(query, min(top_k, self.size)) for query in queries] if self.size else [[] for _ in queries]

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int) -> list[list[tuple[int, float]]]:
        """Find the best of some doc ids for each query: as search, exactly, and nothing else is ranked.

        doc_ids is int64 (n,), distinct; one that is not in the index is left out. Each list has top_k items, fewer only
        when fewer of them are there.

        Raises:
            UsageError: queries of another shape, or not finite, or top_k below 1.
        """
        self.check(queries, top_k)
        rows = self.rows(doc_ids)
        candidates, rows = doc_ids[rows >= 0], rows[rows >= 0]
        return [ranked(candidates, exact_scores(self.vectors, rows, query), top_k) for query in queries]

    def check(self, queries: Vectors, top_k: int) -> None:
        """Refuse queries that make no sense.

        Raises:
            UsageError: of another shape, or not finite, or top_k below 1.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim or not np.isfinite(queries).all():
            raise UsageError(f"query vectors of shape {queries.shape}, expected finite (n, {self.dim})")
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}, expected 1 or more")

    def best(self, query: Vectors, top_k: int) -> list[tuple[int, float]]:
        """Rank one query; widens the candidates until no tie is cut off at the end."""
        n = min(self.size, top_k + MARGIN)
        while True:
            scores, ids = self.index.search(query[None, :], n)
            if n == self.size or scores[0, -1] < scores[0, top_k - 1] - TIE:
                break
            n = min(self.size, 2 * n)
        candidates = ids[0][ids[0] >= 0]
        return ranked(candidates, exact_scores(self.vectors, self.rows(candidates), query), top_k)


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
