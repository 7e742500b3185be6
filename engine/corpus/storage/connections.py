"""Connections to one published database file, which the corpora of several generations share."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, LifoQueue

import numpy as np

from engine.corpus.storage.idsets import NO_IDS, PackedIds
from engine.corpus.storage.values import format_uri
from engine.deadline import Deadline
from engine.errors import CorruptError
from engine.records.generation import DocIds

_LOOK = 0.1  # seconds between two checks of the deadline while all connections are in use
_STEPS = 100_000  # of SQLite between two checks of the deadline


class SharedDatabase:
    """A published database, opened as immutable: without locks and without files beside it.

    It is closed with the last corpus that uses it. Safe to use from several threads.
    """

    def __init__(self, path: Path) -> None:
        """Open the database.

        Raises:
            CorruptError: SQLite can't open the file.
        """
        self.path = path
        self.state = _read_state(path)
        self.connections: list[sqlite3.Connection] = []
        self.idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._dead: dict[sqlite3.Connection, DocIds] = {}  # what the table dead of a connection holds
        self.packed_ids: PackedIds | None = None  # of its abstracts, once they were read
        self.array_names: frozenset[str] | None = None  # of its table arrays, once they were read
        self._lock = threading.Lock()
        self._n_users = 1
        self.widen(1)

    def widen(self, n: int) -> None:
        """Open n connections, so that n queries can run at once.

        They are opened now because the file may be deleted while it is in use.

        Raises:
            CorruptError: the file can't be opened any more.
        """
        while len(self.connections) < n:
            try:
                connection = sqlite3.connect(format_uri(self.path), uri=True, check_same_thread=False)
            except sqlite3.Error as err:
                raise CorruptError(f"{self.path} can't be opened ({err}). Run: engine verify") from err
            connection.row_factory = sqlite3.Row
            self.connections.append(connection)
            self.idle.put(connection)

    def add_user(self) -> bool:
        """Add a user; return False if the last one has closed the database."""
        with self._lock:
            self._n_users += bool(self._n_users)
            return bool(self._n_users)

    def close(self) -> None:
        """Remove a user. Without users, the database is closed and no method works afterwards."""
        with self._lock:
            self._n_users -= bool(self._n_users)
            if self._n_users:
                return
        for connection in self.connections:
            connection.close()

    def open_again(self) -> SharedDatabase:
        """Return the same file with connections of its own; if it was deleted or replaced, the open one, shared.

        Raises:
            CorruptError: the file can't be opened.
        """
        return SharedDatabase(self.path) if self.is_at(self.path) or not self.add_user() else self

    def is_at(self, path: Path) -> bool:
        """Return whether a path is that of this very file."""
        return path == self.path and self.state is not None and _read_state(path) == self.state

    def is_same(self, other: SharedDatabase) -> bool:
        """Return whether both are of one file."""
        return self is other or (self.state is not None and self.state == other.state)

    @contextlib.contextmanager
    def borrow(self, deadline: Deadline, end: float) -> Iterator[sqlite3.Connection]:
        """Lend a connection for exclusive use; its statement is interrupted at the deadline, or at end (monotonic).

        Raises:
            BusyError: the deadline passed before a connection was free.
        """
        connection = self._wait_for_connection(deadline)
        try:
            connection.set_progress_handler(lambda: deadline.is_over or time.monotonic() > end, _STEPS)
            yield connection
        finally:
            self.idle.put(connection)

    def _wait_for_connection(self, deadline: Deadline) -> sqlite3.Connection:
        """Return an idle connection.

        Raises:
            BusyError: the deadline has passed.
        """
        while True:
            deadline.check()
            with contextlib.suppress(Empty):
                return self.idle.get(timeout=_LOOK)

    def load_dead(self, connection: sqlite3.Connection, dead: DocIds) -> None:
        """Fill the temporary table dead of a borrowed connection with ids, int64 (n,) ascending.

        Only the difference to what it holds is written: from one generation to the next, few records die.
        """
        if (held := self._dead.pop(connection, None)) is dead:
            self._dead[connection] = dead
            return
        if held is None:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS dead (id INTEGER PRIMARY KEY)")
            connection.execute("DELETE FROM temp.dead")
            held = NO_IDS
        for sql, ids in (
            ("DELETE FROM temp.dead WHERE id = ?", np.setdiff1d(held, dead, assume_unique=True)),
            ("INSERT INTO temp.dead VALUES (?)", np.setdiff1d(dead, held, assume_unique=True)),
        ):
            connection.executemany(sql, ((doc_id,) for doc_id in ids.tolist()))
        connection.commit()
        self._dead[connection] = dead


def _read_state(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file from another that takes its place; None if it can't be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
