"""Saved questions: each is answered on the records that are new or changed since it was answered last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from engine.config import DEFAULT_MOST, SavedQuestion
from engine.corpus.boolean.strategy import read_search
from engine.corpus.history import GenerationKey, find_changed, read_lineage
from engine.corpus.storage.rows import build_row, hash_row
from engine.errors import AbstractNotFoundError, ConfigError, EncoderError, EncoderMismatchError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.options import NO_RERANKER, Query
from engine.query.index import Index, answer_among, get_generation, open_index
from engine.query.opening.generation import OpenGeneration
from engine.query.question.validation import resolve_since
from engine.records.abstract import Abstract
from engine.records.answer import Answer
from engine.records.generation import DocIds
from engine.reindex.news.newsfiles import replace_run, write_feed
from engine.reindex.news.newsrun import NewsItem, NewsRun, WatchNews
from engine.reindex.news.watchmemory import (
    WatchMemories,
    WatchMemory,
    read_kept_lineages,
    read_memories,
    write_memories,
)

_DIGITS = 32  # of the digest of a record that are kept


@dataclass(frozen=True, slots=True)
class _Occasion:
    """The generation on which saved questions are answered."""

    index: Index
    snapshot: OpenGeneration
    lineage: frozenset[GenerationKey]

    @property
    def key(self) -> GenerationKey:
        """Number and date of the generation."""
        return max(self.lineage)


@contextmanager
def _open_memories(folder: IndexFolder) -> Iterator[WatchMemories]:
    """Lend what is remembered, with the lock of the watches held."""
    with lock_for_writing(folder.path / "WATCH.lock"):
        yield read_memories(folder.path)


@contextmanager
def _open_occasion(folder: IndexFolder) -> Iterator[_Occasion]:
    """Open the current generation."""
    with open_index(folder.path, follow=False) as index:
        snapshot = get_generation(index)
        yield _Occasion(index, snapshot, read_lineage(snapshot.generation.state))


def begin_watches(folder: IndexFolder, watches: Sequence[SavedQuestion], since: str | None = None) -> int | None:
    """Count everything up to now as known to the questions that were never answered; return the generation.

    since: a generation or date from which on records count as new instead. None is returned if there is no index yet.

    Raises:
        LockedError: another process answers the watches.
        UsageError: since is no such generation or date.
    """
    if not watches or not folder.read_pointer():
        return None
    with _open_memories(folder) as memories:
        fresh = [watch.name for watch in watches if watch.name not in memories.watches]
        if not fresh:
            return None
        with _open_occasion(folder) as now:
            last = now.key[0] if since is None else resolve_since(now.snapshot, since)
            known = frozenset(key for key in now.lineage if key[0] <= last) or frozenset({(0, "")})
        for name in fresh:
            memories.watches[name] = WatchMemory()
            memories.watches[name].begin(known)
        write_memories(folder.path, memories)
    return last


def forget_watch(folder: IndexFolder, name: str) -> None:
    """Forget what a question has reported.

    Raises:
        LockedError: another process answers the watches.
    """
    with _open_memories(folder) as memories:
        if memories.watches.pop(name, None) is not None:
            write_memories(folder.path, memories)


def answer_watches(folder: IndexFolder, watches: Sequence[SavedQuestion], created: str) -> NewsRun:
    """Answer saved questions on what is new since each was answered last, write the news, and remember them.

    The files are written before they are remembered: a run that was killed is repeated, and writes the same folder.
    A question that can't be answered is reported, and answered on the same records the next time.

    Raises:
        ConfigError: there is no question.
        LockedError: another process answers the watches.
        EngineError: the index can't be opened.
    """
    if not watches:
        raise ConfigError(f"{folder.path / 'index.toml'} has no [[watch]]. Add one: engine watch add NAME QUESTION")
    with _open_memories(folder) as memories, _open_occasion(folder) as now:
        news = tuple(_answer_all(now, watches, memories))
        has_news = any(one.items for one in news)
        number = memories.n_runs + 1 if has_news else None
        run = NewsRun(folder.name, created, now.key[0], number, news)
        if has_news:
            replace_run(folder.path, run)
            memories.n_runs += 1
        write_feed(folder.path, folder.name, memories.n_runs)
        _remember(folder, now, news, memories)
        write_memories(folder.path, memories)
    return run


def _answer_all(now: _Occasion, watches: Sequence[SavedQuestion], memories: WatchMemories) -> Iterator[WatchNews]:
    """Yield the news of each question in order; those that are new on the same records are answered together."""
    changes = {watch.name: _find_news(now, memories.watches.get(watch.name)) for watch in watches}
    groups: dict[tuple[int, ...], list[SavedQuestion]] = {}
    for watch in watches:
        if found := changes[watch.name]:
            groups.setdefault(tuple(found), []).append(watch)
    answers: dict[str, Answer | str] = {}
    for doc_ids, group in groups.items():
        answers |= _answer_group(now, group, np.array(doc_ids, np.int64))
    for watch in watches:
        found, answer = changes[watch.name], answers.get(watch.name)
        if found is None:
            yield WatchNews(watch, is_begun=True)
        elif isinstance(answer, str):
            yield WatchNews(watch, n_changed=len(found), error=answer)
        else:
            yield _build_news(now, watch, found, answer)


def _find_news(now: _Occasion, memory: WatchMemory | None) -> dict[int, str] | None:
    """Return the change of each record, by doc id, that a question has not been answered on; None if it begins now."""
    base = memory.find_base(now.lineage) if memory else None
    if memory is None or (base is None and (0, "") not in memory.answered):
        return None
    corpus = now.snapshot.corpus
    found = find_changed(corpus, base or 0)
    if not found or all(entry[:2] in now.lineage for entry in memory.reported.values()):
        return found
    rows = corpus.read_by_ids("record_id", list(found))
    again = [row["id"] for row in rows if row["record_id"] in memory.reported]
    reported = {
        doc_id
        for doc_id, record in corpus.fetch(again).items()
        if memory.has_reported(record.record_id, _hash_record(record), now.lineage)
    }
    return {doc_id: change for doc_id, change in found.items() if doc_id not in reported}


def _answer_group(now: _Occasion, watches: Sequence[SavedQuestion], doc_ids: DocIds) -> dict[str, Answer | str]:
    """Return the answer to each question among these records, or why there is none.

    Questions are answered together. Where that fails, each half is tried by itself.

    Raises:
        EncoderMismatchError: no question can be answered.
    """
    try:
        queries = [_complete(watch, len(doc_ids)) for watch in watches]
        answers = answer_among(now.index, queries, doc_ids)
        return {watch.name: answer for watch, answer in zip(watches, answers, strict=True)}
    except EncoderMismatchError:
        raise
    except (UsageError, AbstractNotFoundError, ConfigError, EncoderError) as err:
        if len(watches) == 1:
            return {watches[0].name: str(err)}
    half = len(watches) // 2
    return _answer_group(now, watches[:half], doc_ids) | _answer_group(now, watches[half:], doc_ids)


def _complete(watch: SavedQuestion, n_changed: int) -> Query:
    """Return the query of a question; a Boolean search reports all its matches."""
    is_search = read_search(watch.query.text) is not None
    most = watch.most or (n_changed if is_search else DEFAULT_MOST)
    return replace(watch.query, top_k=min(most, n_changed), rerank=NO_RERANKER)


def _build_news(now: _Occasion, watch: SavedQuestion, found: dict[int, str], answer: Answer | None) -> WatchNews:
    """Return what an answer reports."""
    if answer is None or not answer.hits:
        return WatchNews(watch, n_changed=len(found))
    corpus = now.snapshot.corpus
    doc_ids = [corpus.find_doc_id(hit.id) for hit in answer.hits]
    records = corpus.fetch(doc_ids)
    items = tuple(
        NewsItem(found[doc_id], hit, records[doc_id]) for doc_id, hit in zip(doc_ids, answer.hits, strict=True)
    )
    n_more = 0 if watch.query.min_score is not None else answer.n_qualified - len(items)
    return WatchNews(watch, items, len(found), n_more)


def _remember(folder: IndexFolder, now: _Occasion, news: Sequence[WatchNews], memories: WatchMemories) -> None:
    """Note what was answered and reported, and forget what is not needed any more."""
    lineages = read_kept_lineages(folder)
    for one in news:
        memory = memories.watches.setdefault(one.watch.name, WatchMemory())
        if one.is_begun:
            memory.begin(now.lineage)
        elif not one.error:
            memory.answered.add(now.key)
            memory.reported |= {item.record.record_id: (*now.key, _hash_record(item.record)) for item in one.items}
    for memory in memories.watches.values():
        memory.forget(lineages)


def _hash_record(record: Abstract) -> str:
    """Return a digest of all that is stored of a record."""
    return hash_row(build_row(record)).hex()[:_DIGITS]
