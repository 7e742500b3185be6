"""Evaluation of an index: its answers to judged queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.corpus.storage.resolution import resolve_ids
from engine.encode.models.recipe import clean_text
from engine.errors import AbstractNotFoundError, UsageError
from engine.index.search.exact import TIE
from engine.index.search.ivf import TUNED_FOR
from engine.options import RELEVANCE, Query
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.batches import QueryError, answer_each, split_pages
from engine.query.index import Index, get_generation
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import encode_texts, name_some
from engine.records.answer import Answer, Hit
from engine.relevance.scoring.evaluation import DEPTH, Evaluation, check_judged, measure_rankings, tally_evaluation
from engine.relevance.scoring.measures import Measure, Place, find_places
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.runs import Ranked, Run

_FETCHED = 1000  # records looked up at once
_NOTES_OF_A_KIND = 5  # notes kept of each kind
_FEWER = " qualif"  # in notes on fewer hits than requested, which every keyword query has

Texts = Mapping[str, str]  # query id -> text


@dataclass(frozen=True, slots=True)
class _Resolved:
    """Judgments by the record ids of an index."""

    judgments: Judgments  # ids that are not in the index are unchanged
    record_ids: Mapping[str, str]  # record id by the id in the judgments, for those in the index
    n_absent: int
    n_merged: int


def evaluate_index(
    index: Index,
    queries: Texts,
    judgments: Judgments,
    measures: Sequence[Measure],
    query: Query | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Search an index with all judged queries and measure its answers.

    `query` sets the mode, the filters and so on; its top_k is the number of hits of each ranking in the run. All
    measures use the run, except R@10% and WSS@95, which use the whole ranking of the records that pass the filters.
    Judgments name records by id, PMID or DOI, and the run uses the same names. A query that can't be answered is
    reported in the notes, and finds nothing.

    An approximate index finds more of the first ten in a search for many hits than in one for ten, so
    Evaluation.ann_recall is measured with searches for ten.

    Raises:
        UsageError: no query has judgments, or an option of the query makes no sense in an evaluation.
        EngineError: as Index.ask, if it fails for every query.
    """
    base = query or Query(top_k=DEPTH)
    _check_options(base, measures)
    check_judged(list(queries), judgments)
    snapshot = get_generation(index, follow=True)
    resolved = resolve(snapshot, judgments)
    texts = {query_id: text for query_id, text in queries.items() if query_id in judgments.grades}
    rankings, notes, ids = dict[str, tuple[Ranked, ...]](), dict[str, None](), dict[str, str]()
    for query_id, hits in _ask_queries(index, base, texts, notes):
        # Equal ids share one string, to save memory.
        rankings[query_id] = tuple(Ranked(ids.setdefault(hit.id, hit.id), hit.ranking_score) for hit in hits)
        if progress:
            progress("searching", len(rankings), len(texts))
    run = Run(index.name, rankings)
    n_documents = snapshot.vectors.size
    if base.filters.any:
        n_documents = len(snapshot.find_qualified(base.filters).doc_ids)
    deep_places = None
    if any(measure.is_deep for measure in measures) and base.top_k < n_documents:
        deep_places = _place_relevant(
            index, base, {query_id: texts[query_id] for query_id in rankings}, resolved, progress
        )
    tally = tally_evaluation(
        list(queries), judgments, run, n_documents, n_absent=resolved.n_absent, n_merged=resolved.n_merged
    )
    measured = measure_rankings(
        measures, resolved.judgments, find_places(run, resolved.judgments), n_documents, deep_places
    )
    run = _rename_as_judged(run, judgments, resolved)
    return Evaluation(
        run,
        measured,
        tally,
        _measure_ann_recall(snapshot, base, [texts[query_id] for query_id in rankings]),
        tuple(notes),
    )


def _check_options(query: Query, measures: Sequence[Measure]) -> None:
    """Check that the options of a query make sense in an evaluation.

    Raises:
        UsageError: an option changes only how hits are shown, or --diversify is combined with a deep measure.
    """
    shown = (
        ("--offset", query.offset),
        ("--explain", query.explain),
        ("--group-by", query.group_by),
        ("--sort", query.sort != RELEVANCE),
    )
    if given := [name for name, value in shown if value]:
        raise UsageError(
            f"{given[0]} cannot be combined with an evaluation, which ranks from the first hit on. Leave it out"
        )
    if query.diversify and (deep := [measure for measure in measures if measure.is_deep]):
        raise UsageError(
            f"{deep[0]} uses the whole ranking, but --diversify changes only the first hits. Name other measures: "
            "--measure nDCG@10"
        )


