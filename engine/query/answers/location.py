"""Ranks of given records in the full ranking of a query: recall of known records, and hits by id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.arguments import check_ids, show_value
from engine.corpus.storage.resolution import resolve_ids
from engine.deadline import CURRENT
from engine.errors import AbstractNotFoundError, UsageError
from engine.options import RELEVANCE, Query
from engine.phrases import pluralize
from engine.query.answers.answer import fetch_hits
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import Question, encode_question, name_some, read_question
from engine.query.ranks.ranking import Candidate, get_min_cosine, rank_question
from engine.query.ranks.reranking import rank_head, rank_in_stages, rerank_candidates
from engine.records.answer import Answer
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

_DEPTHS = (10, 50, 100, 500)  # at which recall is reported
_WANTED = 95  # percent of the known records
_ABSENT = "not in this index"
EXAMPLE = "given as an example, so no hit"
_FILTERED = "left out by the filters"
_NO_WORD = "does not match the words"
_TOO_LOW = "below the minimum score"


@dataclass(frozen=True, slots=True)
class KnownItem:
    """One record that should be found."""

    given: str  # the id as it was given
    id: str | None  # None: not in the index
    title: str
    rank: int | None  # in the whole ranking, from 1; None: not in it
    score: float | None  # cosine; None: not in the index
    reason: str = ""  # why it has no rank


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall of the known records, and their depth in the ranking."""

    items: tuple[KnownItem, ...]  # in the order given, each record once
    n_known: int  # in the index, examples of the query aside: what the shares are of
    n_missing: int  # not in the index
    at: tuple[tuple[int, float], ...]  # (hits read, share of the known records among them)
    depth_95: int | None  # hits to be read for 95 % of the known records, rounded up; None: they are not all ranked
    notes: tuple[str, ...]  # for people


def measure_recall(snapshot: OpenGeneration, query: Query, known: Sequence[str]) -> Recall:
    """Find the place of each known record in the whole ranking of a checked query.

    Known records are given by record id, PMID or DOI; several ids of one record count once. Recall is reported at
    top_k hits too. Fails as Index.ask does.

    Raises:
        UsageError: no list of known records is given.
        AbstractNotFoundError: none is in the index.
    """
    _check_plain(query)
    expected = "a list of one or more PMIDs, DOIs or record ids"
    given = list(dict.fromkeys(check_ids("known", known, expected)))
    if not given:
        raise UsageError(f"known is {show_value(known)}, expected {expected}")
    found = resolve_ids(snapshot.corpus, given)
    if all(doc_id is None for doc_id in found):
        raise AbstractNotFoundError(
            f"none of {pluralize(len(given), 'known record')} is in this index: {name_some(given)}. "
            f"Ids look like {snapshot.corpus.find_example_id()!r}; engine search shows them"
        )
    first = {doc_id: one for one, doc_id in zip(reversed(given), reversed(found), strict=True)}
    question = read_question(snapshot, query)
    vector, cut = encode_question(snapshot, question)
    notes = [*question.notes, *cut]
    there = _place_records(snapshot, question, vector, sorted(doc_id for doc_id in first if doc_id is not None))
    items = [
        KnownItem(one, None, "", None, None, _ABSENT) if doc_id is None else replace(there[doc_id], given=one)
        for one, doc_id in zip(given, found, strict=True)
        if doc_id is None or first[doc_id] == one
    ]
    if snapshot.manifest.ann is not None:
        notes.append("ranks are those of an exact comparison; a search of this large index may miss some of its hits")
    notes += _note_numbers(len(given) - len(items), items)
    return _summarise_ranks(items, query.top_k, tuple(notes))


def _check_plain(query: Query) -> None:
    """Refuse options that don't apply to a check of known records.

    Raises:
        UsageError: offset, diversify, sort, explain or group_by are given.
    """
    given = (
        ("offset", query.offset),
        ("diversify", query.diversify),
        ("sort", query.sort != RELEVANCE),
        ("explain", query.explain),
        ("group_by", query.group_by),
    )
    if odd := [name for name, value in given if value not in (0, None, False)]:
        raise UsageError(
            f"{odd[0]} can't be used in a check of known records, which reads the whole ranking. Leave it out"
        )


