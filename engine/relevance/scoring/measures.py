"""Measures of a ranking against judgments, defined as in trec_eval and ir-measures.

Only the places of judged records count: a record without a judgment counts as not relevant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import UsageError
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.runs import Run

Place = tuple[int, int]  # (rank from 1, grade) of a judged record


class MeasureKind(StrEnum):
    """Kind of measure."""

    NDCG = "nDCG"
    RECALL = "recall"
    RR = "MRR"
    AP = "MAP"
    PRECISION = "P"
    RECALL_SHARE = "R"  # at a share of the collection
    WSS = "WSS"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure with its cutoff."""

    kind: MeasureKind
    cutoff: int | None  # hits; percent of the collection for R@10%, percent of the relevant records for WSS@95

    def __str__(self) -> str:
        at = "" if self.cutoff is None else f"@{self.cutoff}"
        return f"{self.kind}{at}{'%' if self.kind is MeasureKind.RECALL_SHARE else ''}"

    @property
    def is_deep(self) -> bool:
        """Whether the measure needs the whole ranking, and the size of the collection."""
        return self.kind in (MeasureKind.RECALL_SHARE, MeasureKind.WSS)


_WRITTEN = {
    "ndcg": MeasureKind.NDCG, "wss": MeasureKind.WSS,
    "recall": MeasureKind.RECALL, "r": MeasureKind.RECALL,
    "precision": MeasureKind.PRECISION, "p": MeasureKind.PRECISION,
    "mrr": MeasureKind.RR, "rr": MeasureKind.RR,
    "map": MeasureKind.AP, "ap": MeasureKind.AP,
}  # fmt: skip
_NEED_CUTOFF = (MeasureKind.RECALL, MeasureKind.PRECISION, MeasureKind.WSS)
_FORM = re.compile(r"([a-z]+)(?:@([1-9]\d{0,8})(%?))?")
_EXPECTED = "nDCG@10, recall@100, MRR@10, MAP, P@10, R@10% or WSS@95"


def parse(text: str) -> Measure:
    """Parse the name of a measure, in any case; R@k is recall@k, RR is MRR, AP is MAP.

    >>> str(parse("ndcg@10")), str(parse("R@100")), str(parse("R@10%"))
    ('nDCG@10', 'recall@100', 'R@10%')

    Raises:
        UsageError: the measure or its cutoff is unknown.
    """
    match = _FORM.fullmatch(text.strip().lower())
    kind = _WRITTEN.get(match[1]) if match else None
    if match is None or kind is None:
        raise UsageError(f"no measure is called {text[:40]!r}: expected {_EXPECTED}")
    cutoff = int(match[2]) if match[2] else None
    if match[3] and kind is MeasureKind.RECALL:
        kind = MeasureKind.RECALL_SHARE
    elif match[3]:
        raise UsageError(f"{text!r} has a percent sign, which only R@10% may have: expected {_EXPECTED}")
    if cutoff is None and kind in _NEED_CUTOFF:
        raise UsageError(f"{text!r} needs a cutoff, for example {kind}@{95 if kind is MeasureKind.WSS else 10}")
    if kind in (MeasureKind.RECALL_SHARE, MeasureKind.WSS) and cutoff is not None and cutoff > 100:
        raise UsageError(f"{text!r} asks for {cutoff} percent, expected 1 to 100")
    return Measure(kind, cutoff)


def measure_queries(
    measure: Measure, run: Run, judgments: Judgments, n_documents: int | None = None
) -> dict[str, float]:
    """Compute the value for every judged query, in the order of the judgments.

    A query without a ranking, or without a relevant record, has 0 (as in ir-measures); queries without judgments are
    skipped. The order of Run.rankings is the ranking: nothing is sorted again. n_documents is the size of the
    collection, for R@10% and WSS@95.
    """
    places = find_places(run, judgments)
    return {
        query_id: measure_query(measure, places[query_id], grades.values(), n_documents)
        for query_id, grades in judgments.grades.items()
    }


def find_places(run: Run, judgments: Judgments) -> dict[str, list[Place]]:
    """Find the places of the judged records of every judged query; an empty list for a query without a ranking."""
    return {
        query_id: place_judged((hit.record_id for hit in run.rankings.get(query_id, ())), grades)
        for query_id, grades in judgments.grades.items()
    }


def place_judged(ranking: Iterable[str], grades: Mapping[str, int]) -> list[Place]:
    """Return (rank, grade) of the judged records of a ranking, by rank."""
    return [(rank, grades[record_id]) for rank, record_id in enumerate(ranking, 1) if record_id in grades]


def measure_query(
    measure: Measure, places: Sequence[Place], grades: Iterable[int], n_documents: int | None = None
) -> float:
    """Compute the value for one query, from its judged records: their places by rank, and all of their grades.

    nDCG@k = DCG@k / DCG@k of the ideal order, DCG = sum grade / log2(rank + 1) over grades above 0 (linear gain, as in
    trec_eval; Järvelin & Kekäläinen 2002). recall@k = relevant in the first k / relevant. P@k = relevant in the first k
    / k, also where fewer are ranked. MRR@k = 1 / rank of the first relevant, 0 beyond k. MAP = sum of the precisions at
    the relevant ranks / relevant. R@p% = recall after p percent of the collection, rounded up. WSS@95 = (N - r) / N -
    0.05, N the size of the collection and r the rank at which 95 percent of the relevant, rounded up, are found (Cohen
    et al. 2006); if fewer are ranked, r = N. All but WSS are in [0, 1]; WSS@95 is from -0.05 to 0.95. A query
    without a relevant record has 0.

    Raises:
        UsageError: the measure needs n_documents, which is missing.
    """
    gains = sorted((grade for grade in grades if grade > 0), reverse=True)
    if not gains:
        return 0.0
    ranks = [rank for rank, grade in places if grade > 0]
    if measure.is_deep:
        if n_documents is None or measure.cutoff is None:
            raise UsageError(f"{measure} needs the number of records that were ranked")
        return compute_deep(measure.kind, measure.cutoff, ranks, len(gains), n_documents)
    within = [rank for rank in ranks if measure.cutoff is None or rank <= measure.cutoff]
    match measure.kind:
        case MeasureKind.NDCG:
            return _compute_ndcg(places, gains, measure.cutoff)
        case MeasureKind.RR:
            return 1 / within[0] if within else 0.0
        case MeasureKind.AP:
            return sum(n / rank for n, rank in enumerate(within, 1)) / len(gains)
        case MeasureKind.PRECISION:
            return len(within) / (measure.cutoff or 1)
    return len(within) / len(gains)


def _compute_ndcg(places: Sequence[Place], gains: Sequence[int], cutoff: int | None) -> float:
    """Compute the discounted cumulative gain as a share of that of the ideal order, gains (highest first)."""
    limit = cutoff or math.inf
    actual = sum(grade / math.log2(rank + 1) for rank, grade in places if grade > 0 and rank <= limit)
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1) if rank <= limit)
    return actual / ideal


def compute_deep(kind: MeasureKind, percent: int, ranks: Sequence[int], n_relevant: int, n_documents: int) -> float:
    """Compute R@percent% or WSS@percent from the ranks of the relevant records, ascending."""
    if kind is MeasureKind.RECALL_SHARE:
        read = -(-percent * n_documents // 100)
        return sum(rank <= read for rank in ranks) / n_relevant
    if not n_documents:
        return 0.0
    needed = -(-percent * n_relevant // 100)
    read = ranks[needed - 1] if needed <= len(ranks) else n_documents
    return (n_documents - read) / n_documents - (100 - percent) / 100
