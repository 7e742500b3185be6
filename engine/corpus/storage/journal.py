"""The journal of decisions beside the generations: append-only events in SQLite, safe for several processes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from engine.errors import CorpusError, DiskFullError, NotSavedError, UsageError

_APPLICATION_ID = 0x41424443  # "ABDC"
_VERSION = 2
_PATIENCE = 30.0  # seconds to wait for another process
_PAUSE = 0.02  # seconds between attempts
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")  # another process is writing
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")  # what SQLite says on a full disk
_SCHEMA = f"""
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    made TEXT NOT NULL,                  -- UTC, ISO 8601
    who TEXT NOT NULL,
    review TEXT NOT NULL DEFAULT '',     -- name of the review; '' for duplicates, which belong to the index
    kind TEXT NOT NULL,                  -- see DecisionKind
    batch INTEGER NOT NULL,              -- id of the first event of the same command
    undoes INTEGER REFERENCES events (id),
    note TEXT NOT NULL DEFAULT '',
    records TEXT NOT NULL,               -- JSON array: the identity of each record
    details TEXT NOT NULL DEFAULT '{{}}'   -- JSON object: what was known when the decision was made
);
CREATE TRIGGER events_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
PRAGMA application_id = {_APPLICATION_ID};
"""
_KEY = "json_extract(details, '$.key')"  # names the command
_INDEXES = f"""
CREATE INDEX events_key ON events (review, who, {_KEY}) WHERE {_KEY} IS NOT NULL;
CREATE INDEX events_undoes ON events (undoes) WHERE undoes IS NOT NULL;
PRAGMA user_version = {_VERSION};
"""  # all that version 1 lacks
_COLUMNS = "id, made, who, kind, batch, undoes, note, records, details"
_AFTER = f"SELECT {_COLUMNS} FROM events WHERE review = ? AND id > ? ORDER BY id"
_BY_KEY = f"SELECT {_COLUMNS} FROM events WHERE review = ? AND who = ? AND {_KEY} = ? ORDER BY id"


class DecisionKind(StrEnum):
    """What was decided: about duplicates, or about the records of a review."""

    MERGE = "merge"
    KEEP_APART = "keep-apart"
    START = "start"  # a review, or other settings of it
    INCLUDE = "include"
    EXCLUDE = "exclude"
    MAYBE = "maybe"
    UNDECIDED = "undecided"  # takes a decision of the same reviewer back and may leave a note
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class RecordIdentity:
    """What a record is recognised by, in any later generation: its sources' ids, its PMID and DOI, then its title."""

    ids: tuple[str, ...]  # that its sources give it, oldest source first
    pmid: str | None = None
    doi: str | None = None
    title: str = ""
    year: int | None = None
    author: str = ""  # the first


