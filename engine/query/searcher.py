"""The query API: open an index, ask it, get hits."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType

import numpy as np

from engine.config import Settings
from engine.corpus.history import changed_since
from engine.corpus.store import Said
from engine.errors import GenerationError, UsageError
from engine.index.folder import IndexFolder
from engine.queries import Answer, ChangedHit, Filters, Fusion, Hit, Mode, Query
from engine.query.answering import EXPLAINED, all_answered, answered
from engine.query.asked import checked, checked_queries, generation_meant, listed, mode_of
from engine.query.held import kept, latest
from engine.query.known import Recall, recall
from engine.query.question import question, texts_encoded
from engine.query.snapshot import Snapshot
from engine.records import Abstract, Manifest, Vectors


def open_index(
    folder: str | PathLike[str], *, follow: bool = True, device: str = "cpu", generation: int | None = None
) -> Index:
    """Open the index in a folder, for example "indexes/rheumatology".

    Every file is checked against its manifest; no encoder is loaded until a text is searched. With follow, each call
    first looks whether a newer generation was published and moves to it; without, the index stays at the generation
    found now until refresh() is called. On the device "cuda" the vectors are copied to a GPU, which pays where many
    queries are asked of one open index; unfiltered rankings are exact there, filtered searches stay on the CPU.
    A generation given by its number is opened instead of the current one, and the index stays at it.

    Raises:
        UsageError: a device that is neither "cpu" nor "cuda".
        ConfigError: there is no GPU for FAISS.
        NoGenerationError: there is no index in the folder.
        GenerationError: the generation asked for is not kept.
        CorruptError: a file is not what it was when it was published.
    """
    if device not in ("cpu", "cuda"):
        raise UsageError(f"device is {device!r}, expected 'cpu' or 'cuda'")
    return Index(IndexFolder(Path(folder)), follow=follow, device=device, generation=generation)


class Index:
    """An open index. Safe to use from several threads; every answer comes from one generation."""

    def __init__(
        self, folder: IndexFolder, *, follow: bool, device: str = "cpu", generation: int | None = None
    ) -> None:
        self.folder = folder
        self.device = device
        self.is_pinned = generation is not None
        self.follow = follow and not self.is_pinned
        self.lock = threading.Lock()
        self.pid = os.getpid()
        self.held: Snapshot | None = latest(folder, device) if generation is None else kept(folder, generation, device)

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
        """Move to the current generation, unless another was asked for; True when it is another one than before.

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
        if self.is_pinned or self.folder.pointer_bytes() == held.pointer:
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

    def ask(self, query: Query, *, n_explained: int = EXPLAINED) -> Answer:
        """Answer a query with all that was found out about it: see engine.Query and engine.Answer.

        Hits are best first; there are top_k of them whenever so many records qualify. Equal scores go by age in the
        index, oldest first. With query.explain the first n_explained hits are explained.

        Raises:
            UsageError: a query that makes no sense.
            AbstractNotFoundError: an example is not in the index.
            ConfigError: a filter by the MeSH tree, which index.toml does not name.
            EncoderMismatchError: the encoder beside the index is not the one that it was built with.
            GenerationError: the generation was made before there were words and filters.
            CorruptError: a file was changed or damaged.
        """
        return answered(self.current(), self.checked(query), n_explained=n_explained)

    def ask_batch(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer several queries from one generation, in their order: many times as fast as one by one.

        Raises:
            UsageError: a query that makes no sense, or without a text.
            EngineError: as ask.
        """
        return all_answered(self.current(), [self.checked(query, text_only=True) for query in queries])

    def search(
        self, query: str, *, top_k: int = 10, mode: str = "semantic", filters: Filters | None = None
    ) -> list[Hit]:
        """Find the abstracts nearest to a text, best first; mode is "semantic", "keyword" or "hybrid".

        At most top_k hits, fewer only when fewer records qualify. Equal scores go by age in the index, oldest first.

        Raises:
            UsageError: a blank query, top_k below 1, no such mode, or a filter that makes no sense.
            EncoderMismatchError: the encoder beside the index is not the one that it was built with.
            GenerationError: words or filters are asked for, and the generation was made before there were any.
            CorruptError: a file was changed or damaged.
        """
        return list(self.ask(Query(query, top_k=top_k, mode=mode_of(mode), filters=filters or Filters())).hits)

    def search_batch(
        self, queries: Sequence[str], *, top_k: int = 10, mode: str = "semantic", filters: Filters | None = None
    ) -> list[list[Hit]]:
        """Search several texts in one generation: one list of hits per query, in the order of the queries.

        Raises:
            UsageError: a string instead of a list of strings; else as search.
            EngineError: as search.
        """
        one = Query(top_k=top_k, mode=mode_of(mode), filters=filters or Filters())
        return [list(answer.hits) for answer in self.ask_batch([replace(one, text=t) for t in listed(queries)])]

    def similar(self, record_id: str | Sequence[str], *, unlike: Sequence[str] = (), top_k: int = 10) -> list[Hit]:
        """Find the abstracts nearest to stored ones, which are left out. Loads no encoder: vectors are stored.

        Ids are as hits show them; PMIDs and DOIs work too. Of several the mean is sought, away from those in `unlike`.

        Raises:
            AbstractNotFoundError: nothing by this id.
            UsageError: top_k below 1, or examples that cancel each other out.
            CorruptError: a file was changed or damaged.
        """
        like = (record_id,) if isinstance(record_id, str | int) else tuple(record_id)
        return list(self.ask(Query(like=like, unlike=unlike, top_k=top_k)).hits)  # type: ignore[arg-type]

    def new(
        self, query: str, *, since: int | str, top_k: int = 10, mode: str = "semantic", filters: Filters | None = None
    ) -> list[ChangedHit]:
        """Find the abstracts nearest to a text among those that are new or changed: what a living review must look at.

        since is a generation's number, or a date or time (ISO 8601; UTC unless it says otherwise): what came with
        generations after that one, or made then or later, counts. At most top_k hits, fewer only when fewer records
        changed; all of them are ranked, none is cut off before.

        Raises:
            UsageError: a blank query, top_k below 1, no such generation, or not a date.
            EncoderMismatchError: the encoder beside the index is not the one that it was built with.
            CorruptError: a file was changed or damaged.
        """
        asked = Query(query, top_k=top_k, mode=mode_of(mode), filters=filters or Filters())
        return self.ask_new(asked, since=since)[0]

    def ask_new(self, query: Query, *, since: int | str) -> tuple[list[ChangedHit], Answer]:
        """As `new`, for any query, with the answer that the hits are of.

        Raises:
            UsageError: no such generation, not a date, or a query that makes no sense.
            EngineError: as ask.
        """
        asked, snapshot = self.checked(query), self.current()
        changes = changed_since(snapshot.corpus, generation_meant(snapshot, since))
        if not changes:
            question(snapshot, asked)  # what makes no sense is refused all the same
            return [], Answer(asked, snapshot.manifest.generation, (), 0)
        found = answered(snapshot, asked, np.array(list(changes), dtype=np.int64))
        ids = [snapshot.corpus.doc_id(hit.id) for hit in found.hits]
        return [ChangedHit(changes[i], hit) for i, hit in zip(ids, found.hits, strict=True)], found

    def recall(self, query: Query, known: Sequence[str]) -> Recall:
        """Say where records known to be relevant stand in the whole ranking of a query; fails as ask does."""
        return recall(self.current(), self.checked(query), known)

    def checked(self, query: Query, *, text_only: bool = False) -> Query:
        """A query with plain values, and with what index.toml says where it says nothing itself.

        Raises:
            UsageError: it makes no sense.
        """
        found = checked(query)
        if text_only and not found.text.strip():
            raise UsageError("a query of a batch has no text, expected one in each")
        if found.mode is not Mode.HYBRID:
            return replace(found, weight=None, fusion=None)
        settings = Settings.load(self.folder.path)
        weight = settings.hybrid_weight if found.weight is None else found.weight
        return replace(found, weight=weight, fusion=found.fusion or Fusion(settings.hybrid_fusion))

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

    def records(self, hits: Sequence[Hit]) -> list[Abstract]:
        """All that is stored of hits, in their order.

        Raises:
            AbstractNotFoundError: the index has moved to a generation in which one is gone.
        """
        corpus = self.current().corpus
        ids = [corpus.doc_id(hit.id) for hit in hits]
        found = corpus.fetch(ids)
        return [found[doc_id] for doc_id in ids]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as queries are encoded: float32 (n, dim), unit length, in order; (0, dim) for no texts.

        Raises:
            UsageError: a string instead of a list of strings, or a blank text.
            EncoderError: the encoder gave a text no usable vector.
        """
        return texts_encoded(self.current(), checked_queries(texts))[0]
