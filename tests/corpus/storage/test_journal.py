import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from engine.corpus.storage.journal import (
    _BY_KEY,
    DecisionKind,
    Journal,
    NewDecision,
    RecordIdentity,
    _parse_event,
    list_active,
)
from engine.errors import CorpusError, DiskFullError, NotSavedError, UsageError

DATA = Path(__file__).parents[2] / "data"
ONE, TWO = RecordIdentity(("PMID:1", "S1"), "1", "10.1/a", "Gout", 2020, "Liu, R"), RecordIdentity(("b",), title="Gout")
MERGE = NewDecision(DecisionKind.MERGE, (ONE, TWO), {"score": 0.9}, "looks the same")


def test_what_was_decided_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db")
    assert journal.read() == []
    (made,) = journal.append("ann", [MERGE])
    assert (made.number, made.who, made.kind, made.batch, made.undoes) == (1, "ann", DecisionKind.MERGE, 1, None)
    assert (made.records, made.details, made.note) == ((ONE, TWO), {"score": 0.9}, "looks the same")
    assert Journal(journal.path).read() == [made]


def test_undo_takes_back_the_last_command_or_a_named_decision(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db")
    journal.append("ann", [MERGE])
    journal.append("ann", [MERGE, NewDecision(DecisionKind.KEEP_APART, (ONE, TWO))])
    assert [decision.number for decision in journal.undo("bob")] == [2, 3]
    assert [decision.number for decision in list_active(journal.read())] == [1]
    assert [(each.kind, each.undoes, each.who) for each in journal.read()[3:]] == [
        (DecisionKind.UNDO, 2, "bob"), (DecisionKind.UNDO, 3, "bob"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="decision 2 has been undone already"):
        journal.undo("bob", 2)
    with pytest.raises(UsageError, match="decision 9 does not exist.* The last in force: 1"):
        journal.undo("bob", 9)
    assert [decision.number for decision in journal.undo("bob", 1)] == [1]
    with pytest.raises(UsageError, match="every decision has been undone"):
        journal.undo("bob")


def test_an_undo_without_any_decision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no decisions yet"):
        Journal(tmp_path / "decisions.db").undo("ann")
    assert list(tmp_path.iterdir()) == []


def test_events_are_never_changed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db")
    journal.append("ann", [MERGE])
    with closing(sqlite3.connect(journal.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with pytest.raises(sqlite3.IntegrityError, match="events are never changed"):
            connection.execute("UPDATE events SET who = 'eve'")
        with pytest.raises(sqlite3.IntegrityError, match="events are never deleted"):
            connection.execute("DELETE FROM events")


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    for attempt in (Journal(path).read, lambda: Journal(path).append("ann", [MERGE])):
        with pytest.raises(CorpusError, match=r"decisions.db can't be (read|written): file is not a database"):
            attempt()
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA user_version = 9; CREATE TABLE t (x)")
    with pytest.raises(CorpusError, match="is not a journal of decisions of version 1 to 2 \\(found version 9\\)"):
        Journal(path).append("ann", [MERGE])


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="finds open files in /proc/self/fd, which is not here")
@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_database_is_not_left_open(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "decisions.db"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    with pytest.raises(sqlite3.DatabaseError) as caught:  # its traceback keeps the variables of the method
        Journal(path).open_connection(write=write)
    opened = {os.readlink(each) for each in Path("/proc/self/fd").iterdir() if os.path.islink(each)}
    assert (str(path) in opened, caught.value.sqlite_errorname) == (False, "SQLITE_NOTADB")


def test_a_journal_on_read_only_media_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db")
    journal.append("ann", [MERGE])
    assert not list(tmp_path.glob("*-wal")) or (tmp_path / "decisions.db-wal").stat().st_size == 0
    tmp_path.chmod(0o555)
    try:
        assert [decision.number for decision in journal.read()] == [1]
    finally:
        tmp_path.chmod(0o755)


def append_many(path: Path, who: str, n: int) -> None:
    for _ in range(n):
        Journal(path).append(who, [MERGE])


def test_processes_that_decide_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_many, args=(path, f"person {n}", 8)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    decisions = Journal(path).read()
    assert [decision.number for decision in decisions] == list(range(1, 25))
    assert sorted(decision.who for decision in decisions) == sorted(f"person {n}" for n in range(3) for _ in range(8))


def test_the_first_decision_waits_for_a_process_that_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA user_version = 0")
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE scratch (n)")
        release = threading.Timer(0.3, other.rollback)
        release.start()
        assert len(Journal(path).append("ann", [MERGE])) == 1
        release.join()


DECIDE_FOR_EVER = """
import sys
from pathlib import Path
from tests.corpus.storage.test_journal import MERGE, Journal
while True:
    (made,) = Journal(Path(sys.argv[1])).append("ann", [MERGE])
    print(made.number, flush=True)
"""


def test_a_kill_loses_at_most_the_last_decision(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    for round_number in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", DECIDE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.01 * round_number)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        numbers = [decision.number for decision in Journal(path).read()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= int(said[-1] if said else 1)


def test_what_is_sent_twice_with_one_key_is_written_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db")
    first = journal.append("ann", [MERGE], "a1")
    assert journal.append("ann", [MERGE], "a1") == first == journal.find_by_key("ann", "a1")
    assert [each.number for each in journal.append("bob", [MERGE], "a1")] == [2]
    assert [each.number for each in journal.append("ann", [MERGE])] == [3]
    assert journal.undo("ann", 1, key="u1") == journal.undo("ann", 1, key="u1") == first
    assert [(each.kind, each.undoes) for each in journal.read(3)] == [(DecisionKind.UNDO, 1)]
    assert journal.find_by_key("ann", "") == journal.find_by_key("ann", "other") == []


def test_a_full_disk_and_a_locked_file_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "decisions.db")
    journal.append("ann", [MERGE])
    with journal.open(write=False) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    opened = journal.open_connection

    def open_small(*, write: bool) -> sqlite3.Connection:
        connection = opened(write=write)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(journal, "open_connection", open_small)
    with pytest.raises(DiskFullError, match="database or disk is full.*the decisions made before are kept"):
        journal.append("ann", [NewDecision(DecisionKind.MERGE, (ONE, TWO), note="long" * 9000)])
    monkeypatch.undo()
    monkeypatch.setattr("engine.corpus.storage.journal._PATIENCE", 0.0)
    with journal.open(write=True), pytest.raises(NotSavedError, match="database is locked") as refused:
        Journal(journal.path).append("bob", [MERGE])
    assert not isinstance(refused.value, DiskFullError)
    assert [each.who for each in journal.read()] == ["ann"]


def test_a_journal_that_another_process_is_making_has_no_decisions_yet(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db", "main")
    with closing(journal.open_connection(write=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert journal.path.stat().st_size
        assert (journal.read(), journal.list_reviews(), journal.has_events(), journal.count_events()) == (
            [],
            [],
            False,
            0,
        )
        assert journal.find_by_key("ann", "first") == []
    assert [each.number for each in journal.append("ann", [MERGE])] == [1]  # it was killed before it wrote


def test_a_journal_that_is_held_keeps_its_log(tmp_path: Path) -> None:
    journal, log = Journal(tmp_path / "decisions.db"), tmp_path / "decisions.db-wal"
    journal.hold()()  # there is no file yet
    journal.append("ann", [MERGE])
    assert not log.exists()
    release = journal.hold()
    sizes = []
    for _ in range(2):
        journal.append("ann", [MERGE])
        sizes.append(log.stat().st_size)
    assert 0 < sizes[0] < sizes[1]  # otherwise it is written back and made anew each time
    assert len(journal.read()) == len(Journal(journal.path).read()) == 3
    with ThreadPoolExecutor(1) as pool:
        pool.submit(release).result()
    journal.append("ann", [MERGE])
    assert not log.exists()
    assert len(journal.read()) == 4


def old_journal(path: Path) -> Path:
    """A journal of version 1, as an engine wrote it: a merge, a review, a decision with a key and an undone one."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "decisions-1.sql").read_text(encoding="utf-8"))
    return path


def test_a_journal_of_version_1_is_read_as_it_is_and_gets_its_indexes_with_the_first_decision(tmp_path: Path) -> None:
    path = old_journal(tmp_path / "decisions.db")
    journal, before = Journal(path, "main"), path.read_bytes()
    events = journal.read()
    assert [(each.number, each.kind, each.undoes) for each in events] == [
        (2, "start", None), (3, "include", None), (4, "exclude", None), (5, "undo", 4),
    ]  # fmt: skip
    assert journal.find_by_key("ann", "key-1") == [events[1]]
    assert path.read_bytes() == before
    assert version_of(path) == 1
    assert journal.append("ann", [MERGE], "key-1") == [events[1]]  # sent again: nothing is written but the indexes
    assert version_of(path) == 2
    assert journal.undo("ann", key="key-2") == [events[2]]
    assert [each.number for each in journal.append("ann", [MERGE], "key-3")] == [6]
    assert journal.read()[:4] == events
    assert [each.kind for each in Journal(path).read()] == [DecisionKind.MERGE]


def test_processes_that_meet_a_journal_of_version_1_change_it_once(tmp_path: Path) -> None:
    path = old_journal(tmp_path / "decisions.db")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: Journal(path, "main").append(f"person {n}", [MERGE]), range(8)))
    assert sorted(event.number for (event,) in made) == list(range(6, 14))
    assert version_of(path) == 2


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def test_a_command_is_found_by_its_key_and_undone_without_reading_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "decisions.db", "main")
    journal.append("ann", [MERGE], "first")
    counts = []
    for key in ("second", "third"):
        journal.append("bob", [MERGE] * 500)
        with mock.patch("engine.corpus.storage.journal._parse_event", side_effect=_parse_event) as parsed:
            journal.find_by_key("ann", "first")
            journal.append("ann", [MERGE], "first")
            (made,) = journal.append("ann", [MERGE])
            journal.undo("ann", made.number, own=True, key=key)
        counts.append(parsed.call_count)
    assert counts[0] == counts[1] < 10
    with journal.open(write=False) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {_BY_KEY}", ("main", "ann", "first")).fetchall()
    assert "USING INDEX events_key" in plan[0][3]
