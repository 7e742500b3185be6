"""The fields of a filter expression, and the selections that their comparisons stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.corpus.selection.clauses import (
    RETRACTED,
    WITH_FULL_TEXT,
    WITH_NOTE,
    WITH_SOURCE,
    WITHOUT_ABSTRACT,
    WITHOUT_TITLE,
    select_authors,
    select_keys,
    select_languages,
    select_names,
    select_notes,
    select_sources,
    select_texts,
    select_with_key,
    select_with_terms,
)
from engine.corpus.storage.docsets import DocSet, Not
from engine.identifiers import strip_doi, strip_pmid


@dataclass(frozen=True, slots=True)
class Field:
    """A field of names or texts."""

    equal: Callable[[Sequence[str]], DocSet]  # records with one of the values
    filled: DocSet  # records with any value
    contains: Callable[[Sequence[str]], DocSet] | None = None  # records that match a pattern *value*; None: use equal


def _build_name_field(kind: str, equal: Callable[[Sequence[str]], DocSet] | None = None) -> Field:
    """Return a field whose values are terms of this kind."""
    return Field(equal or partial(select_names, kind), select_with_terms(kind), partial(select_names, kind))


FIELDS: dict[str, Field] = {
    "journal": _build_name_field("journal"),
    "title": Field(partial(select_texts, "title"), Not(WITHOUT_TITLE)),
    "abstract": Field(partial(select_texts, "abstract"), Not(WITHOUT_ABSTRACT)),
    "mesh": _build_name_field("mesh"),
    "type": _build_name_field("type"),
    "keyword": _build_name_field("keyword"),
    "author": _build_name_field("author", select_authors),
    "language": _build_name_field("language", select_languages),
    "source": Field(select_sources, WITH_SOURCE),
    "database": _build_name_field("database"),
    "label": _build_name_field("label"),
    "note": Field(select_notes, WITH_NOTE),
    "pmid": Field(lambda values: select_keys("pmid", map(strip_pmid, values)), select_with_key("pmid")),
    "doi": Field(lambda values: select_keys("doi", map(strip_doi, values)), select_with_key("doi")),
    "id": Field(partial(select_keys, "record_id"), select_with_key("record_id")),
}
FLAGS: dict[str, DocSet] = {
    "retracted": RETRACTED,
    "has_abstract": Not(WITHOUT_ABSTRACT),
    "has_fulltext": WITH_FULL_TEXT,
}
KNOWN = ("year", *FIELDS, *FLAGS)
