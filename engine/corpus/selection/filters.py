"""Selection of the records that pass all filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.corpus.selection.clauses import (
    RETRACTED,
    WITH_FULL_TEXT,
    WITHOUT_ABSTRACT,
    select_authors,
    select_languages,
    select_names,
    select_notes,
    select_sources,
    select_years,
)
from engine.corpus.selection.meshtree import GET_IT, MeshTree
from engine.corpus.selection.suggestions import note_unmatched
from engine.corpus.selection.where import parse_condition
from engine.corpus.storage.docsets import All, DocSet, Listed, Not, read_members
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus
from engine.errors import NoMeshTreeError
from engine.options import Filters
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Qualified:
    """The records that pass the filters."""

    doc_ids: DocIds  # ascending, unique, int64 (n,)
    unknown: tuple[str, ...]  # ids of lists that are not in the index, in order, each once
    notes: tuple[str, ...] = ()  # for people: values that no record has, with the nearest names


def find_qualified(corpus: Corpus, filters: Filters, tree: MeshTree | None = None) -> Qualified:
    """Find the records that pass all filters; without filters, all records.

    tree: the MeSH tree, needed only for filters.mesh_trees.

    Raises:
        UsageError: the expression can't be read, or a heading is not in the tree.
        NoMeshTreeError: filters.mesh_trees is set, but there is no tree.
        CorruptError: SQLite found the file damaged.
    """
    if filters.mesh_trees and tree is None:
        raise NoMeshTreeError(f"the MeSH tree filter needs NLM's tree file, but none is configured. {GET_IT}")
    headings = [heading for name in filters.mesh_trees if tree for heading in tree.list_headings_below(name)]
    parts = [*_select_by_names(filters, headings), *_select_by_facts(filters)]
    unknown: dict[str, None] = {}
    if filters.ids is not None:
        parts.append(_select_listed(corpus, filters.ids, unknown))
    if filters.hide:
        parts.append(Not(_select_listed(corpus, filters.hide, unknown)))
    doc_ids = read_members(corpus, All(tuple(parts)))
    return Qualified(doc_ids, tuple(unknown), note_unmatched(corpus, filters))


def _select_by_names(filters: Filters, headings: list[str]) -> Iterator[DocSet]:
    """Yield the selections of the filters by name. headings: those selected by the MeSH tree."""
    for kind, values in (
        ("journal", filters.journals),
        ("mesh", filters.mesh),
        ("mesh", headings),
        ("type", filters.types),
        ("keyword", filters.keywords),
        ("database", filters.databases),
        ("label", filters.labels),
    ):
        if values:
            yield select_names(kind, values)
    for names, select in (
        (filters.authors, select_authors),
        (filters.languages, select_languages),
        (filters.sources, select_sources),
        (filters.notes, select_notes),
    ):
        if names:
            yield select(names)


def _select_by_facts(filters: Filters) -> Iterator[DocSet]:
    """Yield the selections of the other filters, without lists of ids."""
    if filters.years:
        yield select_years(filters.year_ranges)
    if filters.retracted is not None:
        yield RETRACTED if filters.retracted else Not(RETRACTED)
    if filters.has_abstract is not None:
        yield Not(WITHOUT_ABSTRACT) if filters.has_abstract else WITHOUT_ABSTRACT
    if filters.has_fulltext is not None:
        yield WITH_FULL_TEXT if filters.has_fulltext else Not(WITH_FULL_TEXT)
    if filters.where:
        yield parse_condition(filters.where)


def _select_listed(corpus: Corpus, record_ids: Sequence[str], unknown: dict[str, None]) -> Listed:
    """Return the records of a list; add ids that are not in the corpus to unknown."""
    doc_ids = resolve_ids(corpus, record_ids)
    unknown.update((record_id, None) for record_id, doc_id in zip(record_ids, doc_ids, strict=True) if doc_id is None)
    return Listed(np.array([doc_id for doc_id in doc_ids if doc_id is not None], np.int64))
