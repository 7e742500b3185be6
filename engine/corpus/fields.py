"""The fields that an expression asks about, and what selects their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from engine.corpus.docsets import DocSet, Not
from engine.corpus.selections import (
    RETRACTED,
    WITH_SOURCE,
    WITHOUT_ABSTRACT,
    WITHOUT_TITLE,
    authors,
    keys,
    languages,
    names,
    sources,
    texts,
    with_key,
    with_terms,
)
from engine.identifiers import strip_doi, strip_pmid


@dataclass(frozen=True, slots=True)
class Field:
    """A field of names or texts."""

    equal: Callable[[Sequence[str]], DocSet]  # records with one of the values
    filled: DocSet  # records with any value
    contains: Callable[[Sequence[str]], DocSet] | None = None  # with a pattern *value*; None: as equal does


def of_names(kind: str, equal: Callable[[Sequence[str]], DocSet] | None = None) -> Field:
    """A field whose values are terms."""
    return Field(equal or partial(names, kind), with_terms(kind), partial(names, kind))


FIELDS: dict[str, Field] = {
    "journal": of_names("journal"),
    "title": Field(partial(texts, "title"), Not(WITHOUT_TITLE)),
    "abstract": Field(partial(texts, "abstract"), Not(WITHOUT_ABSTRACT)),
    "mesh": of_names("mesh"),
    "type": of_names("type"),
    "keyword": of_names("keyword"),
    "author": of_names("author", authors),
    "language": of_names("language", languages),
    "source": Field(sources, WITH_SOURCE),
    "pmid": Field(lambda values: keys("pmid", map(strip_pmid, values)), with_key("pmid")),
    "doi": Field(lambda values: keys("doi", map(strip_doi, values)), with_key("doi")),
    "id": Field(partial(keys, "record_id"), with_key("record_id")),
}
FLAGS: dict[str, DocSet] = {"retracted": RETRACTED, "has_abstract": Not(WITHOUT_ABSTRACT)}
KNOWN = ("year", *FIELDS, *FLAGS)