@dataclass(frozen=True, slots=True)
class NewDecision:
    """A decision to write into the journal."""

    kind: DecisionKind
    records: tuple[RecordIdentity, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    who: str = ""  # who decided, if it is not the person who writes


@dataclass(frozen=True, slots=True)
class Decision:
    """An event of the journal."""

    number: int
    made: str  # UTC, ISO 8601
    who: str
    kind: DecisionKind
    batch: int  # number of the first decision of the same command
    undoes: int | None
    note: str
    records: tuple[RecordIdentity, ...]
    details: Mapping[str, Any]


class Journal:
    """The decisions on duplicates, or those of one review, in the file decisions.db, made by the first decision."""

    def __init__(self, path: Path, review: str = "") -> None:
        """Prepare to read and write; without the name of a review, the decisions on duplicates."""
        self.path = path
        self.review = review

    def list_reviews(self) -> list[str]:
        """Return the names of the reviews in the file, in the order in which they were started.

        Raises:
            CorpusError: the file can't be read.
        """
        sql = "SELECT review FROM events WHERE review != '' GROUP BY review ORDER BY min(id)"
        return [name for (name,) in self._read_rows(sql)]

    def read(self, after: int = 0) -> list[Decision]:
        """Return the decisions with a number above `after`, oldest first; none if there is no file.

        Raises:
            CorpusError: the file can't be read.
        """
        return [_parse_event(row) for row in self._read_rows(_AFTER, self.review, after)]

    def has_events(self) -> bool:
        """Return whether anything was written for the review, or on duplicates.

        Raises:
            CorpusError: the file can't be read.
        """
        return bool(self._read_rows("SELECT 1 FROM events WHERE review = ? LIMIT 1", self.review))

    def count_events(self) -> int:
        """Return the number of events in the file: of all reviews and on duplicates, those that were undone among them.

        Raises:
            CorpusError: the file can't be read.
        """
        return sum(n for (n,) in self._read_rows("SELECT count(*) FROM events"))

    def find_problem(self) -> str:
        """Return what is wrong with the file; "" if nothing is, or there is none."""
        try:
            found = [str(text) for (text,) in self._read_rows("PRAGMA quick_check")]
        except CorpusError as err:
            return str(err)
        return f"{self.path} is damaged: {found[0]}" if found not in ([], ["ok"]) else ""

    def _read_rows(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return the rows of a query; none if there is no file, or another process is about to write the first event.

        Raises:
            CorpusError: the file can't be read.
        """
        if not self.path.exists():
            return []
        with self.open(write=False) as connection:
            is_written = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
            return connection.execute(sql, values).fetchall() if is_written else []

    def _select_events(self, connection: sqlite3.Connection, after: int = 0) -> list[Decision]:
        return [_parse_event(row) for row in connection.execute(_AFTER, (self.review, after))]

    def append(self, who: str, decisions: Sequence[NewDecision], key: str = "") -> list[Decision]:
        """Write decisions, all or none, and return them. They are on disk when this returns.

        key: names this command; if the same person has written with it before, nothing is written again.

        Raises:
            NotSavedError: the file can't be written.
            CorpusError: it is not a journal.
        """
        with self.open(write=True) as connection:
            if before := self._select_by_key(connection, who, key):
                return before
            pairs = [(_add_key(each, key), None) for each in decisions]
            numbers = set(self._insert(connection, who, pairs))
            made = self._select_events(connection, min(numbers, default=0) - 1)
        return [decision for decision in made if decision.number in numbers]

    def undo(self, who: str, number: int | None = None, *, own: bool = False, key: str = "") -> list[Decision]:
        """Undo a decision, or all those of the last command that are still in force; return them.

        own: choose among the decisions of the same person only.
        key: names this command; if the same person has undone with it before, nothing is undone again.

        Raises:
            UsageError: there is no such decision, or it has been undone.
            NotSavedError: the file can't be written.
            CorpusError: it is not a journal.
        """
        if not self.path.exists():
            raise UsageError(f"{self.path.parent} has no decisions yet")
        with self.open(write=True) as connection:
            if before := self._select_by_key(connection, who, key):
                return self._select_undone(connection, before)
            to_undo = self._select_in_force(connection, number, who if own else None)
            if not to_undo:
                _refuse_undo(self._select_events(connection), number, who if own else None)
            undoing = _add_key(NewDecision(DecisionKind.UNDO, ()), key)
            self._insert(connection, who, [(undoing, decision.number) for decision in to_undo])
        return to_undo

    def find_by_key(self, who: str, key: str) -> list[Decision]:
        """Return what a person wrote in the command with this key; nothing if there was none.

        Raises:
            CorpusError: the file can't be read.
        """
        return [_parse_event(row) for row in self._read_rows(_BY_KEY, self.review, who, key)] if key else []

    def _select_by_key(self, connection: sqlite3.Connection, who: str, key: str) -> list[Decision]:
        """Return what a person wrote in the command with this key; nothing without a key."""
        rows = connection.execute(_BY_KEY, (self.review, who, key)) if key else ()
        return [_parse_event(row) for row in rows]

    def _select_undone(self, connection: sqlite3.Connection, undoing: Sequence[Decision]) -> list[Decision]:
        """Return what some events undo, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM events WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        numbers = json.dumps([event.undoes for event in undoing])
        return [_parse_event(row) for row in connection.execute(sql, (numbers,))]

    def _select_in_force(self, connection: sqlite3.Connection, number: int | None, who: str | None) -> list[Decision]:
        """Return the decision of this number, or those of the last command, if they are in force and may be undone.

        who: only decisions of this person; None: anybody's. The start of a review stays.
        """
        in_force = (
            f"FROM events e WHERE review = :review AND kind NOT IN ('{DecisionKind.UNDO}', '{DecisionKind.START}')"
            " AND (:who IS NULL OR who = :who) AND NOT EXISTS (SELECT 1 FROM events WHERE undoes = e.id)"
        )
        values = {"review": self.review, "who": who, "number": number}
        if number is not None:
            sql = f"SELECT {_COLUMNS} {in_force} AND id = :number"
        else:
            last = f"(SELECT batch {in_force} ORDER BY id DESC LIMIT 1)"
            sql = f"SELECT {_COLUMNS} {in_force} AND id >= {last} AND batch = {last} ORDER BY id"
        return [_parse_event(row) for row in connection.execute(sql, values)]

    def _insert(
        self, connection: sqlite3.Connection, who: str, decisions: Collection[tuple[NewDecision, int | None]]
    ) -> list[int]:
        """Insert (decision, number of the decision that it undoes) and return the numbers."""
        made = datetime.now(UTC).isoformat(timespec="seconds")
        (batch,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM events").fetchone()
        numbers = []
        for decision, undoes in decisions:
            records = json.dumps([asdict(record) for record in decision.records], ensure_ascii=False)
            details = json.dumps(dict(decision.details), ensure_ascii=False)
            columns = "made, who, review, kind, batch, undoes, note, records, details"
            sql = f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            values = (
                made,
                decision.who or who,
                self.review,
                str(decision.kind),
                batch,
                undoes,
                decision.note,
                records,
                details,
            )
            numbers.append(int(connection.execute(sql, values).lastrowid or 0))
        return numbers

    @contextlib.contextmanager
    def open(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction.

        Raises:
            CorpusError: it can't be read, or is not a journal.
            NotSavedError: it can't be written.
        """
        try:
            with contextlib.closing(self.open_connection(write=write)) as connection:
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                if write:
                    _prepare(connection)
                _check(connection, self.path)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as err:
            kind = _classify_failure(err) if write else CorpusError
            raise kind(
                f"{self.path} can't be {'written' if write else 'read'}: {err}. Check the disk and the permissions; "
                "the decisions made before are kept"
            ) from err

    def hold(self) -> Callable[[], None]:
        """Keep the file open, and return what closes it; do nothing if there is no file.

        Meanwhile an event costs one write to the disk: SQLite empties its log when the last connection is closed.

        Raises:
            NotSavedError: the file can't be written.
        """
        if not self.path.exists():
            return lambda: None
        try:
            return self.open_connection(write=True).close
        except sqlite3.Error as err:
            raise NotSavedError(f"{self.path} can't be written: {err}. Check the disk and the permissions") from err

    def open_connection(self, *, write: bool) -> sqlite3.Connection:
        """Connect to the file: in WAL mode, or read-only. A folder that can't be written is read without locks.

        Raises:
            OperationalError: another process has locked the file for too long.
        """
        place = f"file:{quote(str(self.path.resolve()))}"
        if write:
            return _connect_to_write(place)
        try:
            return _connect(f"{place}?mode=ro", "PRAGMA user_version")
        except sqlite3.OperationalError as err:
            if getattr(err, "sqlite_errorname", "").startswith(_BUSY):
                raise
        return _connect(f"{place}?mode=ro&immutable=1")


def _connect_to_write(place: str) -> sqlite3.Connection:
    """Connect to a file in WAL mode. SQLite does not wait for a process that writes before the file has this mode.

    Raises:
        OperationalError: another process has locked the file for too long.
    """
    last = time.monotonic() + _PATIENCE
    while True:
        try:
            return _connect(place, "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", check_same_thread=False)
        except sqlite3.OperationalError as err:
            if not getattr(err, "sqlite_errorname", "").startswith(_BUSY) or time.monotonic() > last:
                raise
        time.sleep(_PAUSE)


def _connect(place: str, *statements: str, check_same_thread: bool = True) -> sqlite3.Connection:
    """Connect to a file by its URI and run statements; a connection on which one fails is closed."""
    connection = sqlite3.connect(
        place, timeout=_PATIENCE, isolation_level=None, check_same_thread=check_same_thread, uri=True
    )
    try:
        for statement in statements:
            connection.execute(statement).fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def list_active(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the decisions that were not undone, oldest first."""
    undone = {decision.undoes for decision in decisions}
    return [each for each in decisions if each.kind is not DecisionKind.UNDO and each.number not in undone]


def _add_key(decision: NewDecision, key: str) -> NewDecision:
    """Return a decision that carries the key of its command, if there is one."""
    return replace(decision, details={**decision.details, "key": key}) if key else decision


def _classify_failure(err: sqlite3.Error) -> type[CorpusError]:
    """Return the kind of error of a failed write."""
    return DiskFullError if getattr(err, "sqlite_errorname", "") in _FULL else NotSavedError


def _refuse_undo(decisions: Sequence[Decision], number: int | None, who: str | None) -> NoReturn:
    """Tell why the decision of this number, or the last command, can't be undone; by one person, if given.

    Raises:
        UsageError: always.
    """
    if number is None:
        raise UsageError("every decision has been undone already")
    active = [each for each in list_active(decisions) if _may_undo(each, who)]
    numbers = ", ".join(str(decision.number) for decision in active[-5:]) or "none"
    what = next((_explain_refusal(each, who) for each in decisions if each.number == number), "does not exist")
    raise UsageError(f"decision {number} {what}. The last in force: {numbers}")


def _may_undo(decision: Decision, who: str | None) -> bool:
    """Return whether somebody may undo a decision; None is anybody. The start of a review stays."""
    return decision.kind is not DecisionKind.START and who in (None, decision.who)


def _explain_refusal(decision: Decision, who: str | None) -> str:
    """Return why a decision can't be undone."""
    if decision.kind in (DecisionKind.START, DecisionKind.UNDO):
        return f"is of the kind {decision.kind}, which can't be undone"
    return "has been undone already" if _may_undo(decision, who) else f"was made by {decision.who}"


def _prepare(connection: sqlite3.Connection) -> None:
    """Create the table in an empty file, and what a journal of version 1 lacks; the caller holds the write lock."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    is_old = (found, version) == (_APPLICATION_ID, 1)
    script = _INDEXES if is_old else "" if version else _SCHEMA + _INDEXES
    for statement in _split_statements(script):
        connection.execute(statement)


def _split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; executescript would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that this is a journal that this engine reads.

    Raises:
        CorpusError: it is another file, or of a newer engine.
    """
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() and not version:
        return  # another process has made the file and is about to write
    if found != _APPLICATION_ID or version not in range(1, _VERSION + 1):
        raise CorpusError(
            f"{path} is not a journal of decisions of version 1 to {_VERSION} (found version {version}). "
            "Move it away, or use the engine that wrote it"
        )


def _parse_event(row: Sequence[Any]) -> Decision:
    """Return the decision in a row of _COLUMNS."""
    number, made, who, kind, batch, undoes, note, records, details = row
    identities = tuple(RecordIdentity(**{**record, "ids": tuple(record["ids"])}) for record in json.loads(records))
    return Decision(number, made, who, DecisionKind(kind), batch, undoes, note, identities, json.loads(details))
