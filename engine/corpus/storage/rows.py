"""Conversion between an Abstract and a row of the abstracts table."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping

from engine.records.abstract import Abstract

Value = str | int | None
Values = tuple[Value, ...]

# The columns that come from the source, in the order of build_row().
SOURCE_COLUMNS = (
    "record_id",
    "title",
    "abstract",
    "year",
    "journal",
    "authors",
    "pmid",
    "doi",
    "mesh",
    "publication_types",
    "retracted",
    "keywords",
    "languages",
    "vernacular_title",
    "other_abstracts",
    "orcids",
    "notices",
)
_LISTS = frozenset(
    ("authors", "mesh", "publication_types", "keywords", "languages", "other_abstracts", "orcids", "notices")
)


def build_row(abstract: Abstract) -> Values:
    """Return the column values of an abstract, in the order of SOURCE_COLUMNS."""
    return (
        abstract.record_id,
        abstract.title,
        abstract.abstract,
        abstract.year,
        abstract.journal,
        _dump_list(abstract.authors),
        abstract.pmid,
        abstract.doi,
        _dump_list(abstract.mesh),
        _dump_list(abstract.publication_types),
        int(abstract.retracted),
        _dump_list(abstract.keywords),
        _dump_list(abstract.languages),
        abstract.vernacular_title,
        _dump_list(abstract.other_abstracts),
        _dump_list(abstract.orcids),
        _dump_list(abstract.notices),
    )


def _dump_list(items: tuple[str, ...]) -> str:
    """Return a JSON array."""
    return json.dumps(items, ensure_ascii=False) if items else "[]"


def parse_row(row: Mapping[str, Value] | sqlite3.Row) -> Abstract:
    """Return the abstract in a row with all SOURCE_COLUMNS."""
    values = {name: row[name] for name in SOURCE_COLUMNS}
    lists = {name: tuple(json.loads(str(values[name]))) for name in _LISTS}
    return Abstract(**{**values, **lists, "retracted": bool(values["retracted"])})  # type: ignore[arg-type]


def hash_row(values: Values) -> bytes:
    """Return the SHA-256 of the values of SOURCE_COLUMNS, to compare a record without keeping its text in memory."""
    return hashlib.sha256(repr(values).encode("utf-8")).digest()


def dump_abstract(abstract: Abstract) -> str:
    """Return an abstract as JSON, for the table contributions."""
    return json.dumps(build_row(abstract), ensure_ascii=False)


def load_abstract(text: str) -> Abstract:
    """Read an abstract from the JSON of dump_abstract."""
    return parse_row(dict(zip(SOURCE_COLUMNS, json.loads(text), strict=True)))
