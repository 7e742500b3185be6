"""The words of a generation are the same, whichever process counts them, and a process that ends is told."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from engine import Index, open_index
from engine.errors import EngineError
from engine.index.generations.folder import IndexFolder
from engine.query.index import get_generation
from engine.query.opening.generation import OpenGeneration
from engine.relevance.screening.ranking import load_words
from engine.review.decisions.reviews import Review, ReviewSettings
from engine.review.desk import counting
from engine.review.desk.counting import WordCounter
from engine.review.desk.queue import ReviewQueue


@pytest.fixture
def snapshot(toy: IndexFolder) -> Iterator[OpenGeneration]:
    with open_index(toy.path) as index:
        yield get_generation(index)


def test_another_process_counts_the_same_words(snapshot: OpenGeneration) -> None:
    counter = WordCounter(few=39)  # of 40 records
    found, expected = counter.count(snapshot), load_words(snapshot.corpus)
    assert counter._running is not None
    assert counter._running.returncode is not None
    assert np.array_equal(found.doc_ids, expected.doc_ids)
    assert np.array_equal(found.has_text, expected.has_text)
    assert found.features is not None
    assert expected.features is not None
    assert found.terms is not None
    assert expected.terms is not None
    assert found.features.shape == expected.features.shape
    assert (found.features != expected.features).nnz == 0
    n_terms = len(expected.terms)
    assert [found.terms[column] for column in range(n_terms)] == [expected.terms[column] for column in range(n_terms)]
    assert (found.cosines, found.expected) == (expected.cosines, expected.expected)


def test_what_the_process_can_not_read_is_told(snapshot: OpenGeneration, toy: IndexFolder) -> None:
    path = toy.get_generation_path(1)
    path.rename(path.with_name("gone"))
    with pytest.raises(EngineError, match="generation"):
        WordCounter(few=0).count(snapshot)


@pytest.mark.parametrize(
    ("program", "message"),
    [("raise SystemExit(3)", "ended with status 3"), ("print('{', end='')", "ended with status 0")],
)
def test_a_process_that_ends_early_is_told(
    snapshot: OpenGeneration, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    monkeypatch.setattr(counting, "_START", program)
    with pytest.raises(EngineError, match=message):
        WordCounter(few=0).count(snapshot)


def test_a_closed_queue_ends_its_process(toy: IndexFolder, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_START", "import time; time.sleep(60)")
    monkeypatch.setattr(counting, "_FEW", 0)
    review = Review(toy, "main")
    review.start("ann", ReviewSettings())
    queue = ReviewQueue(index, review)
    while (running := queue._counter._running) is None:
        time.sleep(0.01)
    queue.close()
    assert running.returncode is not None
    assert "was ended by SIGKILL" in queue.trouble
    with pytest.raises(EngineError, match="was closed"):
        queue._counter.count(get_generation(index))


@pytest.fixture
def index(toy: IndexFolder) -> Iterator[Index]:
    with open_index(toy.path) as opened:
        yield opened


def test_without_a_process_the_words_are_counted_here(
    snapshot: OpenGeneration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert len(WordCounter(few=0).count(snapshot).doc_ids) == 40


def test_a_process_ends_with_the_one_that_started_it() -> None:
    program = "from engine.review.desk.counting import _end_with_parent as end; end()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        closing = threading.Timer(0.1, running.stdin.close)
        closing.start()
        assert running.wait(60) == 1
        closing.join()
