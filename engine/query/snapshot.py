"""One generation held open: its vectors, its corpus and, once asked for text, its encoder."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from engine.corpus.store import Corpus
from engine.encode.encoder import Encoder
from engine.errors import CorruptError
from engine.index.folder import Generation, IndexFolder
from engine.index.opened import open_vectors
from engine.queries import Hit
from engine.records import Manifest


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

    def hits(self, found: Sequence[tuple[int, float]]) -> list[Hit]:
        """Ranked (doc id, score) pairs as hits, in the same order.

        Raises:
            CorruptError: an id has a vector but no row.
        """
        rows = self.corpus.fetch([doc_id for doc_id, _ in found])
        if missing := [doc_id for doc_id, _ in found if doc_id not in rows]:
            raise CorruptError(f"{self.corpus.path} has no row for id {missing[0]}. Run: engine verify --deep")
        hits = []
        for rank, (doc_id, score) in enumerate(found, 1):
            row = rows[doc_id]
            hits.append(
                Hit(
                    rank=rank,
                    id=row.record_id,
                    score=score,
                    title=row.title,
                    abstract=row.abstract,
                    year=row.year,
                    journal=row.journal,
                    authors=row.authors,
                    pmid=row.pmid,
                    doi=row.doi,
                    retracted=row.retracted,
                )
            )
        return hits
