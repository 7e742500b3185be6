"""Answers to checked queries: rank, cut, fetch, count and explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from engine.errors import CorruptError
from engine.options import Filters, Query
from engine.phrases import pluralize
from engine.query.answers.explanation import explain_hits, note_long_abstracts
from engine.query.answers.grouping import count_groups
from engine.query.answers.verdict import judge_answer
from engine.query.opening.generation import OpenGeneration
from engine.query.question.obstacles import find_obstacles, note_obstacles
from engine.query.question.ordering import note_sorted
from engine.query.question.plan import Question, encode_question, encode_questions, read_question
from engine.query.ranks.ranking import Candidate, Ranking, choose_depth, get_min_cosine
from engine.query.ranks.reranking import rank_in_stages
from engine.records.abstract import Abstract
from engine.records.answer import Answer, Hit
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

EXPLAINED = 100  # hits; each has some ten sentences to encode


def answer_query(
    snapshot: OpenGeneration,
    query: Query,
    only: DocIds | None = None,
    *,
    n_explained: int = EXPLAINED,
    judged: bool = True,
    is_plain: bool = False,
    point: Vectors | None = None,
) -> Answer:
    """Answer a checked query, among some doc ids (ascending) alone if given; at most n_explained hits are explained.

    judged: whether the answer gets a verdict. is_plain: the text is never a Boolean search. point: a unit vector
    (dim,) to compare with in place of that of the text.
    """
    question, notes = read_question(snapshot, query, only, is_plain=is_plain), list[str]()

    def encode() -> Vectors:
        if point is not None:
            return point
        vector, cut = encode_question(snapshot, question)
        notes.extend(cut)
        return vector

    found = rank_in_stages(snapshot, question, encode)
    answer = _build_answer(snapshot, question, found, notes, n_explained)
    return replace(answer, verdict=judge_answer(snapshot, question, found.best)) if judged else answer


def answer_queries(
    snapshot: OpenGeneration, queries: Sequence[Query], only: DocIds | None = None, *, judged: bool = True
) -> list[Answer]:
    """Answer checked queries; texts are encoded together and, by meaning, compared together.

    only: doc ids (ascending) among which to answer, if given. judged: whether the answers get verdicts.
    """
    questions = [read_question(snapshot, query, only) for query in queries]
    if not questions:
        return []
    points, cut = zip(*encode_questions(snapshot, questions), strict=True)
    found = _rank_together(snapshot, questions, points) or [
        rank_in_stages(snapshot, one, partial(np.asarray, point)) for one, point in zip(questions, points, strict=True)
    ]
    answers = [
        _build_answer(snapshot, one, ranked, notes) for one, ranked, notes in zip(questions, found, cut, strict=True)
    ]
    if not judged:
        return answers
    verdicts = [judge_answer(snapshot, one, rank.best) for one, rank in zip(questions, found, strict=True)]
    return [replace(answer, verdict=verdict) for answer, verdict in zip(answers, verdicts, strict=True)]


def _rank_together(snapshot: OpenGeneration, questions: Sequence[Question], points: Sequence[Vectors]) -> list[Ranking]:
    """Rank plain semantic questions in one comparison; return an empty list if any question is not plain."""
    first = questions[0]
    plain = Query(mode="semantic", top_k=first.query.top_k, offset=first.query.offset, min_score=first.query.min_score)
    same = replace(plain, filters=first.query.filters, explain=first.query.explain, group_by=first.query.group_by)
    if any(one.is_search or replace(one.query, text="", weight=None, fusion=None) != same for one in questions):
        return []
    wanted = choose_depth(snapshot, first)
    matrix = np.array(points)
    found = (
        snapshot.vectors.search(matrix, wanted)
        if first.among is None
        else snapshot.vectors.search_among(matrix, first.among, wanted)
    )
    n_qualified = snapshot.vectors.size if first.among is None else len(first.among)
    least = get_min_cosine(plain)
    return [
        Ranking([Candidate(i, score) for i, score in pairs if score >= least], n_qualified, point)
        for pairs, point in zip(found, points, strict=True)
    ]


def _build_answer(
    snapshot: OpenGeneration, question: Question, found: Ranking, notes: Sequence[str], n_explained: int = EXPLAINED
) -> Answer:
    """Build the answer of a ranking: its hits, groups and notes."""
    query = question.query
    chosen = found.candidates[query.offset : query.offset + query.top_k]
    hits = fetch_hits(snapshot, chosen, query.offset + 1)
    if query.explain and hits:
        explained = explain_hits(snapshot, question, found.vector, chosen[:n_explained], hits[:n_explained])
        if len(hits) > n_explained:
            notes = [*notes, f"only the first {n_explained} hits are explained"]
        notes = [*notes, *note_long_abstracts(explained)]
        hits = explained + hits[n_explained:]
    groups, cut = count_groups(snapshot, question, found, chosen)
    order = note_sorted(query, question.n_sorted, found.n_qualified)
    obstacles = () if found.n_qualified else find_obstacles(snapshot, question)
    shortfall = (*_note_shortfall(question, len(hits), found), *note_obstacles(obstacles))
    return Answer(
        query=query,
        generation=snapshot.manifest.generation,
        hits=tuple(hits),
        n_qualified=found.n_qualified,
        groups=groups,
        reranker=found.reranker,
        notes=(*question.notes, *notes, *found.notes, *order, *cut, *shortfall),
        obstacles=obstacles,
    )


def _note_shortfall(question: Question, n_hits: int, found: Ranking) -> list[str]:
    """Explain why there are fewer hits than requested, if something left records out."""
    query = question.query
    by_words = query.mode == "keyword" or (query.mode == "hybrid" and question.wording.is_constrained)
    left_out = query.filters != Filters() or by_words or question.is_search
    if n_hits == query.top_k or not (left_out or query.min_score is not None or query.offset):
        return []
    n = found.n_qualified
    qualify = f"{pluralize(n, 'record')} qualif{'ies' if n == 1 else 'y'}"
    if query.min_score is not None and len(found.candidates) < n:  # all that reach it are there
        return [f"{qualify}, {len(found.candidates):,} of them with a score of {query.min_score:g} or more"]
    if n and n_hits == n:
        return [f"{qualify}, and {'it is' if n == 1 else 'all of them are'} shown"]
    return [f"{qualify}, {query.offset + query.top_k:,} were asked for"] if n else ["no record qualifies"]


def fetch_hits(snapshot: OpenGeneration, candidates: Sequence[Candidate], first: int = 1) -> list[Hit]:
    """Return ranked candidates as hits, in the same order; ranks count from `first`.

    Raises:
        CorruptError: an id has a vector but no row.
    """
    rows = snapshot.corpus.fetch([candidate.doc_id for candidate in candidates])
    if missing := [candidate.doc_id for candidate in candidates if candidate.doc_id not in rows]:
        raise CorruptError(f"{snapshot.corpus.path} has no row for id {missing[0]}. Run: engine verify --deep")
    return [_build_hit(rank, candidate, rows[candidate.doc_id]) for rank, candidate in enumerate(candidates, first)]


def _build_hit(rank: int, candidate: Candidate, row: Abstract) -> Hit:
    """Return a candidate with the stored fields of its record."""
    return Hit(
        rank=rank,
        id=row.record_id,
        score=candidate.score,
        title=row.title,
        abstract=row.abstract,
        year=row.year,
        journal=row.journal,
        authors=row.authors,
        pmid=row.pmid,
        doi=row.doi,
        retracted=row.retracted,
        fused=candidate.fused,
        bm25=candidate.bm25,
        semantic_rank=candidate.semantic_rank,
        keyword_rank=candidate.keyword_rank,
        rerank_score=candidate.rerank_score,
    )
