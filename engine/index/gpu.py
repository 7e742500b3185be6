"""Unfiltered exact search on a GPU. Filtered searches run on the CPU.

FAISS's GPU indexes accept a selector but silently ignore it, and return at most 2,048 hits. So a search with a filter,
or for more hits, runs on the CPU over the same vectors, with the same ranking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ConfigError
from engine.index.flat import Candidates, FlatIndex, Ranking
from engine.index.library import faiss
from engine.records.encoder import Vectors

_MAX_K = 2048  # faiss/gpu/impl/IndexUtils.cpp, for float32 keys
_CHUNK = 65_536  # vectors copied per call
_TIE = 1e-4  # cuBLAS may sum in another order and precision than the CPU

_Scanner = Callable[[Vectors, int], Candidates]  # queries, n -> scores and rows of the n best; accepts no filter


class GpuIndex(FlatIndex):
    """The vectors of a generation, with a copy on a GPU. Safe to search from several threads."""

    tie = _TIE

    def __init__(self, path: Path, dim: int, filtered: FlatIndex, scanner: Callable[[Vectors], _Scanner]) -> None:
        """Map the file and copy the vectors; `filtered` runs searches that have a filter.

        Raises:
            CorruptError: not a vectors file.
        """
        super().__init__(path, dim)
        self.filtered = filtered
        self.on_gpu = scanner(self.vectors)
        self.lock = threading.Lock()  # FAISS's GPU resources serve one search at a time

    def find_candidates(self, queries: Vectors, n: int) -> Candidates:
        """Find the n best rows of each query, on the GPU unless n is too large for it."""
        if n > _MAX_K:
            return super().find_candidates(queries, n)
        with self.lock:
            return self.on_gpu(queries, n)

    def rank_among(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank some rows on the CPU; top_k is at most their number."""
        return self.filtered.rank_among(queries, rows, top_k)


def _count_gpus() -> int:
    """Return the number of GPUs that this build of FAISS can use."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def open_gpu_scanner(vectors: Vectors) -> _Scanner:
    """Copy vectors (n, dim) to the first GPU, in float32, and return a function that searches them exhaustively.

    Raises:
        ConfigError: FAISS finds no GPU.
    """
    if _count_gpus() == 0:
        raise ConfigError(
            "FAISS finds no GPU here. Leave out --device cuda, or install faiss-gpu: pip install 'abstract-engine[gpu]'"
        )
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexFlatIP(resources, vectors.shape[1])
    for start in range(0, len(vectors), _CHUNK):
        index.add(np.array(vectors[start : start + _CHUNK]))

    index.kept_alive = resources  # FAISS itself keeps no reference

    def scan(queries: Vectors, n: int) -> Candidates:
        scores, rows = index.search(queries, n)
        return scores, rows

    return scan


def open_clustering_index(dim: int) -> object | None:
    """Return an index on all GPUs in which k-means can look up centroids; None where there is no GPU."""
    return faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(dim)) if _count_gpus() else None
