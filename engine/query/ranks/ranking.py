"""The ranking of a question, by meaning, by words or by both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.options import DEFAULT_FUSION, DEFAULT_WEIGHT, SHORT, SHORT_WEIGHT, Fusion, Query
from engine.query.opening.generation import OpenGeneration
from engine.query.question.ordering import sort_ids
from engine.query.question.plan import ALPHA, BETA, FED_BACK, GAMMA, Question
from engine.query.ranks.evidence import BEST
from engine.records.encoder import Vectors
from engine.records.reranker import RerankerIdentity


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ranked record, before its stored fields are read."""

    doc_id: int
    score: float  # cosine
    fused: float | None = None
    bm25: float | None = None
    semantic_rank: int | None = None
    keyword_rank: int | None = None
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first, as many as were wanted or as there are."""

    candidates: list[Candidate]
    n_qualified: int
    vector: Vectors  # (dim,) that they were compared with
    reranker: RerankerIdentity | None = None  # of the second stage, if there was one
    notes: tuple[str, ...] = ()  # for people
    relevant: tuple[Candidate, ...] = ()  # the first BEST by relevance, where the candidates are in another order

    @property
    def best(self) -> Sequence[Candidate]:
        """The first BEST by relevance, whatever the order of the candidates is."""
        return self.relevant or self.candidates[:BEST]


_Encode = Callable[[], Vectors]  # the vector (dim,) of the question
_Scored = Sequence[tuple[int, float]]


def rank_question(snapshot: OpenGeneration, question: Question, encode: _Encode) -> Ranking:
    """Rank what qualifies; encode gives the vector, and words are looked up while it works."""
    found = _BY_MODE[question.query.mode](snapshot, question, encode, choose_depth(snapshot, question))
    found = _drop_low_scores(found, question.query)
    if question.n_sorted or question.query.diversify:
        found = replace(found, relevant=tuple(found.best))
    if question.n_sorted:
        return _sort_ranking(snapshot, question, found)
    return _vary_ranking(snapshot, question, found) if question.query.diversify else found


def list_rule_numbers(query: Query) -> dict[str, float]:
    """Return the numbers by which a checked query is ranked beside its own: those that another release may change.

    >>> list_rule_numbers(Query("gout", mode="semantic", feedback=True))
    {'fed_back': 10}
    """
    numbers: dict[str, float] = {}
    if query.mode == "hybrid":
        numbers["fused"] = DEPTH
        if (query.fusion or DEFAULT_FUSION) == "rrf":
            numbers["rrf_k"] = _RRF_K
        elif query.weight is None:
            numbers |= {"weight": DEFAULT_WEIGHT, "short": SHORT, "short_weight": SHORT_WEIGHT}
            numbers |= {"rarest": _RAREST, "covered": _COVERED, "fall": _FALL}
    if query.like or query.unlike:
        numbers |= {"text": ALPHA, "like": BETA, "unlike": GAMMA}
    if query.feedback:
        numbers["fed_back"] = FED_BACK
    if query.diversify:
        numbers["diversified"] = _POOL
    return numbers


def choose_depth(snapshot: OpenGeneration, question: Question) -> int:
    """Return how many candidates to rank, at least 1.

    All, if a minimum cosine cuts a ranking that is not by cosine, or decides what is counted.
    """
    query, size = question.query, max(1, snapshot.vectors.size)
    if query.min_score is not None and (query.mode != "semantic" or query.group_by):
        return size
    return min(size, max(_POOL if query.diversify else BEST, question.n_sorted, query.offset + query.top_k))


def _sort_ranking(snapshot: OpenGeneration, question: Question, found: Ranking) -> Ranking:
    """Sort the best candidates by a field; the others stay as they are."""
    head = {one.doc_id: one for one in found.candidates[: question.n_sorted]}
    ordered = [head[doc_id] for doc_id in sort_ids(snapshot.corpus, list(head), question.query.sort)]
    return replace(found, candidates=ordered + found.candidates[question.n_sorted :])


def get_min_cosine(query: Query) -> float:
    """Return the lowest cosine that a hit may have."""
    return -math.inf if query.min_score is None else query.min_score


def _drop_low_scores(found: Ranking, query: Query) -> Ranking:
    """Leave out candidates below the minimum cosine of a query."""
    if query.min_score is None:
        return found
    return replace(found, candidates=[one for one in found.candidates if one.score >= get_min_cosine(query)])


def _rank_by_meaning(snapshot: OpenGeneration, question: Question, encode: _Encode, wanted: int) -> Ranking:
    """Rank by cosine."""
    vector = encode()
    found = _find_nearest(snapshot, question, vector, wanted)
    return Ranking([Candidate(doc_id, score) for doc_id, score in found], _count_qualified(snapshot, question), vector)


def _rank_by_words(snapshot: OpenGeneration, question: Question, encode: _Encode, wanted: int) -> Ranking:
    """Rank by BM25."""
    with ThreadPoolExecutor(1) as pool:
        words = pool.submit(copy_context().run, _rank_words, snapshot, question, wanted)
        vector = encode()
    found, n_matching = words.result()
    if question.is_search:
        return _rank_rest(snapshot, question, found, vector, wanted)
    ranks = {doc_id: rank for rank, (doc_id, _) in enumerate(found, 1)}
    if question.n_sorted and question.query.min_score is None:  # so that cosines are computed for the hits alone
        bm25s, last = dict(found), question.query.offset + question.query.top_k
        chosen = sort_ids(snapshot.corpus, list(ranks), question.query.sort)[:last]
        sorted_hits = _build_matches(snapshot, [(i, bm25s[i]) for i in chosen], ranks, vector)
        return Ranking(
            sorted_hits, n_matching, vector, relevant=tuple(_build_matches(snapshot, found[:BEST], ranks, vector))
        )
    return Ranking(_build_matches(snapshot, found, ranks, vector), n_matching, vector)


def _build_matches(
    snapshot: OpenGeneration, found: _Scored, ranks: Mapping[int, int], vector: Vectors
) -> list[Candidate]:
    """Return (doc id, BM25) as candidates, in the same order, with their cosines and their ranks by words."""
    scores = _compute_cosines(snapshot, [doc_id for doc_id, _ in found], vector)
    return [Candidate(doc_id, scores[doc_id], bm25=bm25, keyword_rank=ranks[doc_id]) for doc_id, bm25 in found]


def _rank_rest(
    snapshot: OpenGeneration, question: Question, found: list[tuple[int, float]], vector: Vectors, wanted: int
) -> Ranking:
    """Rank the records of a Boolean search by BM25; those without its words, found by headings, below, by cosine."""
    there = np.array([doc_id for doc_id, _ in found], np.int64)
    among = np.empty(0, np.int64) if question.among is None else question.among
    rest: list[tuple[int, float]] = []
    if len(found) < min(wanted, len(among)):
        rest = snapshot.vectors.search_among(vector[None], np.setdiff1d(among, there), wanted - len(found))[0]
    scores = _compute_cosines(snapshot, there.tolist(), vector)
    candidates = [
        Candidate(doc_id, scores[doc_id], bm25=bm25, keyword_rank=rank) for rank, (doc_id, bm25) in enumerate(found, 1)
    ]
    candidates += [Candidate(doc_id, score, bm25=0.0) for doc_id, score in rest]
    return Ranking(candidates, len(among), vector)


def _rank_words(
    snapshot: OpenGeneration, question: Question, wanted: int, *, count: bool = True
) -> tuple[list[tuple[int, float]], int]:
    """Return the best (doc id, BM25) of a question and, if asked for, the number of all matches."""
    return snapshot.get_words().rank(question.wording, wanted, question.among, count=count)


def _rank_by_both(snapshot: OpenGeneration, question: Question, encode: _Encode, wanted: int) -> Ranking:
    """Fuse both rankings to DEPTH; the rest follow by cosine, so that the order never depends on top_k."""
    with ThreadPoolExecutor(1) as pool:
        depth = DEPTH + len(question.examples)
        words = pool.submit(copy_context().run, _rank_words, snapshot, question, depth, count=False)
        vector = encode()
        semantic = _find_nearest(snapshot, question, vector, max(DEPTH, wanted), shallow=True)
    keyword = [pair for pair in words.result()[0] if pair[0] not in question.examples][:DEPTH]
    semantic = _add_scored(snapshot, semantic, keyword, vector)
    weight = question.query.weight if question.query.weight is not None else _choose_weight(snapshot, question, keyword)
    both = _fuse_rankings(semantic, keyword, question.query.fusion or DEFAULT_FUSION, weight)[:wanted]
    scores = dict(semantic)
    scores |= _compute_cosines(snapshot, [doc_id for doc_id, _ in both if doc_id not in scores], vector)
    bm25 = dict(keyword)
    keyword_rank = {doc_id: rank for rank, (doc_id, _) in enumerate(keyword, 1)}
    semantic_rank = {doc_id: rank for rank, (doc_id, _) in enumerate(semantic[:DEPTH], 1)}
    candidates = [
        Candidate(i, scores[i], total, bm25.get(i), semantic_rank.get(i), keyword_rank.get(i)) for i, total in both
    ]
    there = {doc_id for doc_id, _ in both}
    rest = [(doc_id, score) for doc_id, score in semantic[DEPTH:] if doc_id not in there]
    candidates += [Candidate(i, score) for i, score in rest]
    return Ranking(candidates[:wanted], _count_qualified(snapshot, question), vector)


_BY_MODE = {"semantic": _rank_by_meaning, "keyword": _rank_by_words, "hybrid": _rank_by_both}


def _find_nearest(
    snapshot: OpenGeneration, question: Question, vector: Vectors, wanted: int, *, shallow: bool = False
) -> list[tuple[int, float]]:
    """Return the nearest qualified (doc id, cosine), examples left out; shallow: see SegmentedIndex.search."""
    if question.among is not None:
        return snapshot.vectors.search_among(vector[None], question.among, wanted, shallow=shallow)[0]
    left_out = question.examples
    found = snapshot.vectors.search(vector[None], wanted + len(left_out), shallow=shallow)[0]
    return [pair for pair in found if pair[0] not in left_out][:wanted]


def _add_scored(
    snapshot: OpenGeneration, semantic: _Scored, keyword: _Scored, vector: Vectors
) -> list[tuple[int, float]]:
    """Return a ranking by cosine, as long as it was, with what words found and an approximate search missed."""
    there = {doc_id for doc_id, _ in semantic}
    missed = [] if snapshot.vectors.is_exact else [doc_id for doc_id, _ in keyword if doc_id not in there]
    return _order_scores([*semantic, *_compute_cosines(snapshot, missed, vector).items()])[: len(semantic)]


def _compute_cosines(snapshot: OpenGeneration, doc_ids: list[int], vector: Vectors) -> dict[int, float]:
    """Return the exact cosines of records, by doc id."""
    scores = snapshot.vectors.score_ids(vector, np.array(doc_ids, np.int64))
    return dict(zip(doc_ids, map(float, scores), strict=True))


def _count_qualified(snapshot: OpenGeneration, question: Question) -> int:
    """Return the number of records that could be hits."""
    return snapshot.vectors.size - len(question.examples) if question.among is None else len(question.among)


def _vary_ranking(snapshot: OpenGeneration, question: Question, found: Ranking) -> Ranking:
    """Reorder the first _POOL candidates so that neighbours differ.

    Relevance is the cosine, in hybrid the fused score (those below the fused ones stay where they are), and for words
    the share of the best BM25.
    """
    query, candidates = question.query, found.candidates
    if not candidates or not query.diversify:
        return found
    head = [c for c in candidates[:_POOL] if query.mode != "hybrid" or c.fused is not None]
    best = max(c.bm25 or 0.0 for c in head) or 1.0  # BM25 has no upper end
    relevance = {
        "semantic": [c.score for c in head],
        "hybrid": [c.fused or 0.0 for c in head],
        "keyword": [(c.bm25 or 0.0) / best for c in head],
    }[query.mode]
    points = snapshot.vectors.get_points(np.array([c.doc_id for c in head], np.int64))
    wanted = min(len(head), query.offset + query.top_k)
    order = _diversify_ranking(np.array(relevance, np.float32), points, query.diversify, wanted)
    taken = set(order)
    rest = [c for i, c in enumerate(head) if i not in taken] + candidates[len(head) :]
    return replace(found, candidates=[head[i] for i in order] + rest)


DEPTH = 1000  # of each leg; what lies deeper is not fused
# Chosen on the question sets of docs/quality.md.
_RAREST = 4  # words of a question, of which the best record by words should hold
_COVERED = 0.4  # this share, by BM25
_FALL = 8  # power by which the weight of the words falls below that share
_RRF_K = 60  # Cormack, Clarke & Büttcher, SIGIR 2009


def _fuse_rankings(semantic: _Scored, keyword: _Scored, fusion: Fusion, weight: float) -> list[tuple[int, float]]:
    """Fuse the first DEPTH of both rankings into one score of at most 1, best first, ties by id.

    Convex (Bruch, Gai & Ingber, TOIS 2023): weight times the semantic score plus 1 - weight times the keyword score,
    each as a share of the best one; a record missing from one ranking scores 0 in it. RRF: the mean of
    (k + 1) / (k + rank), k = 60; the weight is not used.
    """
    legs = semantic[:DEPTH], keyword[:DEPTH]
    if fusion == "convex":
        parts = [(weight, _share_scores(legs[0])), (1 - weight, _share_scores(legs[1]))]
    else:
        parts = [(0.5, _score_reciprocal(leg)) for leg in legs]
    total: dict[int, float] = {}
    for share, scores in parts:
        for doc_id, score in scores:
            total[doc_id] = total.get(doc_id, 0.0) + share * score
    return _order_scores(total.items())


def _choose_weight(snapshot: OpenGeneration, question: Question, keyword: _Scored) -> float:
    """Return the weight of the cosine by the question.

    Few words tell the encoder little, so as words they count more. Where even the best record by words holds little of
    what is asked, as with a lay question to a technical corpus, the words count less.
    """
    n_words = len(question.wording.wanted)
    weight = SHORT_WEIGHT if n_words <= SHORT else DEFAULT_WEIGHT
    if not keyword:
        return weight
    coverage = keyword[0][1] / snapshot.get_words().compute_highest(question.wording, _RAREST)
    return 1 - (1 - weight) * min(1.0, coverage / _COVERED) ** _FALL


def _share_scores(ranking: _Scored) -> list[tuple[int, float]]:
    """Return scores as shares of the best one; a negative score stays below 0, whatever the best one is."""
    best = abs(ranking[0][1]) or 1.0 if ranking else 1.0
    return [(doc_id, score / best) for doc_id, score in ranking]


def _score_reciprocal(ranking: _Scored) -> list[tuple[int, float]]:
    """Score each rank as (k + 1) / (k + rank), 1 for the best."""
    return [(doc_id, (_RRF_K + 1) / (_RRF_K + rank)) for rank, (doc_id, _) in enumerate(ranking, 1)]


def _order_scores(scores: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """Sort by score descending, then by id ascending."""
    pairs = list(scores)
    ids = np.fromiter((doc_id for doc_id, _ in pairs), np.int64, len(pairs))
    values = np.fromiter((score for _, score in pairs), np.float64, len(pairs))
    return [pairs[place] for place in np.lexsort((ids, -values)).tolist()]


_POOL = 1000  # candidates that are put in a new order, however many hits are wanted; those below stay as they are


def _diversify_ranking(scores: NDArray[np.float32], vectors: Vectors, diversify: float, wanted: int) -> list[int]:
    """Return the positions of `wanted` candidates, chosen one after the other (Carbonell & Goldstein, SIGIR 1998).

    scores (n,) and vectors (n, dim), unit length, are those of the candidates, best first. Each step takes the one with
    the highest (1 - diversify) * score - diversify * (highest cosine to those taken), of equals the earlier one. So 0
    leaves the order as it is. Fewer positions only if there are fewer candidates.
    """
    gain = (1 - diversify) * scores.astype(np.float64)
    nearest = np.full(len(scores), -1.0)
    left = np.ones(len(scores), bool)
    taken: list[int] = []
    exact = vectors.astype(np.float64)
    while len(taken) < min(wanted, len(scores)):
        penalty = diversify * nearest if taken else 0.0
        best = int(np.argmax(np.where(left, gain - penalty, -np.inf)))
        taken.append(best)
        left[best] = False
        nearest = np.maximum(nearest, exact @ exact[best])
    return taken
