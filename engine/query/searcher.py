"""The query API: open an index, ask it, get hits."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np

from engine.corpus.history import changed_since
from engine.corpus.store import Said
from engine.errors import CorruptError, EncoderError, GenerationError, UsageError
from engine.index.folder import IndexFolder
from engine.query.asked import checked_queries, checked_top_k, generation_meant
from engine.query.snapshot import Snapshot
from engine.queries import ChangedHit, Hit
from engine.records import Abstract, Manifest, Vectors


def open_index(folder: str | PathLike[str], *, follow: bool = True, device: str = "cpu") -> Index:
    """Open the index in a folder, for example "indexes/rheumatology".

    Every file is checked against its manifest; no encoder is loaded until a text is searched. With follow, each call
    first looks whether a newer generation was published and moves to it; without, the index stays at the generation
    found now until refresh() is called. On the device "cuda" the vectors are copied to a GPU, which pays where many
    queries are asked of one open index; unfiltered rankings are exact there, filtered searches stay on the CPU.

    Raises:
        UsageError: a device that is neither "cpu" nor "cuda".
        ConfigError: there is no GPU for FAISS.
        NoGenerationError: there is no index in the folder.
        CorruptError: a file is not what it was when it was published.
    """
    if device not in ("cpu", "cuda"):
        raise UsageError(f"device is {device!r}, expected 'cpu' or 'cuda'")
    return Index(IndexFolder(Path(folder)), follow=follow, device=device)


class Index:
    """An open index. Safe to use from several threads; every answer comes from one generation."""

    def __init__(self, folder: IndexFolder, *, follow: bool, device: str = "cpu") -> None:
        self.folder = folder
        self.device = device
        self.follow = follow
        self.lock = threading.Lock()
        self.pid = os.getpid()
        self.held: Snapshot | None = latest(folder, device)

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.counts.abstracts

    def close(self) -> None:
        """Let go of the files. Calls under way finish; later ones raise GenerationError."""
        self.held = None

    def refresh(self) -> bool:
        """Move to the current generation; True when that is another one than before.

        Raises:
            GenerationError: closed, or the current generation can't be opened; the one held so far stays.
        """
        with self.lock:
            return self.move()

    def move(self) -> bool:
        """Open the current generation if it is not the one held; call with the lock.

        Raises:
            GenerationError: closed, or the current generation can't be opened; the one held so far stays.
        """
        held = self.snapshot()
        if self.folder.pointer_bytes() == held.pointer:
            return False
        fresh = latest(self.folder, self.device)
        if fresh.manifest.encoder.fingerprint == held.manifest.encoder.fingerprint:
            fresh.loaded = held.loaded
        self.held = fresh
        return True

    def snapshot(self) -> Snapshot:
        """The generation held now.

        Raises:
            GenerationError: the index was closed.
        """
        held = self.held
        if held is None:
            raise GenerationError(
                f"{self.folder.path} was closed. Open it again: open_index({str(self.folder.path)!r})"
            )
        return held

    def current(self) -> Snapshot:
        """The generation to answer from; while one thread opens a newer one the others go on with this one.

        Raises:
            UsageError: the process was forked since the index was opened; FAISS would wait for ever in the child.
        """
        if os.getpid() != self.pid:
            raise UsageError(
                "the index was opened before a fork. Open it in the child, started by spawn and not by fork"
            )
        if self.follow and self.lock.acquire(blocking=False):
            try:
                self.move()
            finally:
                self.lock.release()
        return self.snapshot()

    @property
    def manifest(self) -> Manifest:
        """The receipt of the generation held now."""
        return self.snapshot().manifest

    @property
    def generation(self) -> int:
        """Number of the generation held now."""
        return self.manifest.generation

    def search(self, query: str, *, top_k: int = 10) -> list[Hit]:
        """Find the abstracts nearest in meaning to a text, best first.

        At most top_k hits, fewer only when the index holds fewer. Equal scores go by age in the index, oldest first.

        Raises:
            UsageError: a blank query, or top_k below 1.
            EncoderMismatchError: the encoder beside the index is not the one that it was built with.
            CorruptError: a file was changed or damaged.
        """
        return self.search_batch([query], top_k=top_k)[0]

    def search_batch(self, queries: Sequence[str], *, top_k: int = 10) -> list[list[Hit]]:
        """Search several texts in one generation: one list of hits per query, in the order of the queries.

        Raises:
            UsageError: a string instead of a list of strings, a blank query, or top_k below 1.
            EncoderMismatchError: the encoder beside the index is not the one that it was built with.
            CorruptError: a file was changed or damaged.
        """
        top_k = checked_top_k(top_k)
        texts = checked_queries(queries)
        snapshot = self.current()
        vectors = encoded(snapshot, texts)
        return [snapshot.hits(found) for found in snapshot.vectors.search(vectors, top_k)]

    def similar(self, record_id: str, *, top_k: int = 10) -> list[Hit]:
        """Find the abstracts nearest to a stored one, which is left out. Loads no encoder: the vector is stored.

        record_id is as hits show it; a PMID or a DOI works too.

        Raises:
            AbstractNotFoundError: nothing by this id.
            UsageError: top_k below 1.
            CorruptError: a file was changed or damaged.
        """
        top_k = checked_top_k(top_k)
        snapshot = self.current()
        doc_id = snapshot.corpus.doc_id(str(record_id))
        vector = snapshot.vectors.vector(doc_id)
        if vector is None:
            raise CorruptError(f"{snapshot.vectors.path} has no vector for {record_id!r}. Run: engine verify --deep")
        found = snapshot.vectors.search(vector[None, :], top_k + 1)[0]
        return snapshot.hits([pair for pair in found if pair[0] != doc_id][:top_k])

    def new(self, query: str, *, since: int | str, top_k: int = 10) -> list[ChangedHit]:
        """Find the abstracts nearest to a text among those that are new or changed: what a living review must look at.

        since is a generation's number, or a date or time (ISO 8601; UTC unless it says otherwise): what came with
        generations after that one, or made then or later, counts. At most top_k hits, fewer only when fewer records
        changed; all of them are ranked, none is cut off before.

        Raises:
            UsageError: a blank query, top_k below 1, no such generation, or not a date.
            EncoderMismatchError: the encoder beside the index is not the one that it was built with.
            CorruptError: a file was changed or damaged.
        """
        top_k = checked_top_k(top_k)
        texts = checked_queries([query])
        snapshot = self.current()
        changes = changed_since(snapshot.corpus, generation_meant(snapshot, since))
        if not changes:
            return []
        ids = np.array(list(changes), dtype=np.int64)
        (found,) = snapshot.vectors.search_among(encoded(snapshot, texts), ids, top_k)
        hits = snapshot.hits(found)
        return [ChangedHit(changes[doc_id], hit) for (doc_id, _), hit in zip(found, hits, strict=True)]

    def sources(self, record_id: str) -> list[Said]:
        """Where a record comes from, oldest source first; none where the index was made before sources were kept.

        Raises:
            AbstractNotFoundError: nothing by this id.
        """
        corpus = self.current().corpus
        return corpus.said(corpus.doc_id(str(record_id)))

    def get(self, record_id: str) -> Abstract:
        """The stored abstract of a record id, PMID or DOI, exactly as it came.

        Raises:
            AbstractNotFoundError: nothing by this id.
        """
        corpus = self.current().corpus
        doc_id = corpus.doc_id(str(record_id))
        return corpus.fetch([doc_id])[doc_id]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as queries are encoded: float32 (n, dim), unit length, in order; (0, dim) for no texts.

        Raises:
            UsageError: a string instead of a list of strings, or a blank text.
            EncoderError: the encoder gave a text no usable vector.
        """
        return encoded(self.current(), checked_queries(texts))


def latest(folder: IndexFolder, device: str) -> Snapshot:
    """Open the current generation; again, when it was replaced and deleted between checking and opening it.

    Raises:
        GenerationError: there is none, or it is not what its manifest says.
        ConfigError: the device is "cuda" and there is none.
    """
    while True:
        pointer = folder.pointer_bytes()
        generation = folder.open_current(quick=True)
        try:
            return Snapshot(folder, generation, pointer, device)
        except GenerationError:
            if folder.current() == generation.manifest.generation:
                raise


def encoded(snapshot: Snapshot, texts: list[str]) -> Vectors:
    """Encode cleaned texts.

    Raises:
        EncoderError: a vector breaks the contract.
    """
    encoder = snapshot.encoder()
    from engine.encode.contract import encode_checked  # `similar` must not pay for it

    checked = encode_checked(encoder, texts)
    if checked.refused:
        position, reason = checked.refused[0]
        raise EncoderError(f"query {texts[position][:80]!r} can't be searched: {reason}. Put it in other words")
    vectors: Vectors = np.ascontiguousarray(checked.vectors)
    return vectors
