"""Which column of a table, or key of an object, feeds which field. Decided once per header."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping

# Accepted column names per field, best first; compared lowercased with everything but letters and digits removed.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "recordid", "docid", "uid", "openalexid"),
    "pmid": ("pmid", "pubmedid", "medlinepmid", "pm"),
    "doi": ("doi", "doilink", "di"),
    "accession": ("embaseaccessionid", "embaseaccessionnumber", "accessionnumber", "ut", "eid"),
    "key": ("key",),  # Zotero's, or a table's own: good where nothing better is at hand
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
_NOTHING = {"", "na", "n/a", "nan", "none", "null", "-"}  # what R, pandas and people write for no value


def _normalise_column(name: str) -> str:
    """A column name as it is compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def match_column(name: str) -> str | None:
    """Name of the field that a column feeds, or None."""
    return FIELDS.get(_normalise_column(name), (None, 0))[0]


@functools.lru_cache(maxsize=1024)
def _plan_of(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(field, column) in the order to try them, for one header. Bounded: keys of objects differ by line."""
    known = {_normalise_column(name) for name in names}
    ranked = sorted(
        ((FIELDS[_normalise_column(name)], name) for name in names if _normalise_column(name) in FIELDS),
        key=lambda found: found[0][1],
    )
    return tuple((_match_export_column(field, _normalise_column(name), known), name) for (field, _), name in ranked)


def _match_export_column(field: str, name: str, known: set[str]) -> str:
    """The field of a column, knowing the other columns: PubMed's authors and Embase's source are special."""
    if name == "authors" and "journalbook" in known:
        return "closed_byline"
    if name == "source" and "authornames" in known:
        return "citation"
    return field


def choose_columns(row: Mapping[str, object]) -> dict[str, object]:
    """Pick the best filled column of each field."""
    found: dict[str, object] = {}
    for field, column in _plan_of(tuple(row)):
        if field not in found and not _is_missing(value := row[column], field):
            found[field] = value
    return found


def _is_missing(value: object, field: str) -> bool:
    """Whether a value stands for none: null, empty text, NaN; where an identity belongs, blanks and "NA" too."""
    if isinstance(value, str):
        return not value or (field in _IDENTITIES and value.strip().lower() in _NOTHING)
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None
