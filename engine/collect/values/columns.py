"""Mapping of table columns and object keys to fields, computed once per header."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping

# Accepted column names per field, best first; compared in lower case, without anything but letters and digits.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "recordid", "docid", "uid", "openalexid"),
    "pmid": ("pmid", "pubmedid", "medlinepmid", "pm"),
    "doi": ("doi", "doilink", "di"),
    "accession": ("embaseaccessionid", "embaseaccessionnumber", "accessionnumber", "ut", "eid"),
    "key": ("key",),  # Zotero's, or a table's own; the last resort for an id
    "title": ("title", "articletitle", "primarytitle", "documenttitle", "ti", "name"),
    "abstract": ("abstract", "abstracttext", "text", "body", "notesabstract", "abstractnote", "ab"),
    "year": ("year", "publicationyear", "pubyear", "py", "publicationdate", "pubdate", "date"),
    "journal": ("journal", "journaltitle", "journalbook", "sourcetitle", "publicationtitle", "source", "so"),
    "authors": ("authors", "author", "authorfullnames", "firstauthors", "au"),
    "byline": ("authornames",),
    "mesh": ("mesh", "meshterms", "meshheadings"),
    "publication_types": ("publicationtypes", "publicationtype", "documenttype"),
    "retracted": ("retracted", "isretracted"),
    "keywords": ("keywords", "keyword", "authorkeywords", "manualtags", "de"),
    "orcids": ("orcids",),
    "more_keywords": ("indexkeywords", "automatictags"),
    "languages": ("languages", "language", "languageoforiginaldocument", "la"),
    "vernacular_title": ("vernaculartitle", "originaltitle"),
    "other_abstracts": ("originalabstract",),
    "extra": ("extra",),  # Zotero's notes: "PMID: 123"
}
FIELDS = {name: (field, rank) for field, names in COLUMNS.items() for rank, name in enumerate(names)}
_IDENTITIES = ("id", "pmid", "doi", "accession", "key")
_NOTHING = {"", "na", "n/a", "nan", "none", "null", "-"}  # how R, pandas and people write a missing value


def _normalise_column(name: str) -> str:
    """Reduce a column name to its lower-case letters and digits, for comparison."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def match_column(name: str) -> str | None:
    """Return the name of the field that a column feeds; None for an unknown column."""
    return FIELDS.get(_normalise_column(name), (None, 0))[0]


@functools.lru_cache(maxsize=1024)
def _match_columns(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (field, column) for one header, best first. The cache is bounded: keys of objects differ by line."""
    known = {_normalise_column(name) for name in names}
    ranked = sorted(
        ((FIELDS[_normalise_column(name)], name) for name in names if _normalise_column(name) in FIELDS),
        key=lambda item: item[0][1],
    )
    return tuple((_match_export_column(field, _normalise_column(name), known), name) for (field, _), name in ranked)


def _match_export_column(field: str, name: str, known: set[str]) -> str:
    """Return the field of a column, given all columns: PubMed's authors and Embase's source are special."""
    if name == "authors" and "journalbook" in known:
        return "closed_byline"
    if name == "source" and "authornames" in known:
        return "citation"
    return field


def choose_columns(row: Mapping[str, object]) -> dict[str, object]:
    """Return field -> value, each from the best column that has a value."""
    values: dict[str, object] = {}
    for field, column in _match_columns(tuple(row)):
        if field not in values and not _is_missing(value := row[column], field):
            values[field] = value
    return values


def _is_missing(value: object, field: str) -> bool:
    """Return whether a value is missing: null, empty text or NaN; for an id also blanks, "NA" and the like."""
    if isinstance(value, str):
        return not value or (field in _IDENTITIES and value.strip().lower() in _NOTHING)
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None
