"""Two rankings into one. Pure functions on (doc id, score), best first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.queries import Fusion

Ranking = Sequence[tuple[int, float]]

DEPTH = 1000  # of each leg; what lies deeper is not fused
RRF_K = 60  # Cormack, Clarke & Büttcher, SIGIR 2009


def fused(semantic: Ranking, keyword: Ranking, fusion: Fusion, weight: float) -> list[tuple[int, float]]:
    """All records of the first DEPTH of either ranking with one score in [0, 1], best first, ties by id.

    Convex (Bruch, Gai & Ingber, TOIS 2023): weight times the semantic score plus 1 - weight times the keyword score,
    each stretched so that the leg's best has 1 and its last 0; who is not in a leg has 0 there. RRF: the mean of
    (k + 1) / (k + rank), k = 60; the weight has no part in it.
    """
    legs = semantic[:DEPTH], keyword[:DEPTH]
    if fusion is Fusion.CONVEX:
        parts = [(weight, stretched(legs[0])), (1 - weight, stretched(legs[1]))]
    else:
        parts = [(0.5, reciprocal(leg)) for leg in legs]
    total: dict[int, float] = {}
    for share, scores in parts:
        for doc_id, score in scores:
            total[doc_id] = total.get(doc_id, 0.0) + share * score
    return ordered(total.items())


def stretched(ranking: Ranking) -> list[tuple[int, float]]:
    """Scores stretched to [0, 1], the best 1 and the last 0; all 1 where all are equal."""
    if not ranking:
        return []
    high, low = ranking[0][1], ranking[-1][1]
    if high == low:
        return [(doc_id, 1.0) for doc_id, _ in ranking]
    return [(doc_id, (score - low) / (high - low)) for doc_id, score in ranking]


def reciprocal(ranking: Ranking) -> list[tuple[int, float]]:
    """(k + 1) / (k + rank), 1 for the best."""
    return [(doc_id, (RRF_K + 1) / (RRF_K + rank)) for rank, (doc_id, _) in enumerate(ranking, 1)]


def ordered(scores: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """Score descending, then id ascending."""
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))
