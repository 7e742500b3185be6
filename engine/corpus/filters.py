"""Filters -> the doc ids of the records that qualify, exactly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.corpus.docsets import All, DocSet, Listed, Not, members
from engine.corpus.keywords import check_searchable
from engine.corpus.meshtree import GET_IT, MeshTree
from engine.corpus.resolving import doc_ids_of
from engine.corpus.selections import (
    RETRACTED,
    WITHOUT_ABSTRACT,
    authors,
    languages,
    names,
    sources,
    years,
)
from engine.corpus.store import Corpus
from engine.corpus.where import condition
from engine.errors import NoMeshTreeError, UsageError
from engine.queries import Filters
from engine.records import DocIds

YEARS = re.compile(r"(?P<low>[0-9]{4})?\s*(?P<dash>[-\u2013])?\s*(?P<high>[0-9]{4})?")
MAX_LENGTH = 10_000  # of a value, in characters
NAMES = ("journals", "mesh", "mesh_trees", "types", "keywords", "authors", "languages", "sources")
LISTS = (*NAMES, "ids", "exclude")


@dataclass(frozen=True, slots=True)
class Qualified:
    """The records that pass the filters."""

    doc_ids: DocIds  # ascending, unique, int64 (n,)
    unknown: tuple[str, ...]  # listed ids that are not in the index, in order, each once


def qualified(corpus: Corpus, filters: Filters, tree: MeshTree | None = None) -> Qualified:
    """Find the records that pass all filters that are given; with none given, all records.

    tree: the MeSH tree, needed for filters.mesh_trees alone.

    Raises:
        UsageError: a value or an expression that makes no sense, or a heading that is not in the tree.
        NoMeshTreeError: there is no tree.
        GenerationError: the corpus is of a format without the tables that filters need.
        CorruptError: SQLite found the file damaged.
    """
    check_searchable(corpus)
    check(filters)
    if filters.mesh_trees and tree is None:
        raise NoMeshTreeError(f"a filter by the MeSH tree needs NLM's file of it. {GET_IT}")
    headings = [heading for name in filters.mesh_trees if tree for heading in tree.headings_below(name)]
    parts = [*by_names(filters, headings), *by_facts(filters)]
    unknown: dict[str, None] = {}
    if filters.ids is not None:
        parts.append(listed(corpus, filters.ids, unknown))
    if filters.exclude:
        parts.append(Not(listed(corpus, filters.exclude, unknown)))
    return Qualified(members(corpus, All(tuple(parts))), tuple(unknown))


def by_names(filters: Filters, headings: list[str]) -> Iterator[DocSet]:
    """Yield what the filters by names ask for; headings are those of the MeSH tree."""
    for kind, values in (
        ("journal", filters.journals),
        ("mesh", filters.mesh),
        ("mesh", headings),
        ("type", filters.types),
        ("keyword", filters.keywords),
    ):
        if values:
            yield names(kind, values)
    for given, select in ((filters.authors, authors), (filters.languages, languages), (filters.sources, sources)):
        if given:
            yield select(given)


def by_facts(filters: Filters) -> Iterator[DocSet]:
    """Yield what the other filters ask for, but for lists of ids."""
    if filters.years:
        yield years(filters.years)
    if filters.retracted is not None:
        yield RETRACTED if filters.retracted else Not(RETRACTED)
    if filters.has_abstract is not None:
        yield Not(WITHOUT_ABSTRACT) if filters.has_abstract else WITHOUT_ABSTRACT
    if filters.where:
        yield condition(filters.where)


def listed(corpus: Corpus, record_ids: tuple[str, ...], unknown: dict[str, None]) -> Listed:
    """The records of a list; ids that are none go into unknown."""
    found = doc_ids_of(corpus, record_ids)
    unknown.update((given, None) for given, doc_id in zip(record_ids, found, strict=True) if doc_id is None)
    return Listed(np.array([doc_id for doc_id in found if doc_id is not None], np.int64))


def check(filters: Filters) -> None:
    """Refuse values that no record could be compared with.

    Raises:
        UsageError: a text instead of a list, a value that is no text, blank or too long, or a range of no years.
    """
    for name in LISTS:
        values = getattr(filters, name)
        if isinstance(values, str):
            raise UsageError(f"{name} is the single text {values[:60]!r}, expected a list of them: ({values[:60]!r},)")
        for value in values or ():
            if not isinstance(value, str) or (name in NAMES and not value.strip()) or len(value) > MAX_LENGTH:
                expected = f"text of 1 to {MAX_LENGTH:,} characters"
                raise UsageError(f"{name} holds {str(value)[:60]!r}, expected {expected}. Leave out what is blank")
    for span in filters.years:
        if not is_range(span):
            raise UsageError(f"years holds {span!r}, expected (first, last) with None for an open end: (1998, 2003)")


def is_range(span: object) -> bool:
    """Whether this is a pair of years in order, None where open."""
    if not isinstance(span, tuple) or len(span) != 2:
        return False
    given = [year for year in span if year is not None]
    return all(isinstance(year, int) for year in given) and given == sorted(given)


def years_of(text: str) -> tuple[int | None, int | None]:
    """A range of years as people write it, both ends included.

    >>> years_of("1998-2003"), years_of("2015-"), years_of("-1990"), years_of("2001")
    ((1998, 2003), (2015, None), (None, 1990), (2001, 2001))

    Raises:
        UsageError: it is none, or ends before it begins.
    """
    found = YEARS.fullmatch(text.strip())
    low, dash, high = found.group("low", "dash", "high") if found else (None, None, None)
    if (low is None and high is None) or (low and high and (dash is None or low > high)):
        reversed_ = "ends before it begins" if dash and low and high else "is not a range of years"
        raise UsageError(f"{text[:40]!r} {reversed_}, expected years of four digits: 2001, 1998-2003, 2015- or -1990")
    first, last = int(low) if low else None, int(high) if high else None
    return (first, last) if dash else (first or last, first or last)
