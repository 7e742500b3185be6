"""The words of the next generation: those of the current one, but for the records that this run changed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from engine.corpus.storage.store import Corpus, open_database
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wordwriter import write_words
from engine.index.durable import share_file
from engine.index.folder import DATABASE, WORDS, Generation
from engine.records.generation import DocIds
from engine.reindex.order import Build

_SAMPLE = 64  # records whose words are compared in order by a deep check
_PAGE = 1000  # records whose texts are read at a time
_Texts = Mapping[int, tuple[str, str]]  # title and abstract, by doc id


def write_generation_words(build: Build, doc_ids: DocIds) -> tuple[str, ...]:
    """Write the folder of words in ``building``; return what people should know about it.

    doc_ids: of all records of the next generation, ascending.

    Raises:
        CorpusError: the folder can't be written.
        CorruptError: the words of the current generation can't be read.
    """
    folder = build.folder.building / WORDS
    with contextlib.closing(open_database(build.folder.building / DATABASE)) as corpus:
        if build.current is None:
            gone, new = np.empty(0, np.int64), doc_ids
        else:
            gone, new = _find_changes(build.current, corpus, build.number, doc_ids)
        parent = build.current.words if build.current else None
        copied = write_words(folder, parent, gone, _read_texts(corpus, new), share_file)
    if not copied:
        return ()
    return (f"{folder.parent.parent}: the file system has no hard links, so unchanged words were copied",)


def _find_changes(current: Generation, corpus: Corpus, number: int, doc_ids: DocIds) -> tuple[DocIds, DocIds]:
    """Return the doc ids whose words go, and those whose words come; both hold a record with another text."""
    before = WordIndex(current.words).read_ids()
    rows = corpus.read_live("SELECT id FROM abstracts WHERE changed_generation = ?", number)
    touched = np.intersect1d(np.array([row[0] for row in rows], np.int64), before)
    with contextlib.closing(open_database(current.database)) as published:
        changed = np.array(list(_compare_texts(published, corpus, touched)), np.int64)
    gone = np.union1d(np.setdiff1d(before, doc_ids), changed)
    return gone, np.union1d(np.setdiff1d(doc_ids, before), changed)


def _compare_texts(published: Corpus, corpus: Corpus, doc_ids: DocIds) -> Iterator[int]:
    """Yield those of some records whose title or abstract differs in two databases, in order."""
    for start in range(0, len(doc_ids), _PAGE):
        page = doc_ids[start : start + _PAGE].tolist()
        old, new = _fetch_texts(published, page), _fetch_texts(corpus, page)
        yield from (doc_id for doc_id in page if old.get(doc_id) != new.get(doc_id))


def _read_texts(corpus: Corpus, doc_ids: DocIds) -> Iterator[tuple[int, str, str]]:
    """Yield (doc id, title, abstract) of some records, in order."""
    for start in range(0, len(doc_ids), _PAGE):
        page = doc_ids[start : start + _PAGE].tolist()
        texts = _fetch_texts(corpus, page)
        yield from ((doc_id, *texts[doc_id]) for doc_id in page)


def _fetch_texts(corpus: Corpus, doc_ids: list[int]) -> _Texts:
    """Return the titles and abstracts of some records."""
    return {row[0]: (row[1], row[2]) for row in corpus.read_by_ids("title, abstract", doc_ids)}


def check_words(path: Path, doc_ids: DocIds) -> Iterator[str]:
    """Yield a problem unless the words of a generation folder are those of just these records (doc ids, ascending)."""
    words = WordIndex(path / WORDS)
    unmatched = np.setxor1d(doc_ids, words.read_ids())
    if len(unmatched):
        yield f"{path}: {len(unmatched):,} ids are in only one of {DATABASE} and {WORDS}, the first is {unmatched[0]}"


def check_words_deep(corpus: Corpus, path: Path) -> Iterator[str]:
    """Yield a problem unless the words (folder) are those that the titles and abstracts give when read again."""
    words, doc_ids = WordIndex(path), corpus.read_ids()
    with tempfile.TemporaryDirectory(prefix="engine-words-") as scratch:
        again = Path(scratch, WORDS)
        write_words(again, None, np.empty(0, np.int64), _read_texts(corpus, doc_ids), share_file)
        expected = WordIndex(again).count_words()
    found = words.count_words()
    for field, word in sorted(found.keys() | expected.keys()):
        if (n := found.get((field, word), 0)) != (m := expected.get((field, word), 0)):
            yield f"{path}: {n:,} records have the word {word[:40]!r} in {field}, expected {m:,}"
            break
    sample = np.unique(np.linspace(0, len(doc_ids) - 1, min(_SAMPLE, len(doc_ids)), dtype=int))
    for doc_id, title, abstract in _read_texts(corpus, doc_ids[sample]):
        if not words.has_text(doc_id, title, abstract):
            yield f"{path}: the words of id {doc_id} are not those of its text"
            break
