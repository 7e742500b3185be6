"""Bytes of an index on disk: of the folder, of its files by kind, and of the tables in its databases."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

_SQLITE = b"SQLite format 3\0"
_VARIABLE = re.compile(r"[0-9a-f]{8,}|[0-9]+")  # of a name: numbers of generations and segments, digests
_PAGES = "SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name"


def list_files(folders: Iterable[Path]) -> list[Path]:
    """Return the files below the folders, each once even where several names are links to it."""
    found: dict[tuple[int, int], Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())


def count_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder, hard links counted once."""
    return sum(path.stat().st_size for path in list_files([folder]))


def count_by_kind(files: Iterable[Path]) -> dict[str, int]:
    """Return the bytes of files by their name without numbers and digests, the largest first."""
    sizes: Counter[str] = Counter()
    for path in files:
        sizes[_VARIABLE.sub("…", path.name)] += path.stat().st_size
    return dict(sizes.most_common())


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def measure_tables(path: Path) -> dict[str, Any]:
    """Return the bytes of a database by table, indexes of their own table included, and those of its free pages."""
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
    try:
        owners = dict(connection.execute("SELECT name, tbl_name FROM sqlite_master"))
        tables: Counter[str] = Counter()
        unused = 0
        for name, n_bytes, n_unused in connection.execute(_PAGES):
            tables[owners.get(name, name)] += n_bytes
            unused += n_unused
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        free = connection.execute("PRAGMA freelist_count").fetchone()[0] * size
    finally:
        connection.close()
    return {"tables": dict(tables.most_common()), "free_pages": free, "unused_in_pages": unused}


def add_tables(files: Iterable[Path]) -> dict[str, Any]:
    """Return the sums of `measure_tables` over the databases among the files."""
    tables: Counter[str] = Counter()
    rest: Counter[str] = Counter()
    for path in filter(is_database, files):
        found = measure_tables(path)
        tables.update(found.pop("tables"))
        rest.update(found)
    return {"tables": dict(tables.most_common()), **rest}