def resolve(snapshot: OpenGeneration, judgments: Judgments) -> _Resolved:
    """Find the record of every judgment, by id, PMID or DOI.

    Raises:
        AbstractNotFoundError: no judged record is in the index.
    """
    names = list(dict.fromkeys(name for grades in judgments.grades.values() for name in grades))
    record_ids: dict[str, str] = {}
    for start in range(0, len(names), _FETCHED):
        page = names[start : start + _FETCHED]
        doc_ids = resolve_ids(snapshot.corpus, page)
        rows = snapshot.corpus.fetch(sorted({doc_id for doc_id in doc_ids if doc_id is not None}))
        pairs = zip(page, doc_ids, strict=True)
        record_ids |= {name: rows[doc_id].record_id for name, doc_id in pairs if doc_id is not None}
    if not record_ids:
        raise AbstractNotFoundError(
            f"none of {pluralize(len(names), 'judged record')} is in this index: {name_some(names)}. "
            f"Ids look like {snapshot.corpus.find_example_id()!r}; engine search shows them"
        )
    resolved: dict[str, dict[str, int]] = {}
    for query_id, grades in judgments.grades.items():
        merged = resolved.setdefault(query_id, {})
        for name, grade in grades.items():
            record_id = record_ids.get(name, name)
            merged[record_id] = max(grade, merged.get(record_id, grade))
    return _Resolved(
        judgments=replace(judgments, grades=resolved),
        record_ids=record_ids,
        n_absent=len(names) - len(record_ids),
        n_merged=judgments.n_judged - sum(map(len, resolved.values())),
    )


def _rename_as_judged(run: Run, judgments: Judgments, resolved: _Resolved) -> Run:
    """Rename the records of a run as the judgments of each query do, so that the written run can be measured again.

    If the judgments have two ids for one record, the id with the higher grade is used.
    """
    rankings = {}
    for query_id, ranking in run.rankings.items():
        grades = judgments.grades[query_id]
        by_grade = sorted(grades, key=lambda name: grades[name])
        names = {resolved.record_ids[name]: name for name in by_grade if name in resolved.record_ids}
        rankings[query_id] = tuple(Ranked(names.get(hit.record_id, hit.record_id), hit.score) for hit in ranking)
    return Run(run.name, rankings)


def _ask_queries(
    index: Index, query: Query, texts: Texts, notes: dict[str, None]
) -> Iterator[tuple[str, tuple[Hit, ...]]]:
    """Yield the hits of each query that can be answered, in order; add notes, also on the other queries.

    Raises:
        UsageError: no query can be answered.
        AbstractNotFoundError: the same.
        EncoderError: the same.
    """
    n_answered, failed = 0, list[tuple[str, QueryError]]()
    for page in split_pages(texts.items(), query.top_k):
        answers = answer_each(index, [replace(query, text=text) for _, text in page])
        for (query_id, _), answer in zip(page, answers, strict=True):
            if isinstance(answer, Answer):
                n_answered += 1
                new = (note for note in answer.notes if len(notes) < _NOTES_OF_A_KIND and _FEWER not in note)
                notes |= dict.fromkeys(new)
                yield query_id, answer.hits
            else:
                failed.append((query_id, answer))
    if failed and not n_answered:
        raise failed[0][1]
    notes |= dict.fromkeys(f"query {query_id} can't be answered: {err}" for query_id, err in failed[:_NOTES_OF_A_KIND])


def _place_relevant(
    index: Index, query: Query, texts: Texts, resolved: _Resolved, progress: Progress | None
) -> dict[str, list[Place]]:
    """Find the places of the relevant records of each query in the whole ranking."""
    places: dict[str, list[Place]] = {}
    known_ids = set(resolved.record_ids.values())
    for query_id, text in texts.items():
        grades = resolved.judgments.grades[query_id]
        relevant = [name for name, grade in grades.items() if grade > 0 and name in known_ids]
        items = index.recall(replace(query, text=text, diversify=None), relevant).items if relevant else ()
        places[query_id] = sorted((name.rank, grades[name.given]) for name in items if name.rank is not None)
        if progress:
            progress("ranking all records", len(places), len(texts))
    return places


def _measure_ann_recall(snapshot: OpenGeneration, query: Query, texts: Sequence[str]) -> float | None:
    """Measure the share of the 10 nearest records that an approximate index finds, over the queries.

    Returns None if the index compares every vector, or if words alone rank. A hit with the score of the tenth nearest
    counts as found.
    """
    vectors = snapshot.vectors
    if query.mode == "keyword" or vectors.is_exact:
        return None
    points, _ = encode_texts(snapshot, [clean_text(text) for text in texts])
    k = min(TUNED_FOR, vectors.size)
    exact, approximate = vectors.search_exhaustively(points, k), vectors.search(points, k)
    n_hits = [
        sum(score >= best[-1][1] - TIE for _, score in hits) for best, hits in zip(exact, approximate, strict=True)
    ]
    return float(np.mean(n_hits)) / k
