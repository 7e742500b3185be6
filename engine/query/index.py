"""The query API: open an index, search it, get hits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import cast

import numpy as np

from engine.arguments import check_id, check_ids, check_list, check_switch, check_whole, show_value
from engine.config import Settings
from engine.corpus.history import find_changed
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import RecordSource
from engine.encode.execution.encoder import Encoder
from engine.errors import CorruptError, GenerationError, NoGenerationError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.vectors import OpenRanker, open_local
from engine.options import DEFAULT_MODE, NO_RERANKER, RELEVANCE, SIMILAR_MODE, Filters, Mode, Query
from engine.phrases import pluralize
from engine.query.answers.answer import EXPLAINED, answer_queries, answer_query
from engine.query.answers.location import Located, Recall, locate_hits, measure_recall
from engine.query.opening.generation import OpenGeneration, open_kept, open_latest
from engine.query.question.ordering import sort_ids
from engine.query.question.plan import encode_texts, read_question
from engine.query.question.validation import (
    check_doc_ids,
    check_fusion,
    check_query,
    check_query_texts,
    check_texts,
    check_vector,
    resolve_since,
)
from engine.query.ranks.reranking import complete_reranking
from engine.query.seeds.chase import Chase, ChaseRoute, chase_citations
from engine.query.seeds.suggestion import Suggestion, suggest_searches
from engine.query.storedvectors import read_points
from engine.records.abstract import Abstract
from engine.records.answer import Answer, ChangedHit, Hit, Hits
from engine.records.encoder import Vectors
from engine.records.generation import DocIds, Manifest


def open_index(
    folder: str | PathLike[str],
    *,
    follow: bool = True,
    device: str = "cpu",
    generation: int | None = None,
    ranker: OpenRanker | None = None,
) -> Index:
    """Open the index in a folder with what ranks its vectors; without a ranker, this process does.

    engine.open_index chooses the ranker by index.toml, and says what the other arguments mean.

    Raises:
        UsageError: no path, or a device that is neither "cpu" nor "cuda".
        ConfigError: there is no GPU for FAISS.
        NoGenerationError: there is no such folder, or no index in it.
        GenerationError: the given generation is not kept.
        CorruptError: a file was changed or damaged since it was published.
    """
    if not isinstance(device, str) or device not in ("cpu", "cuda"):
        raise UsageError(f"device is {show_value(device)}, expected 'cpu' or 'cuda'")
    path = find_folder(folder)
    follow = check_switch("follow", follow)
    generation = None if generation is None else check_whole("generation", generation, 1)
    if ranker is not None and not callable(ranker):
        raise UsageError(f"ranker is {show_value(ranker)}, expected a function that opens the vectors of a generation")
    return Index(IndexFolder(path), follow=follow, device=device, generation=generation, ranker=ranker)


def find_folder(folder: str | PathLike[str]) -> Path:
    """Return the path of the folder of an index.

    Raises:
        UsageError: it is no path.
        NoGenerationError: there is no such folder.
    """
    if not isinstance(folder, str | PathLike) or isinstance(given := os.fspath(folder), bytes):
        raise UsageError(
            f"folder is {show_value(folder)}, expected the path of an index, such as 'indexes/rheumatology'"
        )
    path = Path(given)
    if not _is_folder(path):
        raise NoGenerationError(
            f"there is no folder {str(path)[:200]}, expected the path of an index, such as indexes/{path.name[:60]}. "
            "open_index takes a path and does not read ENGINE_INDEXES. To see the indexes: engine status"
        )
    return path


def _is_folder(path: Path) -> bool:
    """Return whether a path is that of a folder; False for a name that no file can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


