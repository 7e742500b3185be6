"""Search by compressed codes, every candidate scored exactly: for indexes too large to compare every vector."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.codes import read_ids_and_lists
from engine.index.exact import TIE, compute_scores, rank_rows
from engine.index.flat import BATCH, FlatIndex, Ranking, build_bitmap
from engine.index.library import faiss, use_threads
from engine.records.encoder import Vectors
from engine.records.generation import AnnSettings, DocIds

TUNED_FOR = 10  # hits; nprobe and rerank are set by recall@10
_DEEP = 1000  # hits; who wants more gets them from an exhaustive search
_SPARSE = 1_000_000  # records that a filter leaves; up to so many are compared exhaustively, in 0.1 s at most


class IvfIndex(FlatIndex):
    """vectors.faiss with codes.faiss beside it: the codes name candidates, the vectors decide.

    Scores are exact; what the codes may miss is a hit, and how often was measured (``Manifest.ann``). Among up to
    SPARSE ids nothing is missed; among more, the codes are asked, in as many more lists as the filter leaves out.
    """

    def __init__(self, path: Path, codes: Path, dim: int, settings: AnnSettings) -> None:
        """Map both files. The codes are read in a thread, while the caller loads an encoder; the first search waits.

        Raises:
            CorruptError: not a file of vectors, or the codes can't be read.
        """
        super().__init__(path, dim)
        self.settings = settings
        try:
            self.content = np.memmap(codes, np.uint8, "r")  # holds the file, should a writer delete it meanwhile
        except (OSError, ValueError) as err:  # ValueError: an empty file
            raise CorruptError(f"{codes} can't be read: {str(err)[:200]}. Run: engine rollback") from err
        reader = ThreadPoolExecutor(1)
        self.reading = reader.submit(_read_codes, codes, self.content, dim, self.size)
        reader.shutdown(wait=False)

    @property
    def codes(self) -> Any:
        """The FAISS index of the codes.

        Raises:
            CorruptError: the file is not one, or of another size than the vectors.
        """
        return self.reading.result()

    @property
    def n_lists(self) -> int:
        """Lists that the codes are sorted into."""
        return int(self.codes.nlist)

    def read_code_ids(self) -> DocIds:
        """The ids in codes.faiss, in no order."""
        return read_ids_and_lists(self.codes)[0]

    def rank(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Rank all vectors; top_k is at most their number."""
        if top_k > _DEEP:
            return self.search_exhaustively(queries, top_k)
        found = self.probe(queries, top_k, *self.choose_depth(top_k))
        return [
            self.search_exhaustively(q[None], top_k)[0] if r is None else r for q, r in zip(queries, found, strict=True)
        ]

    def search_exhaustively(self, queries: Vectors, top_k: int) -> list[Ranking]:
        """Rank all vectors by comparing all of them."""
        return super().rank(queries, top_k)

    def rank_among(self, queries: Vectors, rows: NDArray[np.int64], top_k: int) -> list[Ranking]:
        """Rank some rows; exhaustively unless they are many. top_k is at most their number."""
        if len(rows) <= _SPARSE or top_k > _DEEP:
            return super().rank_among(queries, rows, top_k)
        ids = self.doc_ids[rows]
        selector = faiss.IDSelectorBitmap(build_bitmap(ids, int(ids.max()) + 1))
        n_probe, depth = self.choose_depth(top_k)
        # What is left lies thinner in the lists, so as many of it are met in more lists.
        found = self.probe(queries, top_k, math.ceil(n_probe * self.size / len(rows)), depth, selector)
        among = super().rank_among
        return [among(q[None], rows, top_k)[0] if r is None else r for q, r in zip(queries, found, strict=True)]

    def choose_depth(self, top_k: int) -> tuple[int, int]:
        """Lists to look into and candidates to score for so many hits; more hits need more of both."""
        more = max(1.0, top_k / TUNED_FOR)
        return math.ceil(self.settings.n_probe * math.sqrt(more)), math.ceil(self.settings.n_rerank * more)

    def probe(
        self, queries: Vectors, top_k: int, n_probe: int, depth: int, selector: Any = None
    ) -> list[Ranking | None]:
        """Rank the best `depth` of what the nearest lists hold; None for a query for which they hold too little."""
        found: list[Ranking | None] = []
        for start in range(0, len(queries), BATCH):
            part = queries[start : start + BATCH]
            for query, row in zip(part, self.find_candidate_ids(part, n_probe, depth, selector), strict=True):
                candidates = row[row >= 0]
                scores = compute_scores(self.vectors, self.find_rows(candidates), query)
                found.append(rank_rows(candidates, scores, top_k) if len(candidates) >= top_k else None)
        return found

    def keep_good_candidates(self, query: Vectors, n_probe: int, depth: int, least: float) -> NDArray[np.bool_]:
        """Which of the best candidates of one query, the best by their codes first, score `least` or more: (depth,)."""
        ids = self.find_candidate_ids(query[None], n_probe, depth)[0]
        good = np.zeros(depth, bool)
        there = np.flatnonzero(ids >= 0)
        good[there] = compute_scores(self.vectors, self.find_rows(ids[there]), query) >= least - TIE
        return good

    def find_candidate_ids(self, queries: Vectors, n_probe: int, depth: int, selector: Any = None) -> NDArray[np.int64]:
        """Ids of the best candidates by their codes, (q, depth), the best first; -1 where there are too few."""
        given = self.build_parameters(min(self.n_lists, n_probe), selector)
        with use_threads(len(queries)):
            ids: NDArray[np.int64] = self.codes.search(queries, min(self.size, depth), params=given)[1]
        return ids

    def build_parameters(self, n_probe: int, selector: Any) -> Any:
        """FAISS's search parameters; a graph over the lists looks at twice as many of them as are wanted."""
        graph = None
        if isinstance(faiss.downcast_index(self.codes.quantizer), faiss.IndexHNSW):
            graph = faiss.SearchParametersHNSW(efSearch=max(64, 2 * n_probe))
        return faiss.SearchParametersIVF(nprobe=n_probe, sel=selector, quantizer_params=graph)


def _read_codes(path: Path, content: NDArray[np.uint8], dim: int, size: int) -> Any:
    """Read the codes of so many vectors from a mapped file.

    Raises:
        CorruptError: of another kind, dimension or size.
    """
    try:
        codes = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(content), content.size))
    except (RuntimeError, MemoryError) as err:
        raise CorruptError(f"{path} can't be read by FAISS: {str(err)[:200]}. Run: engine rollback") from err
    right = isinstance(codes, faiss.IndexIVFRaBitQFastScan) and codes.metric_type == faiss.METRIC_INNER_PRODUCT
    if not right or codes.d != dim:
        raise CorruptError(f"{path} is not an IVF,RaBitQfs index of {dim} dimensions. Run: engine rollback")
    if codes.ntotal != size:
        raise CorruptError(f"{path} holds {codes.ntotal:,} codes for {size:,} vectors. Run: engine rollback")
    return codes
