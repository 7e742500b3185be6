"""The records that qualify for an answer, counted by the values of a field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.corpus.facets import Counted, count_values, fold_name
from engine.options import Query
from engine.query.opening.generation import OpenGeneration
from engine.query.question.ordering import is_selective
from engine.query.question.plan import Question, read_question
from engine.query.ranks.ranking import Candidate, Ranking
from engine.records.answer import ValueCount
from engine.records.generation import DocIds

_LISTED = 200  # values, beside those of the hits


def count_groups(
    snapshot: OpenGeneration, question: Question, found: Ranking, hits: Sequence[Candidate]
) -> tuple[tuple[ValueCount, ...], list[str]]:
    """Count the records that qualify, and the hits among them, by the field of a query; return them with notes.

    Values are ordered by their records; where the ranking holds every record that passes the filters, by their hits
    first. The first _LISTED values and all those of hits are listed.
    """
    field = question.query.group_by
    if field is None:
        return (), []
    qualified = _list_qualified(snapshot, question, found)
    of_hits = count_values(snapshot.corpus, field, np.array([one.doc_id for one in hits], np.int64))
    shown = {fold_name(value): n for value, n in of_hits}
    counts = count_values(snapshot.corpus, field, qualified)
    groups = [ValueCount(value, shown.get(fold_name(value), 0), n) for value, n in counts]
    if not is_selective(question.query, is_search=question.is_search):
        groups.sort(key=lambda group: -group.hits)  # stable
    listed = tuple(group for place, group in enumerate(groups) if place < _LISTED or group.hits)
    cut = len(groups) - len(listed)
    return listed, [f"{cut:,} rarer values of {field} are not listed"] if cut else []


def find_among(snapshot: OpenGeneration, query: Query, only: DocIds | None = None) -> DocIds | None:
    """Return the doc ids of the records that qualify for a checked query, among `only` if given; None stands for all.

    A minimum score leaves out no record.
    """
    return _list_among(snapshot, read_question(snapshot, query, only))


def count_facets(
    snapshot: OpenGeneration, query: Query, fields: Sequence[str], most: int, only: DocIds | None = None
) -> dict[str, Counted] | None:
    """Count the records that qualify for a checked query, by each of some fields, or None if that is all of them.

    There are the `most` most frequent values of each field, "" for none. A minimum score leaves out no record. only:
    doc ids (ascending) among which they are counted.
    """
    doc_ids = find_among(snapshot, query, only)
    if doc_ids is None:
        return None
    return {field: count_values(snapshot.corpus, field, doc_ids)[:most] for field in fields}


def _list_qualified(snapshot: OpenGeneration, question: Question, found: Ranking) -> DocIds | None:
    """Return the ids of the records that qualify and reach the minimum score; None stands for all."""
    if question.query.min_score is not None:  # all that reach it are there
        return np.array([one.doc_id for one in found.candidates], np.int64)
    return _list_among(snapshot, question)


def _list_among(snapshot: OpenGeneration, question: Question) -> DocIds | None:
    """Return the ids of the records that qualify; None stands for all."""
    if question.query.mode == "keyword" and not question.is_search:
        ranked, _ = snapshot.get_words().rank(question.wording, snapshot.vectors.size, question.among, count=False)
        return np.array([doc_id for doc_id, _ in ranked], np.int64)
    if question.among is None and question.examples:
        return np.setdiff1d(snapshot.corpus.read_ids(), np.array(sorted(question.examples), np.int64))
    return question.among
