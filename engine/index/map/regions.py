"""Regions of the map: clusters of the vectors, so that the records of one are about the same.

The centres are those of k-means with unit vectors (Dhillon and Modha, Mach Learn 2001;42:143,
doi:10.1023/A:1007612920971), from at most 20,000 records spread over the corpus. The same vectors give the same
centres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.index.search.flat import FlatIndex
from engine.index.search.library import faiss
from engine.index.search.ranker import Ranker
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

MOST = 48  # regions
_SAMPLE = 20_000  # records that the centres are computed from
_LEAST = 8  # records of a region on average
_CHUNK = 16_384  # records looked at together
_ROUNDS = 20
_SEED = 1


def _count_regions(n_records: int) -> int:
    """Return the number of regions of so many records: it doubles while the records become sixteen times as many.

    >>> [_count_regions(n) for n in (0, 5, 40, 2_000, 40_000, 1_000_000)]
    [0, 1, 5, 13, 28, 48]
    """
    return min(MOST, int(round(2 * float(n_records) ** 0.25)), -(-n_records // _LEAST))


def find_centres(vectors: FlatIndex | Ranker, doc_ids: DocIds) -> Vectors:
    """Compute the centres of the regions of records, float32 (regions, dim), of unit length; those of no records: none.

    There are fewer than `_count_regions` says if fewer vectors differ.
    """
    rows = np.unique(np.linspace(0, len(doc_ids) - 1, min(_SAMPLE, len(doc_ids)), dtype=np.int64))
    points = np.ascontiguousarray(vectors.get_points(doc_ids[rows]))
    n = min(_count_regions(len(doc_ids)), len(np.unique(points, axis=0)))
    if not n:
        return np.zeros((0, vectors.dim), np.float32)
    means = faiss.Kmeans(
        vectors.dim,
        n,
        niter=_ROUNDS,
        seed=_SEED,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_SAMPLE,
    )
    means.train(points)
    centres: Vectors = means.centroids.reshape(n, vectors.dim)
    return centres


def find_neighbours(points: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the cosines and rows, (n, k) each, of the k points nearest to each of some (n, dim); n is at least k.

    A point is among its own neighbours, first unless another is equal.
    """
    points = np.ascontiguousarray(points)
    cosines, rows = faiss.knn(points, points, k, metric=faiss.METRIC_INNER_PRODUCT)
    return cosines, rows


def find_regions(vectors: FlatIndex | Ranker, doc_ids: DocIds, centres: Vectors) -> NDArray[np.uint16]:
    """Return for each record (n,) the row of the nearest centre, the first of several; there must be one."""
    numbers = [np.empty(0, np.uint16)]
    for start in range(0, len(doc_ids), _CHUNK):
        points = vectors.get_points(doc_ids[start : start + _CHUNK])
        numbers.append((points @ centres.T).argmax(axis=1).astype(np.uint16))
    return np.concatenate(numbers)
