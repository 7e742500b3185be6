"""The records of a generation, ranked by the nodes of a cluster that hold its segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.generations.folder import Generation
from engine.index.search.flat import Ranking, check_queries
from engine.index.search.parts import merge_rankings
from engine.records.encoder import Vectors
from engine.records.generation import DocIds
from engine.scale.ranking.cluster import Cluster
from engine.scale.ranking.holder import build_key
from engine.scale.ranking.relay import RelayedCluster


class RemoteIndex:
    """A Ranker: it asks each segment's nodes, and merges what they answer in the total order.

    A segment that no node answers for is an error that names it, never a shorter list.
    """

    def __init__(self, generation: Generation, cluster: Cluster | RelayedCluster) -> None:
        """Ask the cluster how many records its segments have.

        Raises:
            ClusterError: a segment can't be asked.
        """
        self.path: Path = generation.path
        self.dim: int = generation.manifest.encoder.dim
        self.is_exact = generation.manifest.ann is None
        self._names = [entry.name for entry in generation.manifest.segments]
        self._cluster = cluster
        self._key = build_key(generation)
        cluster.keep_copies(self, self._key, self._names)
        counts = self._ask("count")
        self.size, self.n_rows = sum(size for size, _ in counts), sum(n for _, n in counts)

    @property
    def cluster(self) -> Cluster | RelayedCluster:
        """The nodes that it asks."""
        return self._cluster

    @property
    def doc_ids(self) -> DocIds:
        """The ids of the records alive, (size,), ascending. Fetched at each use."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *self._ask("get_ids")]))

    def has_ids(self, doc_ids: DocIds) -> NDArray[np.bool_]:
        """Return which ids are alive, bool (n,)."""
        return self._has_known(doc_ids, None)

    def search(self, queries: Vectors, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Find the best (doc id, score) for each query, as SegmentedIndex does.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
            ClusterError: a segment can't be asked.
        """
        queries = check_queries(queries, top_k, self.dim)
        return self._merge(queries, top_k, self._ask("search", queries, top_k, shallow))

    def search_exhaustively(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Find what `search` finds by comparing all vectors.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
            ClusterError: a segment can't be asked.
        """
        queries = check_queries(queries, top_k, self.dim)
        return self._merge(queries, top_k, self._ask("search_exhaustively", queries, top_k))

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Find the best of some doc ids for each query, as SegmentedIndex does.

        Raises:
            UsageError: queries have the wrong shape or are not finite, or top_k is below 1.
            ClusterError: a segment can't be asked.
        """
        queries = check_queries(queries, top_k, self.dim)
        found = self._ask("search_among", queries, doc_ids, top_k, shallow) if len(doc_ids) else []
        return self._merge(queries, top_k, found)

    def score_ids(self, query: Vectors, doc_ids: DocIds) -> NDArray[np.float32]:
        """Return the exact scores (n,) of one query (dim,) with doc ids (n,), in their order.

        Raises:
            CorruptError: an id is not alive.
            ClusterError: a segment can't be asked.
        """
        scores = np.empty(len(doc_ids), np.float32)
        for at, found in self._ask_about(doc_ids, "score_known", query, doc_ids):
            scores[at] = found
        return scores

    def get_points(self, doc_ids: DocIds) -> Vectors:
        """Return one unit vector per doc id, (n, dim); of several passages, their mean.

        Raises:
            CorruptError: an id is not alive.
            ClusterError: a segment can't be asked.
        """
        points = np.empty((len(doc_ids), self.dim), np.float32)
        for at, found in self._ask_about(doc_ids, "get_known_points", doc_ids):
            points[at] = found
        return points

    def read_vectors(self, doc_ids: DocIds) -> tuple[Vectors, NDArray[np.int64]]:
        """Return the stored vectors of doc ids, (rows, dim), id after id, and how many each id has, (n,).

        Raises:
            CorruptError: an id is not alive.
            ClusterError: a segment can't be asked.
        """
        counts, found = np.zeros(len(doc_ids), np.int64), self._ask_about(doc_ids, "read_known", doc_ids)
        for at, _, n in found:
            counts[at] = n
        starts = np.cumsum(counts) - counts
        vectors = np.empty((int(counts.sum()), self.dim), np.float32)
        for at, rows, n in found:
            vectors[np.repeat(starts[at] - (np.cumsum(n) - n), n) + np.arange(len(rows))] = rows
        return vectors, counts

    def find_places(self, query: Vectors, doc_ids: DocIds, among: DocIds | None = None) -> NDArray[np.int64]:
        """Return the ranks (n,) of doc ids in the full ranking of one query (dim,), from 1; 0 for ids not ranked.

        Each segment counts its records that rank before them.

        Raises:
            ClusterError: a segment can't be asked.
        """
        places = np.zeros(len(doc_ids), np.int64)
        at = np.flatnonzero(self._has_known(doc_ids, among))
        if len(at):
            scores = self.score_ids(query, doc_ids[at])
            places[at] = 1 + np.sum(self._ask("count_better", query, doc_ids[at], scores, among), axis=0)
        return places

    def _has_known(self, doc_ids: DocIds, among: DocIds | None) -> NDArray[np.bool_]:
        """Return which ids are alive and among some."""
        found = np.zeros(len(doc_ids), bool)
        for one in self._ask("has_known", doc_ids, among) if len(doc_ids) else []:
            found |= one
        return found

    def _ask_about(self, doc_ids: DocIds, operation: str, *args: Any) -> list[Any]:
        """Return what each segment knows of some ids, each time with their positions; every id is known to one.

        Raises:
            CorruptError: an id is not alive.
        """
        found = self._ask(operation, *args) if len(doc_ids) else []
        there = np.zeros(len(doc_ids), bool)
        for at, *_ in found:
            there[at] = True
        if not there.all():
            lost = doc_ids[np.flatnonzero(~there)[0]]
            raise CorruptError(f"{self.path} has no vector for id {lost}. Run: engine verify --deep")
        return found

    def _ask(self, operation: str, *args: Any) -> list[Any]:
        """Return what each segment answers, in their order.

        Raises:
            ClusterError: a segment can't be asked.
        """
        return self._cluster.ask(self._key, self._names, operation, *args)

    def _merge(self, queries: Vectors, top_k: int, found: list[list[Ranking]]) -> list[Ranking]:
        """Merge what the segments found for each query."""
        return merge_rankings(found, top_k) if found else [[] for _ in queries]
