"""What reviewers have decided: records of an index that they included, and that they excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.query.plan import name_some
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Labels:
    """Decisions on the records of one generation."""

    included: DocIds  # ascending, each once
    excluded: DocIds  # ascending, each once, none of them included
    unknown: tuple[str, ...] = ()  # listed ids that are not in the index, in order, each once

    @property
    def doc_ids(self) -> DocIds:
        """Every labelled record, ascending."""
        return np.union1d(self.included, self.excluded)

    @property
    def has_both(self) -> bool:
        """Whether there is something to tell apart."""
        return bool(len(self.included) and len(self.excluded))

    def mark_included(self, doc_ids: DocIds) -> NDArray[np.bool_]:
        """Whether each of some records (n,) is an included one."""
        return np.isin(doc_ids, self.included)


def look_up_labels(corpus: Corpus, included: Sequence[str], excluded: Sequence[str]) -> Labels:
    """Look up decisions by record ids, PMIDs or DOIs; ids of one record count once.

    Raises:
        UsageError: a record is in both lists.
    """
    taken, left = _group_by_doc_id(corpus, included), _group_by_doc_id(corpus, excluded)
    absent = [one for one in (*taken.pop(None, ()), *left.pop(None, ()))]
    if both := [_describe_conflict(taken[doc_id], left[doc_id]) for doc_id in taken if doc_id in left]:
        raise UsageError(
            f"{pluralize(len(both), 'record')} in both lists, included and excluded: {name_some(both)}. "
            "Take each of them out of one list"
        )
    return Labels(_sort_ids(taken), _sort_ids(left), tuple(dict.fromkeys(absent)))


def _group_by_doc_id(corpus: Corpus, given: Sequence[str]) -> dict[int | None, list[str]]:
    """The ids given for each doc id, in order; None for those that are not there."""
    found: dict[int | None, list[str]] = {}
    for one, doc_id in zip(given, resolve_ids(corpus, given) if given else (), strict=True):
        found.setdefault(doc_id, []).append(one)
    return found


def _describe_conflict(one: Sequence[str], other: Sequence[str]) -> str:
    """How two lists name the same record."""
    return one[0] if one[0] in other else f"{one[0]} (also {other[0]})"


def _sort_ids(found: dict[int | None, list[str]]) -> DocIds:
    """The doc ids in order."""
    return np.array(sorted(doc_id for doc_id in found if doc_id is not None), np.int64)
