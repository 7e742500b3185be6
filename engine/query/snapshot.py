"""One generation held open: its vectors, its corpus and, once asked for text, its encoder."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from engine.config import Settings
from engine.corpus.filters import Qualified, qualified
from engine.corpus.meshtree import MeshTree, read_mesh_tree
from engine.corpus.store import Corpus
from engine.encode.encoder import Encoder
from engine.errors import CorruptError
from engine.index.folder import Generation, IndexFolder
from engine.index.opened import open_vectors
from engine.queries import Filters, Hit
from engine.records import Abstract, Manifest

REMEMBERED = 16  # filters


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record on its way to being a hit."""

    doc_id: int
    score: float  # cosine
    fused: float | None = None
    bm25: float | None = None
    semantic_rank: int | None = None
    keyword_rank: int | None = None


class Snapshot:
    """Everything that a query needs, all of one generation. Closed when the last user lets go of it."""

    def __init__(self, folder: IndexFolder, generation: Generation, pointer: bytes, device: str = "cpu") -> None:
        """Open vectors and corpus; the encoder waits until a text must be encoded.

        pointer is what CURRENT held before the generation was opened.

        Raises:
            CorruptError: a file can't be read, or vectors and corpus disagree in number.
            ConfigError: the device is "cuda" and there is none.
        """
        self.folder = folder
        self.manifest: Manifest = generation.manifest
        self.pointer = pointer
        self.corpus = Corpus(generation.database)
        self.closing = weakref.finalize(self, self.corpus.close)
        self.vectors = open_vectors(generation, device)
        if self.vectors.size != self.manifest.counts.abstracts:
            raise CorruptError(
                f"{generation.vectors} holds {self.vectors.size:,} vectors, its manifest says "
                f"{self.manifest.counts.abstracts:,}. Run: engine rollback"
            )
        self.lock = threading.Lock()
        self.loaded: Encoder | None = None
        self.filtered: dict[Filters, Qualified] = {}

    def encoder(self) -> Encoder:
        """The query encoder of this generation, checked and loaded the first time.

        Raises:
            EncoderMismatchError: the folder holds another encoder.
            CorruptError: its files differ from their receipt.
            EncoderError: missing or unusable.
        """
        with self.lock:
            if self.loaded is None:
                from engine.encode.saved import check_saved

                path = self.folder.encoder(self.manifest.encoder.fingerprint)
                with ThreadPoolExecutor(1) as pool:  # hashing 90 MB takes as long as loading them
                    checked = pool.submit(partial(check_saved, path, self.manifest.encoder, quick=True))
                    try:
                        from engine.encode.onnx import OnnxEncoder  # `similar` must not pay for it

                        loaded = OnnxEncoder(path)
                    finally:
                        checked.result()  # its error says more than that of a failed load
                self.loaded = loaded
            return self.loaded

    def qualified(self, filters: Filters) -> Qualified:
        """The records that pass filters; the answer for the last few is remembered, since a generation never changes.

        Raises:
            UsageError: a filter that makes no sense.
            ConfigError: a filter by the MeSH tree without its file.
            GenerationError: the generation is of a format without filters.
        """
        if filters.mesh_trees:  # whose file may change
            return qualified(self.corpus, filters, self.mesh_tree())
        found = self.filtered.get(filters)
        if found is None:
            found = qualified(self.corpus, filters)
            if len(self.filtered) >= REMEMBERED:
                self.filtered.clear()
            self.filtered[filters] = found
        return found

    def mesh_tree(self) -> MeshTree | None:
        """The MeSH tree that index.toml names; None where it names none."""
        named = Settings.load(self.folder.path).mesh_tree
        return read_mesh_tree(self.folder.path / named) if named else None

    def hits(self, candidates: Sequence[Candidate], first: int = 1) -> list[Hit]:
        """Ranked candidates as hits, in the same order; their ranks count from `first`.

        Raises:
            CorruptError: an id has a vector but no row.
        """
        rows = self.corpus.fetch([candidate.doc_id for candidate in candidates])
        if missing := [one.doc_id for one in candidates if one.doc_id not in rows]:
            raise CorruptError(f"{self.corpus.path} has no row for id {missing[0]}. Run: engine verify --deep")
        return [hit(rank, one, rows[one.doc_id]) for rank, one in enumerate(candidates, first)]


def hit(rank: int, candidate: Candidate, row: Abstract) -> Hit:
    """A candidate with what is stored of it."""
    return Hit(
        rank=rank,
        id=row.record_id,
        score=candidate.score,
        title=row.title,
        abstract=row.abstract,
        year=row.year,
        journal=row.journal,
        authors=row.authors,
        pmid=row.pmid,
        doi=row.doi,
        retracted=row.retracted,
        fused=candidate.fused,
        bm25=candidate.bm25,
        semantic_rank=candidate.semantic_rank,
        keyword_rank=candidate.keyword_rank,
    )
