"""An index asked the queries of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.corpus.storage.resolution import resolve_ids
from engine.encode.recipe import clean_text
from engine.errors import AbstractNotFoundError, UsageError
from engine.index.exact import TIE
from engine.index.ivf import TUNED_FOR, IvfIndex
from engine.options import Query
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.batches import QueryError, answer_each, split_pages
from engine.query.generation import OpenGeneration
from engine.query.index import Index, get_generation
from engine.query.plan import encode_texts, name_some
from engine.records.answer import Answer, Hit
from engine.relevance.scoring.evaluation import DEPTH, Evaluation, check_judged, measure_rankings, tally_evaluation
from engine.relevance.scoring.measures import Measure, Place, run_places
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.runs import Ranked, Run

_FETCHED = 1000  # records looked up at once
_NOTES_OF_A_KIND = 5  # notes of one kind
_FEWER = " qualif"  # of a note on fewer hits than wanted, as every query by words has them

Texts = Mapping[str, str]  # query id -> text


@dataclass(frozen=True, slots=True)
class _Resolved:
    """Judgments by the record ids of an index."""

    judgments: Judgments  # an id that is not there stays as it was given
    record_ids: Mapping[str, str]  # of what is there, by the id that was given
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
    """Ask an index all judged queries and measure its answers.

    query gives mode, filters and the like, and with top_k how many hits are ranked for each query: those of the run,
    which all measures but R@10% and WSS@95 are of. These two look at the whole ranking of what passes the filters.
    Judgments name records by id, PMID or DOI, and the run names them in the same way. A query that can't be answered is
    told, and finds nothing.

    An approximate index finds more of the first ten in a search for many hits than in one for ten: what it misses then
    is Evaluation.ann_recall.

    Raises:
        UsageError: no query has judgments, or options that have no part in an evaluation.
        EngineError: as Index.ask, where it fails for every query.
    """
    asked = query or Query(top_k=DEPTH)
    _check_options(asked, measures)
    check_judged(list(queries), judgments)
    snapshot = get_generation(index, follow=True)
    resolved = resolve(snapshot, judgments)
    wanted = {query_id: text for query_id, text in queries.items() if query_id in judgments.grades}
    rankings, notes, ids = dict[str, tuple[Ranked, ...]](), dict[str, None](), dict[str, str]()
    for query_id, hits in _ask_queries(index, asked, wanted, notes):
        # Each id is held once, however often it is a hit.
        rankings[query_id] = tuple(Ranked(ids.setdefault(hit.id, hit.id), hit.ranking_score) for hit in hits)
        if progress:
            progress("searching", len(rankings), len(wanted))
    run = Run(index.name, rankings)
    n_documents = snapshot.vectors.size
    if asked.filters.any:
        n_documents = len(snapshot.find_qualified(asked.filters).doc_ids)
    deep = None
    if any(measure.is_deep for measure in measures) and asked.top_k < n_documents:
        deep = _place_relevant(index, asked, {q: wanted[q] for q in rankings}, resolved, progress)
    tally = tally_evaluation(
        list(queries), judgments, run, n_documents, n_absent=resolved.n_absent, n_merged=resolved.n_merged
    )
    found = measure_rankings(measures, resolved.judgments, run_places(run, resolved.judgments), n_documents, deep)
    run = _rename_as_judged(run, judgments, resolved)
    return Evaluation(
        run, found, tally, _measure_ann_recall(snapshot, asked, [wanted[one] for one in rankings]), tuple(notes)
    )


def _check_options(query: Query, measures: Sequence[Measure]) -> None:
    """Refuse what has no part in an evaluation.

    Raises:
        UsageError: an option that says how hits are shown, or one that leaves a whole ranking without a meaning.
    """
    shown = (("--offset", query.offset), ("--explain", query.explain), ("--group-by", query.group_by))
    if odd := [name for name, given in shown if given]:
        raise UsageError(f"{odd[0]} has no part in an evaluation, which ranks from the first hit on. Leave it out")
    if query.diversify and (deep := [measure for measure in measures if measure.is_deep]):
        raise UsageError(
            f"{deep[0]} looks at the whole ranking, and --diversify changes the first hits only. Name other measures: "
            "-m nDCG@10"
        )


def resolve(snapshot: OpenGeneration, judgments: Judgments) -> _Resolved:
    """Find the record of every judgment, by id, PMID or DOI.

    Raises:
        AbstractNotFoundError: none is in the index.
    """
    given = list(dict.fromkeys(one for grades in judgments.grades.values() for one in grades))
    record_ids: dict[str, str] = {}
    for start in range(0, len(given), _FETCHED):
        page = given[start : start + _FETCHED]
        doc_ids = resolve_ids(snapshot.corpus, page)
        rows = snapshot.corpus.fetch(sorted({doc_id for doc_id in doc_ids if doc_id is not None}))
        found = zip(page, doc_ids, strict=True)
        record_ids |= {one: rows[doc_id].record_id for one, doc_id in found if doc_id is not None}
    if not record_ids:
        raise AbstractNotFoundError(
            f"none of {pluralize(len(given), 'judged record')} is in this index: {name_some(given)}. "
            f"Ids look like {snapshot.corpus.find_example_id()!r}; engine search shows them"
        )
    resolved: dict[str, dict[str, int]] = {}
    for query_id, grades in judgments.grades.items():
        mine = resolved.setdefault(query_id, {})
        for one, grade in grades.items():
            record_id = record_ids.get(one, one)
            mine[record_id] = max(grade, mine.get(record_id, grade))
    return _Resolved(
        judgments=replace(judgments, grades=resolved),
        record_ids=record_ids,
        n_absent=len(given) - len(record_ids),
        n_merged=judgments.n_judged - sum(map(len, resolved.values())),
    )


def _rename_as_judged(run: Run, judgments: Judgments, resolved: _Resolved) -> Run:
    """The run under the ids by which its query's judgments name records, so that it can be measured by them again.

    Of two ids for one record the one with the higher grade.
    """
    rankings = {}
    for query_id, ranking in run.rankings.items():
        grades = judgments.grades[query_id]
        by_grade = sorted(grades, key=lambda one: grades[one])
        names = {resolved.record_ids[one]: one for one in by_grade if one in resolved.record_ids}
        rankings[query_id] = tuple(Ranked(names.get(one.record_id, one.record_id), one.score) for one in ranking)
    return Run(run.name, rankings)


def _ask_queries(
    index: Index, query: Query, texts: Texts, notes: dict[str, None]
) -> Iterator[tuple[str, tuple[Hit, ...]]]:
    """Yield the hits of each query that can be answered, in order; what there is to say of others goes to notes.

    Raises:
        UsageError: no query can be answered.
        AbstractNotFoundError: the same.
        EncoderError: the same.
    """
    n_answered, failed = 0, list[tuple[str, QueryError]]()
    for page in split_pages(texts.items(), query.top_k):
        answered = answer_each(index, [replace(query, text=text) for _, text in page])
        for (query_id, _), answer in zip(page, answered, strict=True):
            if isinstance(answer, Answer):
                n_answered += 1
                kept = (note for note in answer.notes if len(notes) < _NOTES_OF_A_KIND and _FEWER not in note)
                notes |= dict.fromkeys(kept)
                yield query_id, answer.hits
            else:
                failed.append((query_id, answer))
    if failed and not n_answered:
        raise failed[0][1]
    notes |= dict.fromkeys(f"query {query_id} can't be answered: {err}" for query_id, err in failed[:_NOTES_OF_A_KIND])


def _place_relevant(
    index: Index, query: Query, texts: Texts, resolved: _Resolved, progress: Progress | None
) -> dict[str, list[Place]]:
    """Places of the relevant records of each query in the whole ranking."""
    found: dict[str, list[Place]] = {}
    there = set(resolved.record_ids.values())
    for query_id, text in texts.items():
        grades = resolved.judgments.grades[query_id]
        known = [one for one, grade in grades.items() if grade > 0 and one in there]
        items = index.recall(replace(query, text=text, diversify=None), known).items if known else ()
        found[query_id] = sorted((one.rank, grades[one.given]) for one in items if one.rank is not None)
        if progress:
            progress("ranking all records", len(found), len(texts))
    return found


def _measure_ann_recall(snapshot: OpenGeneration, query: Query, texts: Sequence[str]) -> float | None:
    """The share of the 10 nearest of all records that an approximate index finds for some queries.

    None where every vector is compared, or where words alone rank. A hit that scores as the tenth nearest does is as
    good as it.
    """
    vectors = snapshot.vectors
    if query.mode == "keyword" or not isinstance(vectors, IvfIndex):
        return None
    points, _ = encode_texts(snapshot, [clean_text(text) for text in texts])
    k = min(TUNED_FOR, vectors.size)
    exact, got = vectors.search_exhaustively(points, k), vectors.search(points, k)
    good = [sum(score >= best[-1][1] - TIE for _, score in mine) for best, mine in zip(exact, got, strict=True)]
    return float(np.mean(good)) / k
