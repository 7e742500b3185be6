"""Files of queries: an id and a text a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from engine.errors import SourceError, UsageError
from engine.files import read_lines

_HEADERS = {"id", "qid", "query_id", "query-id", "queryid"}


def read_queries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (id, text) of each line: JSON objects with id and text, or id and text with a tab between; gzip too.

    A header line and blank lines are skipped. No id may occur twice.

    Raises:
        UsageError: the file can't be read, or a line has another form; the message gives its number.
    """
    seen: set[str] = set()
    for number, line in _read_query_lines(path):
        query_id, text = _parse_json(line) if line.lstrip().startswith("{") else _parse_tabbed(line)
        if number == 1 and query_id.lower() in _HEADERS:
            continue
        if not query_id.isprintable() or not query_id or any(map(str.isspace, query_id)) or not text.strip():
            raise UsageError(f"{path}, line {number}: expected an id without blanks and a text, with a tab between")
        if query_id in seen:
            raise UsageError(f"{path}, line {number}: the id {query_id[:40]!r} is there twice, expected once")
        seen.add(query_id)
        yield query_id, text


def _read_query_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a file of queries.

    Raises:
        UsageError: it can't be read.
    """
    try:
        yield from read_lines(path)
    except SourceError as err:
        raise UsageError(f"{err}. Expected lines of id, tab, text, or JSON with id and text") from err


def _parse_json(line: str) -> tuple[str, str]:
    """Return id and text of a JSON object, under any of their usual names; "" for one that is missing."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", ""

    def first(*names: str) -> str:
        return next((str(found[name]) for name in names if isinstance(found.get(name), str | int)), "")

    return first("id", "_id", "query_id", "qid"), first("text", "query", "title")


def _parse_tabbed(line: str) -> tuple[str, str]:
    """Return id and text of a line with a tab between; both "" without a tab."""
    query_id, tab, text = line.rstrip("\r\n").partition("\t")
    return (query_id.strip(), text) if tab else ("", "")