def _place_records(
    snapshot: OpenGeneration, question: Question, vector: Vectors, doc_ids: Sequence[int]
) -> dict[int, KnownItem]:
    """Return records (ids ascending) with their ranks, or the reason why they have none."""
    ids = np.array(doc_ids, np.int64)
    scores = dict(zip(doc_ids, map(float, snapshot.vectors.score_ids(vector, ids)), strict=True))
    least = get_min_cosine(question.query)
    rank_by = _rank_known_by_meaning if question.query.mode == "semantic" else _rank_known_by_words
    ranks = rank_by(snapshot, question, vector, ids, least)
    if question.query.mode == "semantic":
        head = rank_head(snapshot, question, lambda: vector)
        ranks |= {one.doc_id: rank for rank, one in enumerate(head, 1) if one.doc_id in ranks}
    passing = set(doc_ids)
    if question.query.filters.any:
        passing = set(np.intersect1d(ids, snapshot.find_qualified(question.query.filters).doc_ids).tolist())
    rows, found = snapshot.corpus.fetch(doc_ids), {}
    for doc_id in doc_ids:
        rank, reason = ranks.get(doc_id, 0) or None, ""
        if doc_id in question.examples:
            reason = EXAMPLE
        elif doc_id not in passing:
            reason = _FILTERED
        elif rank is None and question.is_search and not _is_among(question, doc_id):
            reason = _NO_WORD
        elif rank is None:
            reason = _TOO_LOW if doc_id in ranks or question.query.mode == "semantic" else _NO_WORD
        row = rows[doc_id]
        found[doc_id] = KnownItem(row.record_id, row.record_id, row.title, rank, scores[doc_id], reason)
    return found


def _is_among(question: Question, doc_id: int) -> bool:
    """Return whether a record may be a hit."""
    return question.among is None or doc_id in question.among


def _rank_known_by_meaning(
    snapshot: OpenGeneration, question: Question, vector: Vectors, ids: DocIds, least: float
) -> dict[int, int]:
    """Return ranks by exact cosines; 0 if the cosine is too low, no entry if the record does not qualify."""
    among = question.among
    if among is None and question.examples:
        among = np.setdiff1d(snapshot.vectors.doc_ids, np.array(sorted(question.examples), np.int64))
    places = snapshot.vectors.find_places(vector, ids, among).tolist()
    scores = map(float, snapshot.vectors.score_ids(vector, ids))
    rows = zip(ids.tolist(), places, scores, strict=True)
    return {doc_id: place if score >= least else 0 for doc_id, place, score in rows if place}


def _rank_known_by_words(
    snapshot: OpenGeneration, question: Question, vector: Vectors, ids: DocIds, least: float
) -> dict[int, int]:
    """Return ranks as _rank_known_by_meaning does, in keyword or hybrid mode."""
    query = replace(question.query, top_k=max(1, snapshot.vectors.size), min_score=None)
    found = rank_question(snapshot, replace(question, query=query), lambda: vector)
    good = replace(found, candidates=[one for one in found.candidates if one.score >= least])
    in_order = rerank_candidates(snapshot, question, good).candidates
    ranks = {one.doc_id: 0 for one in found.candidates} | {one.doc_id: rank for rank, one in enumerate(in_order, 1)}
    return {doc_id: ranks[doc_id] for doc_id in ids.tolist() if doc_id in ranks}


def _note_numbers(n_again: int, items: Sequence[KnownItem]) -> Iterator[str]:
    """Yield the notes on known records that are not counted."""
    if n_again:
        yield f"{pluralize(n_again, 'known record')} given again under another id, counted once"
    if n_examples := sum(one.reason == EXAMPLE for one in items):
        yield f"{pluralize(n_examples, 'known record')} given as an example, so not counted"


