"""Decisions of the reviewers: records of an index that they included or excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.query.question.plan import name_some
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Labels:
    """Decisions on the records of one generation."""

    included: DocIds  # ascending, each once
    excluded: DocIds  # ascending, each once, disjoint from included
    unknown: tuple[str, ...] = ()  # ids that are not in the index, in order, each once
    unsure: DocIds = field(default_factory=lambda: np.empty(0, np.int64))  # read, but neither: not ranked, not learned

    @property
    def doc_ids(self) -> DocIds:
        """The included and excluded records, ascending."""
        return np.union1d(self.included, self.excluded)

    @property
    def has_both(self) -> bool:
        """Whether there are records of both kinds."""
        return bool(len(self.included) and len(self.excluded))

    def is_same(self, other: Labels) -> bool:
        """Return whether others are the same decisions."""
        pairs = ((self.included, other.included), (self.excluded, other.excluded), (self.unsure, other.unsure))
        return all(np.array_equal(one, two) for one, two in pairs)

    def mark_included(self, doc_ids: DocIds) -> NDArray[np.bool_]:
        """Return for each record (n,) whether it is included."""
        return np.isin(doc_ids, self.included)


def look_up_labels(corpus: Corpus, included: Sequence[str], excluded: Sequence[str]) -> Labels:
    """Look up decisions by record ids, PMIDs or DOIs; ids of one record count once.

    Raises:
        UsageError: a record is in both lists.
    """
    included_ids, excluded_ids = _group_by_doc_id(corpus, included), _group_by_doc_id(corpus, excluded)
    absent = (*included_ids.pop(None, ()), *excluded_ids.pop(None, ()))
    if both := [
        _describe_conflict(included_ids[doc_id], excluded_ids[doc_id])
        for doc_id in included_ids
        if doc_id in excluded_ids
    ]:
        raise UsageError(
            f"{pluralize(len(both), 'record')} both included and excluded: {name_some(both)}. "
            "Remove each of them from one of the lists"
        )
    return Labels(_sort_ids(included_ids), _sort_ids(excluded_ids), tuple(dict.fromkeys(absent)))


def _group_by_doc_id(corpus: Corpus, ids: Sequence[str]) -> dict[int | None, list[str]]:
    """Group ids by doc id, in order; ids that are not in the index are under None."""
    groups: dict[int | None, list[str]] = {}
    for record_id, doc_id in zip(ids, resolve_ids(corpus, ids) if ids else (), strict=True):
        groups.setdefault(doc_id, []).append(record_id)
    return groups


def _describe_conflict(included: Sequence[str], excluded: Sequence[str]) -> str:
    """Describe a record that is in both lists, by its id in each."""
    return included[0] if included[0] in excluded else f"{included[0]} (also {excluded[0]})"


def _sort_ids(groups: dict[int | None, list[str]]) -> DocIds:
    """Return the doc ids, ascending."""
    return np.array(sorted(doc_id for doc_id in groups if doc_id is not None), np.int64)
