"""What ranks the vectors of a generation: in this process, or on other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.index.search.flat import Ranking
from engine.records.encoder import Vectors
from engine.records.generation import DocIds


class Ranker(Protocol):
    """The records alive in a generation, ranked by their vectors. Safe to use from several threads.

    SegmentedIndex is one, and says what each member does. Whatever ranks, scores are exact and the order is total:
    score descending, then id ascending. A record that can't be ranked is an error, never a shorter list.
    """

    @property
    def path(self) -> Path:
        """The file or folder of the vectors, for messages."""

    @property
    def dim(self) -> int:
        """Number of dimensions."""

    @property
    def size(self) -> int:
        """Number of records alive."""

    @property
    def n_rows(self) -> int:
        """Number of vectors of the records alive."""

    @property
    def is_exact(self) -> bool:
        """Whether a search without a filter misses no hit."""

    @property
    def doc_ids(self) -> DocIds:
        """The ids of the records alive, (size,), ascending."""

    def has_ids(self, doc_ids: DocIds) -> NDArray[np.bool_]:
        """Return which ids are alive, bool (n,)."""

    def search(self, queries: Vectors, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Find the best (doc id, score) for each query."""

    def search_exhaustively(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Find what `search` finds by comparing all vectors."""

    def search_among(self, queries: Vectors, doc_ids: DocIds, top_k: int, *, shallow: bool = False) -> list[Ranking]:
        """Find the best of some doc ids for each query."""

    def score_ids(self, query: Vectors, doc_ids: DocIds) -> NDArray[np.float32]:
        """Return the exact scores (n,) of one query (dim,) with doc ids (n,), which must be alive."""

    def get_points(self, doc_ids: DocIds) -> Vectors:
        """Return one unit vector per doc id, (n, dim); all ids must be alive."""

    def read_vectors(self, doc_ids: DocIds) -> tuple[Vectors, NDArray[np.int64]]:
        """Return the stored vectors of doc ids, id after id, and how many each has; all ids must be alive."""

    def find_places(self, query: Vectors, doc_ids: DocIds, among: DocIds | None = None) -> NDArray[np.int64]:
        """Return the ranks (n,) of doc ids in the full ranking of one query (dim,), from 1; 0 for ids not ranked."""
