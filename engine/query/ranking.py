"""The ranking of a question, by meaning, by words or by both."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

import numpy as np

from engine.corpus.keywords import ranked
from engine.queries import Fusion, Mode, Query
from engine.query.diversity import POOL, diversified
from engine.query.fusion import DEPTH, fused
from engine.query.question import Question
from engine.query.snapshot import Candidate, Snapshot
from engine.records import Vectors

DEFAULT_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates, best first, as many as were wanted or as there are."""

    candidates: list[Candidate]
    n_qualified: int
    vector: Vectors  # (dim,) that they were compared with


Encode = Callable[[], Vectors]  # the vector (dim,) of the question


def ranking(snapshot: Snapshot, asked: Question, encode: Encode) -> Ranking:
    """Rank what qualifies; encode gives the vector, and words are looked up while it works."""
    found = BY_MODE[asked.query.mode](snapshot, asked, encode, depth(snapshot, asked.query))
    found = near_enough(found, asked.query)
    return varied(snapshot, asked, found) if asked.query.diversify else found


def depth(snapshot: Snapshot, query: Query) -> int:
    """How many candidates are ranked: all, where a least cosine leaves out some of a ranking that is not by cosine."""
    size = snapshot.vectors.size
    if query.min_score is not None and query.mode is not Mode.SEMANTIC:
        return size
    return min(size, max(POOL if query.diversify else 0, query.offset + query.top_k))


def least_cosine(query: Query) -> float:
    """Return the lowest cosine that a hit may have."""
    return -math.inf if query.min_score is None else query.min_score


def near_enough(found: Ranking, query: Query) -> Ranking:
    """Return the candidates that a query with a least cosine lets through."""
    if query.min_score is None:
        return found
    return replace(found, candidates=[one for one in found.candidates if one.score >= least_cosine(query)])


def by_meaning(snapshot: Snapshot, asked: Question, encode: Encode, wanted: int) -> Ranking:
    """By cosine."""
    vector = encode()
    found = nearest(snapshot, asked, vector, wanted)
    return Ranking([Candidate(doc_id, score) for doc_id, score in found], n_qualified(snapshot, asked), vector)


def by_words(snapshot: Snapshot, asked: Question, encode: Encode, wanted: int) -> Ranking:
    """By BM25."""
    with ThreadPoolExecutor(1) as pool:
        words = pool.submit(copy_context().run, ranked, snapshot.corpus, asked.wording, wanted, asked.among)
        vector = encode()
    found, n_matching = words.result()
    scores = cosines(snapshot, [doc_id for doc_id, _ in found], vector)
    candidates = [
        Candidate(doc_id, scores[doc_id], bm25=bm25, keyword_rank=rank) for rank, (doc_id, bm25) in enumerate(found, 1)
    ]
    return Ranking(candidates, n_matching, vector)


def by_both(snapshot: Snapshot, asked: Question, encode: Encode, wanted: int) -> Ranking:
    """Both rankings fused as deep as DEPTH; below come the others by cosine, so that an order never depends on k."""
    with ThreadPoolExecutor(1) as pool:
        words = pool.submit(
            copy_context().run, ranked, snapshot.corpus, asked.wording, DEPTH + len(asked.examples), asked.among
        )
        vector = encode()
        semantic = nearest(snapshot, asked, vector, max(DEPTH, wanted))
    keyword = [pair for pair in words.result()[0] if pair[0] not in asked.examples][:DEPTH]
    weight = DEFAULT_WEIGHT if asked.query.weight is None else asked.query.weight
    both = fused(semantic, keyword, asked.query.fusion or Fusion.CONVEX, weight)[:wanted]
    scores = dict(semantic)
    scores |= cosines(snapshot, [doc_id for doc_id, _ in both if doc_id not in scores], vector)
    bm25 = dict(keyword)
    keyword_rank = {doc_id: rank for rank, (doc_id, _) in enumerate(keyword, 1)}
    semantic_rank = {doc_id: rank for rank, (doc_id, _) in enumerate(semantic[:DEPTH], 1)}
    candidates = [
        Candidate(i, scores[i], total, bm25.get(i), semantic_rank.get(i), keyword_rank.get(i)) for i, total in both
    ]
    there = {doc_id for doc_id, _ in both}
    rest = [(doc_id, score) for doc_id, score in semantic[DEPTH:] if doc_id not in there]
    candidates += [Candidate(i, score) for i, score in rest]
    return Ranking(candidates[:wanted], n_qualified(snapshot, asked), vector)


BY_MODE = {Mode.SEMANTIC: by_meaning, Mode.KEYWORD: by_words, Mode.HYBRID: by_both}


def nearest(snapshot: Snapshot, asked: Question, vector: Vectors, wanted: int) -> list[tuple[int, float]]:
    """The nearest (doc id, cosine) that qualify, examples left out."""
    if asked.among is not None:
        return snapshot.vectors.search_among(vector[None], asked.among, wanted)[0]
    left_out = asked.examples
    found = snapshot.vectors.search(vector[None], wanted + len(left_out))[0]
    return [pair for pair in found if pair[0] not in left_out][:wanted]


def cosines(snapshot: Snapshot, doc_ids: list[int], vector: Vectors) -> dict[int, float]:
    """Exact cosines of some records."""
    scores = snapshot.vectors.scores(vector, np.array(doc_ids, np.int64))
    return dict(zip(doc_ids, map(float, scores), strict=True))


def n_qualified(snapshot: Snapshot, asked: Question) -> int:
    """Records that could be hits."""
    return snapshot.vectors.size - len(asked.examples) if asked.among is None else len(asked.among)


def varied(snapshot: Snapshot, asked: Question, found: Ranking) -> Ranking:
    """The same candidates, the first POOL of them in an order in which neighbours differ.

    Relevance is the cosine, in hybrid the fused score (those below the fused ones stay where they are), and for words
    the share of the best BM25.
    """
    query, candidates = asked.query, found.candidates
    if not candidates or not query.diversify:
        return found
    head = [c for c in candidates[:POOL] if query.mode is not Mode.HYBRID or c.fused is not None]
    best = max(c.bm25 or 0.0 for c in head) or 1.0  # BM25 has no upper end
    relevance = {
        Mode.SEMANTIC: [c.score for c in head],
        Mode.HYBRID: [c.fused or 0.0 for c in head],
        Mode.KEYWORD: [(c.bm25 or 0.0) / best for c in head],
    }[query.mode]
    points = snapshot.vectors.points(np.array([c.doc_id for c in head], np.int64))
    wanted = min(len(head), query.offset + query.top_k)
    order = diversified(np.array(relevance, np.float32), points, query.diversify, wanted)
    taken = set(order)
    rest = [c for i, c in enumerate(head) if i not in taken] + candidates[len(head) :]
    return replace(found, candidates=[head[i] for i in order] + rest)