class Index:
    """An open index. Safe to use from several threads; every answer comes from one generation."""

    def __init__(
        self,
        folder: IndexFolder,
        *,
        follow: bool,
        device: str = "cpu",
        generation: int | None = None,
        ranker: OpenRanker | None = None,
    ) -> None:
        self._folder = folder
        self._device, self._ranker = device, ranker
        self._open_ranker = ranker or open_local(device)
        self._is_pinned = generation is not None
        self._follow = follow and not self._is_pinned
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._failed: tuple[object, GenerationError] | None = None  # states of changed files, and why they are refused
        self._open: OpenGeneration | None = (
            open_latest(folder, self._open_ranker)
            if generation is None
            else open_kept(folder, generation, self._open_ranker)
        )

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.counts.abstracts

    def __repr__(self) -> str:
        if self._open is None:
            return f"<Index {self.name!r}, closed>"
        return f"<Index {self.name!r}, generation {self.generation}, {pluralize(len(self), 'record')}>"

    def __reduce__(self) -> tuple[Callable[..., Index], tuple[str, bool, str, int | None, OpenRanker | None]]:
        """Pickle the path, not the open files; an index fixed at a generation is opened at that generation."""
        generation = self.generation if self._is_pinned else None
        return _open_again, (str(self.path.absolute()), self._follow, self._device, generation, self._ranker)

    @property
    def name(self) -> str:
        """Name of the index: the last part of its path."""
        return self._folder.name

    @property
    def path(self) -> Path:
        """Folder of the index."""
        return self._folder.path

    def close(self) -> None:
        """Close the files. Running calls finish; later ones raise GenerationError."""
        self._open = None

    def refresh(self) -> bool:
        """Move to the current generation; return whether the generation changed.

        An index that was opened at a given generation stays there.

        Raises:
            GenerationError: the index is closed; or the current generation can't be opened, and the index stays at the
                one before.
        """
        with self._lock:
            return self._move()

    def pin(self) -> Index:
        """Return the same open index, fixed at the generation that is open now, whatever is published later.

        Nothing is opened or read. Closing the returned index leaves this one open.

        Raises:
            GenerationError: the index is closed.
        """
        fixed = object.__new__(Index)  # copy.copy would open it anew, as pickle does
        fixed.__dict__.update(self.__dict__)
        fixed._open, fixed._follow, fixed._is_pinned = self._get_open(), False, True
        return fixed

    def _move(self) -> bool:
        """Open the current generation unless it is open already; call with the lock.

        Raises:
            GenerationError: as refresh.
        """
        before = self._get_open()
        if self._is_pinned or self._folder.read_pointer_bytes() == before.pointer:
            return False
        unchanged = before if before.files.find_change() is None else None  # else its files are opened anew
        fresh = open_latest(self._folder, self._open_ranker, unchanged)
        fresh.adopt_encoder(before)
        self._open = fresh
        return True

    def _get_open(self) -> OpenGeneration:
        """Return the generation that is open now.

        Raises:
            GenerationError: the index is closed.
        """
        generation = self._open
        if generation is None:
            raise GenerationError(f"{self.path} was closed. Open it again: open_index({str(self.path)!r})")
        return generation

    def _follow_current(self) -> OpenGeneration:
        """Return the generation to answer from; while one thread opens a newer one, the others use the old one.

        Raises:
            UsageError: the process was forked since the index was opened; FAISS would wait for ever in the child.
            CorruptError: a file was written to, cut off or replaced since it was opened, and the generation can't be
                opened anew.
            GenerationError: the index is closed.
        """
        if os.getpid() != self._pid:
            raise UsageError(
                "the index was opened before a fork. Open it in the child, started by spawn and not by fork"
            )
        if self._follow and self._lock.acquire(blocking=False):
            try:
                self._move()
            finally:
                self._lock.release()
        opened = self._get_open()
        change = opened.files.find_change(replaced=not self._is_pinned)
        if change is None:
            return opened
        if self._is_pinned:
            raise CorruptError(f"{change}. Check the index, then open it again: engine verify -i {self.name}")
        with self._lock:
            return self._open_anew()

    def _open_anew(self) -> OpenGeneration:
        """Open the generation again, of which a file has changed; call with the lock.

        What failed is tried again when a file has changed again.

        Raises:
            CorruptError: its files are not what its manifest says.
            GenerationError: the index is closed.
        """
        opened = self._get_open()
        if (change := opened.files.find_change()) is None:  # another thread was here first
            return opened
        states = opened.files.read_states()
        if self._failed is None or self._failed[0] != states:
            try:
                fresh = (
                    open_latest(self._folder, self._open_ranker)
                    if self._follow
                    else open_kept(self._folder, opened.manifest.generation, self._open_ranker)
                )
            except GenerationError as err:
                self._failed = states, err
            else:
                fresh.adopt_encoder(opened)
                self._open, self._failed = fresh, None
                return fresh
        raise CorruptError(f"{change}, and can't be used: {self._failed[1]}") from self._failed[1]

    @property
    def manifest(self) -> Manifest:
        """The manifest of the open generation."""
        return self._get_open().manifest

    @property
    def generation(self) -> int:
        """Number of the open generation."""
        return self.manifest.generation

    def ask(
        self, query: Query, *, n_explained: int = EXPLAINED, judged: bool = True, only: DocIds | None = None
    ) -> Answer:
        """Answer a query: see engine.Query and engine.Answer.

        Hits are best first; there are top_k of them whenever as many records qualify. Of equal scores, the record older
        in the index comes first. With query.explain the first n_explained hits are explained. With judged the answer
        has a verdict, which reads the ten best records. With only, hits are among these doc ids (int64, ascending).

        Raises:
            UsageError: an invalid query.
            AbstractNotFoundError: an example is not in the index.
            ConfigError: a filter by the MeSH tree, which index.toml does not name.
            EncoderMismatchError: the encoder in the folder is not the one that the index was built with.
            CorruptError: a file was changed or damaged.
        """
        snapshot, complete = self._follow_current(), self._complete(query)
        n_explained, judged = check_whole("n_explained", n_explained, 0), check_switch("judged", judged)
        only = None if only is None else check_doc_ids(only)
        return answer_query(snapshot, complete, only, n_explained=n_explained, judged=judged)

    def ask_batch(self, queries: Sequence[Query], *, judged: bool = True) -> list[Answer]:
        """Answer several queries from one generation, in their order: many times as fast as one by one.

        Without judged, which costs as much as the rest of a batch, the answers have no verdicts.

        Raises:
            UsageError: an invalid query, or one without a text.
            EngineError: as ask.
        """
        asked = check_list("the batch", queries, "a list of engine.Query")
        complete = [self._complete(query, text_only=True) for query in asked]
        return answer_queries(self._follow_current(), complete, judged=check_switch("judged", judged))

    def nearest(self, text: str, top_k: int = 10, *, filters: Filters | None = None) -> list[Hit]:
        """Find the top_k abstracts nearest to a text by the cosine of their vectors, best first.

        The text is compared as it is: AND, OR, NOT and other operators of a search are words like others, so a title in
        capitals has neighbours, too. Hit.score is that cosine, in [-1, 1]. There are top_k hits, fewer only if fewer
        records pass the filters. Of equal scores, the record older in the index comes first.

        Raises:
            UsageError: a blank text, top_k below 1, or an invalid filter.
            EncoderMismatchError: the encoder in the folder is not the one that the index was built with.
            CorruptError: a file was changed or damaged.
        """
        query = Query(text, top_k=top_k, mode="semantic", filters=_fill_filters(filters), rerank=NO_RERANKER)
        return Hits(answer_query(self._follow_current(), self._complete(query), judged=False, is_plain=True).hits)

    def nearest_to(self, vector: object, top_k: int = 10, *, filters: Filters | None = None) -> list[Hit]:
        """Find the top_k abstracts nearest to a vector by cosine, best first, as nearest does for a text.

        vector: as many finite numbers as the vectors of the index have, of any length but zero: an array, or a list.
        No encoder is loaded. There are top_k hits, fewer only if fewer records pass the filters.

        Raises:
            UsageError: a vector of another shape, with NaN or of zeros, top_k below 1, or an invalid filter.
            CorruptError: a file was changed or damaged.
        """
        query = Query("vector", top_k=top_k, mode="semantic", filters=_fill_filters(filters), rerank=NO_RERANKER)
        snapshot = self._follow_current()
        point = check_vector(vector, snapshot.vectors.dim)
        return Hits(answer_query(snapshot, self._complete(query), judged=False, is_plain=True, point=point).hits)

    def search(
        self, query: str, *, top_k: int = 10, mode: Mode = DEFAULT_MODE, filters: Filters | None = None
    ) -> list[Hit]:
        """Find the abstracts that answer a text, best first; mode is "hybrid", "semantic" or "keyword".

        "hybrid" ranks by meaning and by words, "semantic" by meaning alone, as nearest() does, and "keyword" by words
        alone. A Boolean search (AND, OR, NOT in capitals, a field tag) is an exact filter in every mode, but words like
        others for nearest(). There are top_k hits, fewer only if fewer records qualify. Of equal scores, the record
        older in the index comes first.

        Raises:
            UsageError: a blank query, top_k below 1, an unknown mode, or an invalid filter.
            EncoderMismatchError: the encoder in the folder is not the one that the index was built with.
            CorruptError: a file was changed or damaged.
        """
        return Hits(self.ask(Query(query, top_k=top_k, mode=mode, filters=_fill_filters(filters)), judged=False).hits)

    def search_batch(
        self, queries: Sequence[str], *, top_k: int = 10, mode: Mode = DEFAULT_MODE, filters: Filters | None = None
    ) -> list[list[Hit]]:
        """Search several texts in one generation: one list of hits per query, in the order of the queries.

        Raises:
            UsageError: a string instead of a list of strings; otherwise as search.
            EngineError: as search.
        """
        one = Query(top_k=top_k, mode=mode, filters=_fill_filters(filters))
        asked = [replace(one, text=text) for text in check_texts(queries)]
        return [Hits(answer.hits) for answer in self.ask_batch(asked, judged=False)]

    def similar(self, record_id: str | Sequence[str], *, unlike: Sequence[str] = (), top_k: int = 10) -> list[Hit]:
        """Find the abstracts nearest to stored ones, which are left out. Loads no encoder: vectors are stored.

        Records are given by record id, PMID or DOI. Several are combined by the mean of their vectors, moved away from
        those in `unlike`.

        Raises:
            AbstractNotFoundError: no record has this id.
            UsageError: top_k below 1, or examples that cancel each other out.
            CorruptError: a file was changed or damaged.
        """
        is_list = not isinstance(record_id, str) and hasattr(record_id, "__iter__")
        like = check_ids("record_id", record_id if is_list else [record_id])
        return Hits(self.ask(Query(like=like, unlike=unlike, mode=SIMILAR_MODE, top_k=top_k)).hits)

    def new(
        self,
        query: str,
        *,
        since: int | str | date,
        top_k: int = 10,
        mode: Mode = DEFAULT_MODE,
        filters: Filters | None = None,
    ) -> list[ChangedHit]:
        """Find the abstracts that answer a text among those that are new or changed, as a living review needs.

        since is the number of a generation, or a date or time (ISO 8601; UTC if it has no time zone): records
        added or changed by a later generation, or at that time or later, are new. All of them are ranked: there are
        top_k hits, fewer only if fewer records qualify.

        Raises:
            UsageError: a blank query, top_k below 1, no such generation, or not a date.
            EncoderMismatchError: the encoder in the folder is not the one that the index was built with.
            CorruptError: a file was changed or damaged.
        """
        whole = Query(query, top_k=top_k, mode=mode, filters=_fill_filters(filters))
        return _answer_new(self._follow_current(), self._complete(whole), since, judged=False)[0]

    def ask_new(self, query: Query, *, since: int | str | date) -> tuple[list[ChangedHit], Answer]:
        """Answer a query among new or changed records; return the changed hits and the whole answer.

        Raises:
            UsageError: no such generation, not a date, or an invalid query.
            EngineError: as ask.
        """
        query = self._complete(query)
        return _answer_new(self._follow_current(), query, since)

    def recall(self, query: Query, known: Sequence[str]) -> Recall:
        """Find the ranks of known relevant records in the full ranking of a query. Raises what ask raises."""
        return measure_recall(self._follow_current(), self._complete(query), known)

    def suggest(self, known: Sequence[str]) -> Suggestion:
        """Find words and MeSH headings of known records, and build Boolean searches that find these and little else.

        Known records are given by record id, PMID or DOI.

        Raises:
            UsageError: fewer than two of them are in the index, or too many; or nothing tells them from the others.
            AbstractNotFoundError: none is in the index.
        """
        return suggest_searches(self._follow_current(), known)

    def chase(self, known: Sequence[str], *, backward: bool = True, forward: bool = True, depth: int = 1) -> Chase:
        """Follow citations from known records to the others of the index, and list the cited works that it lacks.

        Backward leads to what they cite, forward to what cites them; with a depth above 1, the records found are
        followed, too. Known records are given by record id, PMID or DOI. Forward reads every list of references of the
        index once for each step.

        Raises:
            UsageError: no direction, a depth that is not 1 to 10, or known is no list.
            AbstractNotFoundError: none of the known records is in the index.
        """
        route = ChaseRoute(check_switch("backward", backward), check_switch("forward", forward), depth)
        return chase_citations(self._follow_current(), known, route)

    def locate(self, query: Query, ids: Sequence[str]) -> Located:
        """Find hits of a query by record id, PMID or DOI, each with its rank and scores. Raises what ask raises.

        Semantic mode finds them at any rank, the other modes among the first 10,000.
        """
        plain = replace(self._complete(query), explain=False, group_by=None)
        return locate_hits(self._follow_current(), plain, check_ids("ids", ids))

    def _complete(self, query: Query, *, text_only: bool = False, is_recorded: bool = False) -> Query:
        """Return a checked query, with the defaults of index.toml filled in.

        A recorded one has them already: without a weight, it was answered with that of the question.

        Raises:
            UsageError: an invalid value, or no text where one is required.
        """
        query = check_query(query)
        if text_only and not query.text.strip():
            raise UsageError("a query of a batch has no text, expected one in each")
        settings = Settings.load(self.path)
        query = complete_reranking(query, settings)
        if query.mode != "hybrid":
            return replace(query, weight=None, fusion=None)
        weight = settings.hybrid_weight if query.weight is None and not is_recorded else query.weight
        return replace(query, weight=weight, fusion=query.fusion or check_fusion(settings.hybrid_fusion))

    def get_sources(self, record_id: str) -> list[RecordSource]:
        """List the sources of a record, oldest source first.

        Raises:
            AbstractNotFoundError: no record has this id.
        """
        corpus = self._follow_current().corpus
        return corpus.read_claims(corpus.find_doc_id(check_id("record_id", record_id)))

    def get(self, record_id: str) -> Abstract:
        """Return the stored abstract of a record id, PMID or DOI, exactly as its source gave it.

        Raises:
            AbstractNotFoundError: no record has this id.
        """
        corpus = self._follow_current().corpus
        doc_id = corpus.find_doc_id(check_id("record_id", record_id))
        return corpus.fetch([doc_id])[doc_id]

    def get_records(self, hits: Sequence[Hit]) -> list[Abstract]:
        """Return the stored records of hits, in the order of the hits.

        Raises:
            UsageError: no list of hits.
            AbstractNotFoundError: the index has moved to a generation without one of them.
        """
        given = check_list("hits", hits, "a list of engine.Hit")
        if odd := [hit for hit in given if not isinstance(hit, Hit)]:
            raise UsageError(f"hits holds {show_value(odd[0])}, expected engine.Hit. Of one that is new: changed.hit")
        corpus = self._follow_current().corpus
        ids = [corpus.find_doc_id(hit.id) for hit in given]
        found = corpus.fetch(ids)
        return [found[doc_id] for doc_id in ids]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Encode texts as queries are encoded: float32 (n, dim), unit length, in order; (0, dim) for no texts.

        Raises:
            UsageError: a string instead of a list of strings, or a blank text.
            EncoderError: the encoder returns no usable vector for a text.
        """
        return encode_texts(self._follow_current(), check_query_texts(texts))[0]

    def abstracts(self, filters: Filters | None = None, *, sort: str = RELEVANCE) -> Iterator[Abstract]:
        """Yield every stored abstract, or those that pass the filters, oldest in the index first.

        sort: the order, as in a query: "year", "author:desc", "journal", "added". "relevance" changes nothing, since
        nothing is asked.

        Raises:
            UsageError: an invalid filter or sort.
            ConfigError: a filter by the MeSH tree, which index.toml does not name.
        """
        snapshot = self._follow_current()
        query = check_query(Query("all", filters=_fill_filters(filters), sort=sort))
        found = None if filters is None else snapshot.find_qualified(query.filters).doc_ids
        if sort != RELEVANCE:
            ids = snapshot.corpus.read_ids() if found is None else found
            found = np.array(sort_ids(snapshot.corpus, ids.tolist(), sort), np.int64)
        return snapshot.corpus.read_abstracts(found)

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Return the stored vectors of records: float32 (n, dim), unit length, in the order of the ids.

        Records are given by record id, PMID or DOI; one may be given several times. No ids give (0, dim). A record that
        was indexed in passages has one vector for each; its row is their mean, scaled to unit length. To get all
        vectors as they are stored: engine vectors export.

        Raises:
            UsageError: a string instead of a list of strings.
            AbstractNotFoundError: ids are not in the index; the message names some of them.
            CorruptError: a file was changed or damaged.
        """
        return read_points(self._follow_current(), list(check_ids("ids", ids)))

    def load_encoder(self) -> Encoder:
        """Return the query encoder, loaded on first use.

        Raises:
            EncoderMismatchError: the encoder in the folder is not the one that the index was built with.
            CorruptError: its files were changed or damaged.
            EncoderError: it is missing or can't be used.
        """
        return self._follow_current().get_encoder()


