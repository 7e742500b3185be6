"""Project files of ASReview LAB (.asreview): the records of a project with their labels."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.files import is_bomb

_CONFIG = "project.json"
# Since version 3 of ASReview, records and labels are in one database; version 2 has the labels in a folder.
_DATABASE, _STORE, _REVIEWS = "results.db", "data_store.db", "reviews/"
_OLD = "reviews/*/results.sql"
_FAULTS = (zipfile.BadZipFile, zlib.error, sqlite3.Error, OSError, EOFError, KeyError, ValueError, NotImplementedError)
_ROWS = """
    SELECT r.title, r.abstract, r.authors, r.year, r.doi, l.label, l.note, l.tags
    FROM record r LEFT JOIN labels.results l ON l.record_id = r.record_id ORDER BY r.record_id
"""
_EXPECTED = "expected a project that ASReview LAB 2 or later exported"


@dataclass(frozen=True, slots=True)
class _ProjectRecord:
    """A record of a project."""

    title: str
    abstract: str
    authors: tuple[str, ...]
    year: int | None
    doi: str
    label: int | None  # 1 relevant, 0 irrelevant, None not seen
    note: str
    tags: tuple[str, ...]


def is_project(path: Path) -> bool:
    """Return whether a file is a project of ASReview, which is a ZIP file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _CONFIG in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def read_project(path: Path) -> list[_ProjectRecord]:
    """Return the records of a project, in their order.

    Raises:
        UsageError: it is damaged, or of an older version.
    """
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            records, labels = _find_databases(archive, path)
            for name in {records, labels}:
                _extract_file(archive, name, Path(folder, Path(name).name), path)
            return list(_read_records(Path(folder, Path(records).name), Path(folder, Path(labels).name)))
    except _FAULTS as err:
        raise UsageError(f"{path}: broken project of ASReview ({type(err).__name__}: {str(err)[:80]})") from err


def _find_databases(archive: zipfile.ZipFile, path: Path) -> tuple[str, str]:
    """Return the names of the databases with the records and with the labels; those of the first review count.

    Raises:
        UsageError: there are none.
    """
    names = archive.namelist()
    if _DATABASE in names:
        return _DATABASE, _DATABASE
    reviews = sorted(name for name in names if name.startswith(_REVIEWS) and name.endswith(f"/{_DATABASE}"))
    if _STORE in names and reviews:
        return _STORE, reviews[0]
    if any(Path(name).match(_OLD) for name in names):
        raise UsageError(f"{path} is a project of ASReview 1, {_EXPECTED}. Import and export it there, or export a RIS")
    raise UsageError(f"{path} is a project of ASReview without records, {_EXPECTED}")


def _extract_file(archive: zipfile.ZipFile, name: str, target: Path, path: Path) -> None:
    """Write a file of the archive to a folder.

    Raises:
        UsageError: it inflates to far more than any real one.
    """
    part = archive.getinfo(name)
    if is_bomb(part.compress_size, part.file_size):
        raise UsageError(f"{path}: {part.compress_size:,} bytes of {name} inflate to {part.file_size:,}, {_EXPECTED}")
    with archive.open(part) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _read_records(records: Path, labels: Path) -> Iterator[_ProjectRecord]:
    """Yield the records of the unpacked databases."""
    with closing(sqlite3.connect(f"{records.as_uri()}?mode=ro", uri=True)) as db:
        db.execute("ATTACH ? AS labels", (f"{labels.as_uri()}?mode=ro",))
        for title, abstract, authors, year, doi, label, note, tags in db.execute(_ROWS):
            yield _ProjectRecord(
                title or "",
                abstract or "",
                tuple(map(str, json.loads(authors or "[]"))),
                year,
                doi or "",
                label,
                note or "",
                tuple(dict.fromkeys(_list_checked(json.loads(tags or "[]")))),
            )


def _list_checked(tags: Any) -> Iterator[str]:
    """Yield the labels of the tags that are ticked, in groups of tags."""
    if isinstance(tags, list):
        for item in tags:
            yield from _list_checked(item)
    elif isinstance(tags, dict):
        if tags.get("checked") and tags.get("label"):
            yield str(tags["label"])
        yield from _list_checked(tags.get("values", []))
