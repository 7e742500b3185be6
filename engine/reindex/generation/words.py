"""The words of the next generation: those of the current one, but for the records that this run changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.corpus.storage.store import Corpus
from engine.corpus.words.wordindex import STEMS, TEXT, TITLE, WordIndex
from engine.corpus.words.wordsums import WordSums, count_words
from engine.corpus.words.wordwriter import write_words
from engine.index.files.durable import share_file
from engine.index.generations.folder import WORDS
from engine.index.generations.segment import DATABASE
from engine.progress import Progress
from engine.query.opening.corpus import open_corpus
from engine.records.generation import DocIds
from engine.reindex.generation.generationfiles import open_next_corpus
from engine.reindex.generation.order import Build

if TYPE_CHECKING:
    from engine.reindex.generation.seal import Filled

_SAMPLE = 64  # records whose words are compared in order by a deep check
_PAGE = 1000  # records whose texts are read at a time
_Texts = Mapping[int, tuple[str, str]]  # title and abstract, by doc id


def write_generation_words(build: Build, filled: Filled, progress: Progress) -> tuple[str, ...]:
    """Write the folder of words in ``building``; return what people should know about it.

    A generation that is published again as one segment gets words that are written anew, since only that drops what
    deleted records leave behind.

    Raises:
        CorpusError: the folder can't be written.
        CorruptError: the words of the current generation can't be read.
    """
    progress("writing words", 0, None)
    folder = build.folder.building_generation / WORDS
    with contextlib.ExitStack() as opened:
        published = opened.enter_context(contextlib.closing(open_corpus(build.current))) if build.current else None
        corpus = opened.enter_context(contextlib.closing(open_next_corpus(build, filled.parts, published)))
        if published is None or build.current is None or build.order.republish:
            parent, gone, new = None, np.empty(0, np.int64), corpus.read_ids()
        else:
            parent = build.current.words
            gone, new = _find_changes(published, corpus, filled)
        copied = write_words(folder, parent, gone, _read_texts(corpus, new), share_file)
    if not copied:
        return ()
    return (f"{build.folder.path}: the file system has no hard links, so unchanged words were copied",)


def _find_changes(published: Corpus, corpus: Corpus, filled: Filled) -> tuple[DocIds, DocIds]:
    """Return the doc ids whose words go, and those whose words come; both hold a record with another text."""
    own, loaded = filled.own_ids, filled.loaded_ids
    changed = np.array(list(_compare_texts(published, corpus, np.intersect1d(own, loaded))), np.int64)
    return np.union1d(np.setdiff1d(loaded, own), changed), np.union1d(np.setdiff1d(own, loaded), changed)


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
    """Yield a problem unless the words (folder) are those that the titles and abstracts give when read again.

    Nothing is written, and memory holds the words that begin with one character.
    """
    words, doc_ids = WordIndex(path), corpus.read_ids()
    expected = WordSums()
    expected.add_texts(_read_texts(corpus, doc_ids))
    for field, beginning in sorted(expected.sums):
        found = WordSums()
        found.add_counts(field, words.count_words(field, beginning))
        if found.sums[field, beginning] != expected.sums[field, beginning]:
            counts = count_words(_read_texts(corpus, doc_ids), field, beginning)
            yield _describe_word(path, field, counts, dict(words.count_words(field, beginning)))
            break
    for field in (STEMS, TEXT, TITLE):
        if n := words.count_others(field, {beginning for name, beginning in expected.sums if name == field}):
            yield f"{path}: {n:,} records have words in {field} that no title and abstract has"
    sample = np.unique(np.linspace(0, len(doc_ids) - 1, min(_SAMPLE, len(doc_ids)), dtype=int))
    for doc_id, title, abstract in _read_texts(corpus, doc_ids[sample]):
        if not words.has_text(doc_id, title, abstract):
            yield f"{path}: the words of id {doc_id} are not those of its text"
            break


def _describe_word(path: Path, field: str, expected: Mapping[str, int], found: Mapping[str, int]) -> str:
    """Describe the first word that is not in as many records as it should be."""
    word = min(word for word in expected.keys() | found.keys() if expected.get(word, 0) != found.get(word, 0))
    n, m = found.get(word, 0), expected.get(word, 0)
    return f"{path}: {n:,} records have the word {word[:40]!r} in {field}, expected {m:,}"
