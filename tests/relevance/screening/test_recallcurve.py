"""The curve of simulations, by hand."""

import numpy as np

from engine.relevance.screening.recallcurve import build_simulation_chart
from engine.relevance.screening.stopping import RuleOutcome


def labels_of(marks: str) -> np.ndarray:
    return np.array([mark == "1" for mark in marks])


def test_one_simulation_is_drawn_step_by_step() -> None:
    chart = build_simulation_chart([labels_of("0101")], [])
    assert chart.curve == ((0, 0), (2, 0), (2, 1), (4, 1), (4, 2), (4, 2))
    assert (chart.band, chart.marks, chart.n_read, chart.title) == ("", (), 4, "Inclusions found, 1 simulation")


def test_several_are_averaged_between_the_lowest_and_the_highest() -> None:
    outcomes = [RuleOutcome("half", 2, 0.5, 0.75, 1), RuleOutcome("never", 0, 1.0, 1.0, 0)]
    chart = build_simulation_chart([labels_of("1100"), labels_of("0101")], outcomes)
    assert chart.curve == ((0, 0), (1, 0.5), (2, 1.5), (3, 1.5), (4, 2))
    assert chart.low == ((0, 0), (1, 0), (2, 1), (3, 1), (4, 2))
    assert chart.high == ((0, 0), (1, 1), (2, 2), (3, 2), (4, 2))
    (mark,) = chart.marks
    assert (mark.place, mark.text) == ((2.0, 1.5), "half: 50 % read, 75.0 % found, below 95 % in 1 of 2")
    assert chart.description == (
        "In 2 simulations of 4 records, 2 of them included: half: 50 % read, 75.0 % found, below 95 % in 1 of 2."
    )
