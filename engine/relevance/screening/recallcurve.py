"""The recall curve of simulations, with where each rule for stopping would have stopped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.phrases import pluralize
from engine.relevance.screening.chart import Chart, ChartMark, Point, list_steps
from engine.relevance.screening.stopping import RECALL, Labels, RuleOutcome

_POINTS = 400  # of a mean curve, at most


def build_simulation_chart(orders: Sequence[Labels], rules: Sequence[RuleOutcome]) -> Chart:
    """Return the chart of one or more simulations of the same records, each with its labels in the order of reading.

    rules: what the rules do in them; a rule that never stops has no mark.
    """
    n_records, n_included = len(orders[0]), int(orders[0].sum())
    curve, low, high = _average(orders)
    runs = pluralize(len(orders), "simulation")
    marks = tuple(
        ChartMark((rule.read * n_records, rule.recall * n_included), _describe_rule(rule, len(orders)))
        for rule in rules
        if rule.n_stopped
    )
    reads = f"In {runs} of {pluralize(n_records, 'record')}, {n_included:,} of them included:"
    return Chart(
        title=f"Inclusions found, {'mean of ' if len(orders) > 1 else ''}{runs}",
        description=" ".join((reads, *(f"{mark.text}." for mark in marks))),
        n_read=n_records,
        n_found=n_included * 1.06,
        curve=curve,
        low=low,
        high=high,
        band="from the lowest to the highest of the simulations" if len(orders) > 1 else "",
        marks=marks,
    )


def _average(orders: Sequence[Labels]) -> tuple[tuple[Point, ...], tuple[Point, ...], tuple[Point, ...]]:
    """Return the mean curve, the lowest and the highest number found; of one simulation all its steps, and no band."""
    n = len(orders[0])
    if len(orders) == 1:
        return list_steps((np.flatnonzero(orders[0]) + 1).tolist(), n), (), ()
    places = np.unique(np.linspace(0, n, min(n, _POINTS) + 1).astype(np.int64))
    found = np.array([np.concatenate([[0], np.cumsum(each)])[places] for each in orders])
    mean, low, high = (
        tuple(zip(places.tolist(), values.tolist(), strict=True))
        for values in (found.mean(axis=0), found.min(axis=0), found.max(axis=0))
    )
    return mean, low, high


def _describe_rule(rule: RuleOutcome, n_runs: int) -> str:
    """Return what a rule does, for the key."""
    broken = f", below {100 * RECALL:g} % in {rule.n_broken:,} of {n_runs:,}"
    return f"{rule.rule}: {100 * rule.read:.0f} % read, {100 * rule.recall:.1f} % found{broken}"
