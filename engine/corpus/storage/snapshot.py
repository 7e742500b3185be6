"""Copies of databases that other processes write meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from engine.errors import CorpusError, CorruptError

_PATIENCE = 30.0  # seconds to wait for another process
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ADVICE = "Put back an older backup of it, or move it away"


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, with what its write-ahead log holds, and check the copy.

    The target must not exist. The folder of the source need not be writable.

    Raises:
        CorruptError: the source is damaged.
        CorpusError: it can't be read, or the copy can't be written.
    """
    try:
        with closing(_open_for_reading(source)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
        with closing(sqlite3.connect(f"file:{quote(str(target.resolve()))}?immutable=1", uri=True)) as copy:
            problems = [str(row[0]) for row in copy.execute("PRAGMA quick_check")]
    except sqlite3.Error as err:
        if getattr(err, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            raise CorruptError(f"{source} is damaged: {err}. {_ADVICE}") from err
        raise CorpusError(f"{source} can't be copied to {target.parent}: {err}. Check the disk and the file") from err
    if problems != ["ok"]:
        raise CorruptError(f"{source} is damaged: {problems[0]}. {_ADVICE}")


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """Connect to a database without changing it; where its folder can't be written, without locks."""
    place = f"file:{quote(str(path.resolve()))}?mode=ro"
    connection = sqlite3.connect(place, timeout=_PATIENCE, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{place}&immutable=1", isolation_level=None, uri=True)
    return connection