def _fill_filters(filters: Filters | None) -> Filters:
    """Return the filters, which the query checks; none at all for None."""
    return Filters() if filters is None else filters


def get_generation(index: Index, *, follow: bool = False) -> OpenGeneration:
    """Return the open generation of an index, for the stages that need more than its public methods.

    With follow, the index first moves to a newer generation, as it does before each answer.

    Raises:
        GenerationError: the index is closed.
    """
    return index._follow_current() if follow else index._get_open()


def answer_recorded(index: Index, query: Query, since: int | None) -> tuple[tuple[str, ...] | None, Answer]:
    """Answer a recorded query, whatever index.toml says by now; since is None, or the argument of Index.ask_new.

    Return the kind of change of each hit, None without since, and the answer. Fails as Index.ask does.
    """
    query, snapshot = index._complete(query, is_recorded=True), index._follow_current()
    if since is None:
        return None, answer_query(snapshot, query)
    rows, answer = _answer_new(snapshot, query, since)
    return tuple(row.change for row in rows), answer


def answer_among(index: Index, queries: Sequence[Query], doc_ids: DocIds) -> list[Answer]:
    """Answer queries with texts among these records, doc ids ascending, int64 (n,), without verdicts.

    Raises:
        EngineError: as Index.ask_batch.
    """
    complete = [index._complete(query, text_only=True) for query in queries]
    return answer_queries(index._follow_current(), complete, doc_ids, judged=False)


def _answer_new(
    snapshot: OpenGeneration, query: Query, since: int | str | date, *, judged: bool = True
) -> tuple[list[ChangedHit], Answer]:
    """Answer a complete query among records that are new or changed since then, as Index.ask_new does."""
    changes = find_changed(snapshot.corpus, resolve_since(snapshot, since))
    if not changes:
        read_question(snapshot, query)  # an invalid query is refused all the same
        return [], Answer(query, snapshot.manifest.generation, (), 0)
    answer = answer_query(snapshot, query, np.array(list(changes), dtype=np.int64), judged=judged)
    ids = resolve_ids(snapshot.corpus, [hit.id for hit in answer.hits])
    return [ChangedHit(changes[cast(int, i)], hit) for i, hit in zip(ids, answer.hits, strict=True)], answer


def _open_again(
    path: str, follow: bool, device: str, generation: int | None, ranker: OpenRanker | None = None
) -> Index:
    """Open an index that was pickled by its path."""
    return open_index(path, follow=follow, device=device, generation=generation, ranker=ranker)
