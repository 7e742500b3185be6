"""Measures of an order of reading: how early a reviewer finds the included records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.relevance.scoring.measures import MeasureKind, compute_deep

_EARLY = 100  # records that count for hits@100
NAMES = ("loss", "ATD", "R@10%", "WSS@95", "hits@100")  # names of the fields of Screened, in their order


@dataclass(frozen=True, slots=True)
class Screened:
    """The measures of one order of N records, y of them included."""

    loss: float  # 0: all included records come first; 1: they come last; at random 0.5
    atd: float  # average time to discovery: mean rank of the included records / N
    recall_10: float  # share of the included records in the first 10 % of all, rounded up
    wss_95: float  # work saved over sampling at 95 % of the included records
    hits_100: float  # included records among the first 100

    @property
    def values(self) -> tuple[float, ...]:
        """The measures in the order of NAMES."""
        return self.loss, self.atd, self.recall_10, self.wss_95, self.hits_100


def measure_screening(labels: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Screened:
    """Measure labels (N,), 1 for included and 0 for excluded, in the order in which the records are read.

    With N records, y of them included, at ranks r counted from 1:
    loss = (y (N - (y - 1) / 2) - sum of the cumulated labels) / (y (N - y)), the area between the best recall curve and
    this one as a share of its maximum (ASReview 2, asreview/metrics.py), which is
    (mean of r - (y + 1) / 2) / (N - y). ATD = mean of r / N (Ferdinands et al. 2023). R@10% and WSS@95 are those of
    engine.relevance.scoring.measures: WSS@95 = (N - rank of the included record number 0.95 y, rounded up) / N - 0.05
    (Cohen et al. 2006). With fewer than 100 records, hits@100 counts all included ones.

    Raises:
        UsageError: there are no included or no excluded records.
    """
    read = np.asarray(labels, np.int64)
    n, ranks = len(read), (np.flatnonzero(read) + 1).tolist()
    y = len(ranks)
    if not 0 < y < n:
        raise UsageError(f"{y:,} of {n:,} records are included, expected at least one of each kind")
    area = y * (n - (y - 1) / 2) - int(np.cumsum(read).sum())
    return Screened(
        loss=area / (y * (n - y)),
        atd=sum(ranks) / y / n,
        recall_10=compute_deep(MeasureKind.RECALL_SHARE, 10, ranks, y, n),
        wss_95=compute_deep(MeasureKind.WSS, 95, ranks, y, n),
        hits_100=float(sum(rank <= _EARLY for rank in ranks)),
    )


def average_measures(runs: Sequence[Screened]) -> Screened:
    """Compute the mean of each measure over one or more runs."""
    return Screened(*np.mean([run.values for run in runs], axis=0).tolist())


def compute_deviation(runs: Sequence[Screened]) -> Screened:
    """Compute the standard deviation of each measure over runs (divisor n - 1); 0 for a single run."""
    values = np.array([run.values for run in runs])
    return Screened(*(values.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(len(NAMES))).tolist())
