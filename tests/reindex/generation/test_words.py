"""The deep check of words: it finds what differs, and writes nothing."""

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.storage.store import Corpus
from engine.corpus.words.wordwriter import write_words
from engine.index.files.durable import share_file
from engine.index.generations.folder import IndexFolder
from engine.query.opening.corpus import open_corpus
from engine.reindex.generation.words import check_words_deep

Text = tuple[int, str, str]


@pytest.fixture
def corpus(toy: IndexFolder) -> Iterator[Corpus]:
    with closing(open_corpus(toy.open_current())) as opened:
        yield opened


def check(corpus: Corpus, folder: Path, *changed: Text) -> list[str]:
    """Write the words of a corpus, some of them of other texts, and return the problems."""
    texts = {doc_id: (doc_id, title, abstract) for doc_id, title, abstract, _ in corpus.read_texts()}
    write_words(folder, None, np.empty(0, np.int64), (texts | {each[0]: each for each in changed}).values(), share_file)
    return list(check_words_deep(corpus, folder))


def read(corpus: Corpus, doc_id: int) -> tuple[str, str]:
    """Title and abstract of a record."""
    row = corpus.fetch([doc_id])[doc_id]
    return row.title, row.abstract


def test_the_words_of_the_texts_have_no_problem(corpus: Corpus, tmp_path: Path) -> None:
    assert check(corpus, tmp_path / "words") == []


def test_a_missing_and_a_further_word_are_named(corpus: Corpus, tmp_path: Path) -> None:
    title, abstract = read(corpus, 5)
    assert check(corpus, tmp_path / "1", (5, title, f"{abstract} gout")) == [
        f"{tmp_path / '1'}: 9 records have the word 'gout' in stems, expected 8"
    ]
    assert check(corpus, tmp_path / "2", (5, title, f"{abstract} gouty")) == [
        f"{tmp_path / '2'}: 1 records have the word 'gouti' in stems, expected 0"
    ]
    found = check(corpus, tmp_path / "3", (5, "", abstract))
    assert len(found) == 2 and "in stems, expected" in found[0] and "the words of id 5 are not" in found[1]


def test_words_with_a_beginning_that_no_text_has_are_found(corpus: Corpus, tmp_path: Path) -> None:
    title, abstract = read(corpus, 5)
    assert check(corpus, tmp_path / "words", (5, title, f"{abstract} 你好")) == [
        f"{tmp_path / 'words'}: 1 records have words in {field} that no title and abstract has"
        for field in ("stems", "text")
    ]


@contextmanager
def no_file_written() -> Iterator[None]:
    """Let any write to a file fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_copy_of_the_words_is_written(toy: IndexFolder, corpus: Corpus) -> None:
    with no_file_written():
        assert list(check_words_deep(corpus, toy.open_current().words)) == []
