"""The corpus of a published generation."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from engine.corpus.selection.filters import find_qualified
from engine.corpus.storage.store import open_database
from engine.deadline import Deadline, limit_time
from engine.errors import BusyError, CorruptError
from engine.options import Filters
from tests.conftest import CURRENT

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_slow_query_is_stopped_and_the_next_one_is_answered() -> None:
    (path,) = CURRENT.glob("segments/000002-*/abstracts.db")
    with closing(open_database(path)) as corpus:
        corpus.patience = 0.05
        with pytest.raises(BusyError, match=r"words and filters took longer than 0\.05 seconds. Use fewer of them"):
            corpus.read_rows(ENDLESS)
        assert len(find_qualified(corpus, Filters(where="title ~ 'gout'")).doc_ids) == 8


def test_a_query_past_its_deadline_is_stopped_or_not_started() -> None:
    (path,) = CURRENT.glob("segments/000002-*/abstracts.db")
    with closing(open_database(path)) as corpus:
        began = time.monotonic()
        with limit_time(Deadline(began + 0.1)), pytest.raises(BusyError, match="the time for this answer is over"):
            corpus.read_rows(ENDLESS)
        assert time.monotonic() - began < 5
        corpus.patience = 60.0
        with limit_time(Deadline(began)), pytest.raises(BusyError, match="the time for this answer is over"):
            corpus.read_ids()
        assert len(corpus.read_ids()) == 43


@pytest.mark.parametrize("n", [1, 2])
def test_a_slow_query_blocks_others_unless_another_connection_is_idle(n: int) -> None:
    (path,) = CURRENT.glob("segments/000002-*/abstracts.db")
    with closing(open_database(path)) as corpus, ThreadPoolExecutor(1) as pool:
        corpus.widen(n)
        slow = Deadline(time.monotonic() + 60)

        def endless() -> None:
            with limit_time(slow):
                corpus.read_rows(ENDLESS)

        running = pool.submit(endless)
        time.sleep(0.1)
        waiting = ThreadPoolExecutor(1).submit(corpus.read_ids)
        if n == 1:
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            assert not running.done()
            slow.latest = 0.0
        assert len(waiting.result(timeout=10)) == 43
        assert running.done() == (n == 1)
        slow.latest = 0.0
        with pytest.raises(BusyError, match="the time for this answer is over"):
            running.result(timeout=10)


def test_many_threads_query_one_corpus_whose_file_is_deleted(tmp_path: Path) -> None:
    (path,) = CURRENT.glob("segments/000002-*/abstracts.db")
    copy = Path(shutil.copy(path, tmp_path / "abstracts.db"))
    with closing(open_database(copy)) as corpus:
        corpus.widen(3)
        corpus.widen(2)
        copy.unlink()
        with ThreadPoolExecutor(12) as pool:
            results = list(pool.map(lambda n: sorted(corpus.fetch([n, n + 1])), range(1, 300)))
        assert results[:42] == [[n, n + 1] for n in range(1, 43)] and results[50:] == [[]] * 249
        assert len(corpus.state.connections) == 3 == corpus.state.idle.qsize()


def test_a_closed_corpus_raises() -> None:
    (path,) = CURRENT.glob("segments/000002-*/abstracts.db")
    corpus = open_database(path)
    corpus.widen(3)
    corpus.close()
    for _ in range(4):
        with pytest.raises(CorruptError, match="closed"):
            corpus.read_ids()


def test_a_corpus_whose_file_is_deleted_cannot_be_widened_but_stays_usable(tmp_path: Path) -> None:
    (path,) = CURRENT.glob("segments/000002-*/abstracts.db")
    copy = Path(shutil.copy(path, tmp_path / "abstracts.db"))
    with closing(open_database(copy)) as corpus:
        copy.unlink()
        with pytest.raises(CorruptError, match="abstracts.db can't be opened .*engine verify"):
            corpus.widen(3)
        assert len(corpus.read_ids()) == 43
