"""Unfiltered exact search on a GPU. Filtered searches run on the CPU.

FAISS's GPU indexes accept a selector but silently ignore it, and return at most 2,048 hits. So a search with a filter,
or for more hits, runs on the CPU over the same vectors, with the same ranking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import ConfigError
from engine.index.search.exact import rank_rows
from engine.index.search.flat import Candidates, FlatRows, Ranking
from engine.index.search.library import faiss
from engine.index.search.parts import Part, SegmentedIndex
from engine.records.encoder import Vectors

_MAX_K = 2048  # faiss/gpu/impl/IndexUtils.cpp, for float32 keys
_TIE = 1e-4  # cuBLAS may sum in another order and precision than the CPU

_Scanner = Callable[[Vectors, int], Candidates]  # queries, n -> scores and rows of the n best; accepts no filter
_OpenScanner = Callable[[int, Iterable[Vectors]], _Scanner]  # dim, chunks of all vectors


class GpuIndex(SegmentedIndex):
    """The vectors of a generation, with a copy of those alive on a GPU. Safe to search from several threads."""

    def __init__(self, parts: Sequence[Part], dim: int, scanner: _OpenScanner) -> None:
        """Combine parts and copy the vectors of all records alive.

        Raises:
            CorruptError: an id is said to be dead in a segment that does not hold it.
        """
        super().__init__(parts, dim)
        self.is_exact = True  # a search without a filter uses no codes
        self.joined = _JoinedRows(self, scanner(dim, (vectors for _, vectors in self.scan_vectors())))

    def rank(self, queries: Vectors, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Rank all records alive; top_k is at most their number."""
        try:
            return self.joined.rank(queries, top_k)
        except _TooManyError:
            return self.rank_exhaustively(queries, top_k)


class _TooManyError(Exception):
    """More hits than a GPU returns are needed."""


class _JoinedRows(FlatRows):
    """The rows alive of all parts, one after the other, as they were copied to the GPU. Only `rank` can be used."""

    tie = _TIE

    def __init__(self, index: SegmentedIndex, on_gpu: _Scanner) -> None:
        ids = np.concatenate([np.empty(0, np.int64), *index.scan_ids()])
        super().__init__(ids, np.empty((0, index.dim), np.float32), None, index.size)
        self.index = index
        self.on_gpu = on_gpu
        self.lock = threading.Lock()  # FAISS's GPU resources serve one search at a time

    def find_candidates(self, queries: Vectors, n: int) -> Candidates:
        """Find the n best rows of each query on the GPU.

        Raises:
            _TooManyError: n is too large for it.
        """
        if n > _MAX_K:
            raise _TooManyError
        with self.lock:
            return self.on_gpu(queries, n)

    def rank_candidates(self, rows: NDArray[np.int64], query: Vectors, top_k: int) -> Ranking:
        """Score the records of some rows exactly and return the top_k best."""
        ids = np.unique(self.doc_ids[rows])
        return rank_rows(ids, self.index.score_ids(query, ids), top_k)


def _count_gpus() -> int:
    """Return the number of GPUs that this build of FAISS can use."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def open_gpu_scanner(dim: int, chunks: Iterable[Vectors]) -> _Scanner:
    """Copy vectors (n, dim), chunk by chunk, to the first GPU and return a function that searches them exhaustively.

    Raises:
        ConfigError: FAISS finds no GPU.
    """
    if _count_gpus() == 0:
        raise ConfigError(
            "FAISS finds no GPU here. Leave out --device cuda, or install faiss-gpu: pip install 'abstract-engine[gpu]'"
        )
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexFlatIP(resources, dim)
    for chunk in chunks:
        index.add(chunk)

    index.kept_alive = resources  # FAISS itself keeps no reference

    def scan(queries: Vectors, n: int) -> Candidates:
        scores, rows = index.search(queries, n)
        return scores, rows

    return scan


def open_clustering_index(dim: int) -> object | None:
    """Return an index on all GPUs in which k-means can look up centroids; None where there is no GPU."""
    return faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(dim)) if _count_gpus() else None