def _summarise_ranks(items: Sequence[KnownItem], top_k: int, notes: tuple[str, ...]) -> Recall:
    """Summarise the ranks of known records as recall at several depths.

    Raises:
        UsageError: all of them are examples of the query.
    """
    counted = [one for one in items if one.id is not None and one.reason != EXAMPLE]
    if not counted:
        raise UsageError("every known record is an example of the query, so none is left to be found. Add other ones")
    ranks = sorted(one.rank for one in counted if one.rank is not None)
    depths = sorted({*_DEPTHS, top_k})
    needed = -(-_WANTED * len(counted) // 100)
    return Recall(
        items=tuple(items),
        n_known=len(counted),
        n_missing=sum(one.id is None for one in items),
        at=tuple((depth, sum(rank <= depth for rank in ranks) / len(counted)) for depth in depths),
        depth_95=ranks[needed - 1] if needed <= len(ranks) else None,
        notes=notes,
    )


MAX_RANK = 10_000
_REACHES = (1_000, MAX_RANK)  # ranks among which hits are looked for, until all are found
_RankedCandidate = tuple[int, Candidate]  # rank from 1


@dataclass(frozen=True, slots=True)
class Located:
    """Hits looked up by id, and the ids that are not hits."""

    answer: Answer  # its hits are those that were found, best first
    absent: tuple[str, ...]  # not in the index
    left_out: tuple[str, ...]  # not hits or, in keyword and hybrid mode, below the first MAX_RANK


def locate_hits(snapshot: OpenGeneration, query: Query, ids: Sequence[str]) -> Located:
    """Find the hits of a checked query by record id, PMID or DOI; by meaning however deep they lie.

    What lies among the first offset + top_k hits is ranked as Index.ask ranks these, in an approximate index too.
    """
    doc_ids = dict(zip(ids, resolve_ids(snapshot.corpus, ids), strict=True))
    wanted = {doc_id for doc_id in doc_ids.values() if doc_id is not None}
    question = read_question(snapshot, query)
    vector, notes = encode_question(snapshot, question)
    found, n_qualified = _rank_within(snapshot, question, vector, wanted)
    if query.mode == "semantic" and (deep := wanted - set(found)):
        found |= _rank_below(snapshot, question, vector, deep)
    placed = sorted(found.values(), key=lambda pair: pair[0])
    hits = fetch_hits(snapshot, [one for _, one in placed])
    return Located(
        Answer(
            query=query,
            generation=snapshot.manifest.generation,
            hits=tuple(replace(hit, rank=rank) for hit, (rank, _) in zip(hits, placed, strict=True)),
            n_qualified=n_qualified,
            notes=(*question.notes, *notes),
        ),
        absent=tuple(one for one, doc_id in doc_ids.items() if doc_id is None),
        left_out=tuple(one for one, doc_id in doc_ids.items() if doc_id is not None and doc_id not in found),
    )


def _rank_within(
    snapshot: OpenGeneration, question: Question, vector: Vectors, wanted: set[int]
) -> tuple[dict[int, _RankedCandidate], int]:
    """Return the wanted doc ids that are ranked within the deepest reach, and the number of qualified records."""
    found: dict[int, _RankedCandidate] = {}
    for depth in _list_reaches(question.query):
        CURRENT.get().check()
        whole = rank_in_stages(
            snapshot, replace(question, query=replace(question.query, offset=0, top_k=depth)), lambda: vector
        )
        in_order = whole.candidates[:depth] if question.query.diversify else whole.candidates  # the rest is by score
        found = {one.doc_id: (rank, one) for rank, one in enumerate(in_order, 1) if one.doc_id in wanted}
        if len(found) == len(wanted) or len(whole.candidates) < depth:
            break
    return found, whole.n_qualified


def _rank_below(
    snapshot: OpenGeneration, question: Question, vector: Vectors, doc_ids: set[int]
) -> dict[int, _RankedCandidate]:
    """Rank deeper records by exact cosines; those that don't qualify or score too low are left out."""
    CURRENT.get().check()
    ids = np.array(sorted(doc_ids), np.int64)
    least = get_min_cosine(question.query)
    ranks = _rank_known_by_meaning(snapshot, question, vector, ids, least)
    scores = zip(ids.tolist(), map(float, snapshot.vectors.score_ids(vector, ids)), strict=True)
    return {doc_id: (ranks[doc_id], Candidate(doc_id, score)) for doc_id, score in scores if ranks.get(doc_id)}


def _list_reaches(query: Query) -> Iterator[int]:
    """Yield the depths to search: that of the query, then greater ones."""
    first = query.offset + query.top_k
    yield first
    yield from (depth for depth in _REACHES if first < depth)
