"""Conversion between an Abstract and a row of the abstracts table."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from json.encoder import encode_basestring
from operator import attrgetter

from engine.records.abstract import LIST_FIELDS, SOURCE_FIELDS, Abstract

Value = str | int | None
Values = tuple[Value, ...]

_LISTS = frozenset(LIST_FIELDS)
_get_values = attrgetter(*SOURCE_FIELDS)


def build_row(abstract: Abstract) -> Values:
    """Return the column values of an abstract, in the order of SOURCE_FIELDS; a list is a JSON array, a flag 1 or 0."""
    return tuple(
        _dump_list(value) if isinstance(value, tuple) else int(value) if isinstance(value, bool) else value
        for value in _get_values(abstract)
    )


def _dump_list(items: tuple[str, ...]) -> str:
    """Return a JSON array, as json.dumps writes it with ensure_ascii=False, but in less than half the time."""
    return f"[{', '.join(map(encode_basestring, items))}]" if items else "[]"


def parse_row(row: Mapping[str, Value] | sqlite3.Row) -> Abstract:
    """Return the abstract in a row with all SOURCE_FIELDS."""
    values = {name: row[name] for name in SOURCE_FIELDS}
    lists = {name: () if values[name] == "[]" else tuple(json.loads(str(values[name]))) for name in _LISTS}
    return Abstract(**{**values, **lists, "retracted": bool(values["retracted"])})  # type: ignore[arg-type]


def hash_row(values: Values) -> bytes:
    """Return the SHA-256 of the values of SOURCE_FIELDS, to compare a record without keeping its text in memory."""
    return hashlib.sha256(repr(values).encode("utf-8")).digest()


def dump_abstract(abstract: Abstract) -> str:
    """Return an abstract as JSON, for the table contributions."""
    return json.dumps(build_row(abstract), ensure_ascii=False)


def load_abstract(text: str) -> Abstract:
    """Read an abstract from the JSON of dump_abstract."""
    return parse_row(dict(zip(SOURCE_FIELDS, json.loads(text), strict=True)))
