"""Search by compressed codes with exact scores, for indexes too large to compare every vector."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.search.codes import read_ids_and_lists
from engine.index.search.exact import TIE, compute_scores
from engine.index.search.flat import BATCH, DeadRows, FlatIndex, Ranking, build_bitmap
from engine.index.search.library import faiss, use_threads
from engine.records.encoder import Vectors
from engine.records.generation import AnnSettings, DocIds

TUNED_FOR = 10  # hits; n_probe and n_rerank are set by recall@10
_DEEP = 1000  # hits; a search for more is exhaustive
_SPARSE = 200_000  # records that pass a filter; up to this many are compared exhaustively, which is then as fast
_SPREAD = 4  # a shallow search looks into one list in so many at most, but into all that 10 hits need
_MARGIN = 8  # candidates that a shallow search scores for each hit, at most


class IvfIndex(FlatIndex):
    """vectors.faiss with codes.faiss: the codes select candidates, the vectors give their scores.

    Scores are exact, but the codes may miss a hit; how often was measured (``Manifest.ann``). A search among up to
    _SPARSE ids misses nothing. A search among more uses the codes, and looks into more lists the more ids are excluded.
    A shallow search for many hits misses no more of the best ten, but more of the others.
    """

    is_exact = False

    def __init__(self, path: Path, codes: Path, dim: int, settings: AnnSettings, size: int | None = None) -> None:
        """Map both files. The codes are read in a thread, while the caller loads an encoder; the first search waits.

        size is the number of records, as for FlatIndex.

        Raises:
            CorruptError: not a vectors file, or the codes can't be read.
        """
        super().__init__(path, dim, size)
        self.settings = settings
        try:
            self.content = np.memmap(codes, np.uint8, "r")  # keeps the file open, in case a writer deletes it meanwhile
        except (OSError, ValueError) as err:  # ValueError: an empty file
            raise CorruptError(f"{codes} can't be read: {str(err)[:200]}. Run: engine verify") from err
        reader = ThreadPoolExecutor(1)
        self.reading = reader.submit(_read_codes, codes, self.content, dim, self.size)
        reader.shutdown(wait=False)

    @property
    def codes(self) -> Any:
        """The FAISS index of the codes.

        Raises:
            CorruptError: the file holds no codes, or not as many as there are vectors.
        """
        return self.reading.result()

    @property
    def n_lists(self) -> int:
        """Number of lists that the codes are sorted into."""
        return int(self.codes.nlist)

    def read_code_ids(self) -> DocIds:
        """Return the ids in codes.faiss, in no particular order."""
        return read_ids_and_lists(self.codes)[0]

    def rank(
        self, queries: Vectors, top_k: int, dead: DeadRows | None = None, *, shallow: bool = False
    ) -> list[Ranking]:
        """Rank all records but the dead; top_k is at most their number."""
        if top_k > _DEEP:
            return self.rank_exhaustively(queries, top_k, dead)
        n_probe, depth = self.choose_depth(top_k, shallow=shallow)
        if dead is None:
            rankings = self.probe(queries, top_k, n_probe, depth)
        else:  # fewer ids of each list are alive
            n_probe = math.ceil(n_probe * self.size / (self.size - len(dead.doc_ids)))
            rankings = self.probe(queries, top_k, n_probe, depth, dead.living_ids[0])
        return [
            self.rank_exhaustively(q[None], top_k, dead)[0] if r is None else r
            for q, r in zip(queries, rankings, strict=True)
        ]

    def search_exhaustively(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Rank all vectors by comparing all of them; top_k is at most their number."""
        return self.rank_exhaustively(queries, top_k)

    def rank_among(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank some rows, by codes if there are many; top_k is at most their number."""
        ids, among = self.doc_ids[rows], super().rank_among
        rankings = self.rank_members(queries, build_bitmap(ids, int(ids.max()) + 1), len(rows), top_k)
        return [among(q[None], rows, top_k)[0] if r is None else r for q, r in zip(queries, rankings, strict=True)]

    def rank_members(
        self, queries: Vectors, bits: NDArray[np.uint8], n: int, top_k: int, *, shallow: bool = False
    ) -> list[Ranking | None]:
        """Rank n ids of the index by codes; bits is what `build_bitmap` makes of them, top_k is at most n.

        None for each query for which all their vectors must be compared: they are few, or many hits are wanted.
        """
        if n <= _SPARSE or top_k > _DEEP:
            return [None] * len(queries)
        n_probe, depth = self.choose_depth(top_k, shallow=shallow)
        # Fewer ids of each list pass the filter, so more lists must be searched for as many candidates.
        n_probe = math.ceil(n_probe * self.size / n)
        return self.probe(queries, top_k, n_probe, depth, faiss.IDSelectorBitmap(bits))

    def choose_depth(self, top_k: int, *, shallow: bool = False) -> tuple[int, int]:
        """Return how many lists to search and candidates to score for top_k hits; more hits need more of both."""
        more = max(1.0, top_k / TUNED_FOR)
        n_probe, depth = self.settings.n_probe * math.sqrt(more), self.settings.n_rerank * more
        if shallow:
            n_probe = min(n_probe, max(self.settings.n_probe, self.n_lists / _SPREAD))
            depth = min(depth, max(self.settings.n_rerank, _MARGIN * top_k))
        return math.ceil(n_probe), math.ceil(depth)

    def probe(
        self, queries: Vectors, top_k: int, n_probe: int, depth: int, selector: Any = None
    ) -> list[Ranking | None]:
        """Rank the best `depth` candidates of the nearest lists; None for a query with fewer than top_k candidates."""
        rankings: list[Ranking | None] = []
        for start in range(0, len(queries), BATCH):
            part = queries[start : start + BATCH]
            for query, row in zip(part, self.find_candidate_ids(part, n_probe, depth, selector), strict=True):
                rows = self.find_rows(row[row >= 0])
                rankings.append(self.rank_candidates(rows, query, top_k) if len(rows) >= top_k else None)
        return rankings

    def keep_good_candidates(self, query: Vectors, n_probe: int, depth: int, least: float) -> NDArray[np.bool_]:
        """Return which candidates of one query, in the order of their codes, score `least` or more: bool (depth,)."""
        ids = self.find_candidate_ids(query[None], n_probe, depth)[0]
        good = np.zeros(depth, bool)
        filled = np.flatnonzero(ids >= 0)
        good[filled] = compute_scores(self.vectors, self.find_rows(ids[filled]), query) >= least - TIE
        return good

    def find_candidate_ids(self, queries: Vectors, n_probe: int, depth: int, selector: Any = None) -> NDArray[np.int64]:
        """Return the ids of the best candidates by their codes, (q, depth), best first; -1 where there are too few."""
        parameters = self.build_parameters(min(self.n_lists, n_probe), selector)
        with use_threads(len(queries)):
            ids: NDArray[np.int64] = self.codes.search(queries, min(self.size, depth), params=parameters)[1]
        return ids

    def build_parameters(self, n_probe: int, selector: Any) -> Any:
        """Build FAISS's search parameters; a graph over the lists visits twice as many lists as are searched."""
        graph = None
        if isinstance(faiss.downcast_index(self.codes.quantizer), faiss.IndexHNSW):
            graph = faiss.SearchParametersHNSW(efSearch=max(64, 2 * n_probe))
        return faiss.SearchParametersIVF(nprobe=n_probe, sel=selector, quantizer_params=graph)


def _read_codes(path: Path, content: NDArray[np.uint8], dim: int, size: int) -> Any:
    """Read the codes of `size` vectors from a mapped file.

    Raises:
        CorruptError: another type, dimension or size.
    """
    try:
        codes = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(content), content.size))
    except (RuntimeError, MemoryError) as err:
        raise CorruptError(f"{path} can't be read by FAISS: {str(err)[:200]}. Run: engine verify") from err
    right = isinstance(codes, faiss.IndexIVFRaBitQFastScan) and codes.metric_type == faiss.METRIC_INNER_PRODUCT
    if not right or codes.d != dim:
        raise CorruptError(f"{path} is not an IVF,RaBitQfs index of {dim} dimensions. Run: engine verify")
    if codes.ntotal != size:
        raise CorruptError(f"{path} holds {codes.ntotal:,} codes for {size:,} vectors. Run: engine verify")
    return codes
