import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.query.answers.explanation import find_percentile
from engine.records.generation import Calibration

SCORES = st.floats(-1, 1).map(lambda score: float(np.float32(score)))
LISTS = st.lists(SCORES.map(lambda score: round(score, 6)), min_size=3, max_size=30).map(sorted)

HAND = Calibration((0.25, 0.5, 0.75, 0.9), (0.1, 0.2, 0.4, 0.8), (0.3, 0.3, 0.9, 0.9), 1000, 40)


def of(texts: list[float]) -> Calibration:
    shares = tuple(float(share) for share in np.linspace(0.01, 0.9999, len(texts)))
    return Calibration(shares, tuple(texts), tuple(reversed(texts)), 1, 40)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (-1.0, 0.0),
        (0.099999, 0.0),
        (0.1, 0.0),  # not above the lowest: how many pairs score lower is not known
        (0.125, 31.25),  # a quarter of the way from 25 to 50
        (0.2, 50.0),
        (0.3, 62.5),
        (0.333333, 66.67),
        (0.4, 75.0),
        (0.8, 90.0),
        (0.800001, 90.0),  # at least
        (1.0, 90.0),
    ],
)
def test_texts_by_hand(score: float, expected: float) -> None:
    assert find_percentile(HAND, score, of_records=False) == expected


@pytest.mark.parametrize(
    ("score", "expected"), [(0.299999, 0.0), (0.3, 0.0), (0.300001, 50.0), (0.6, 62.5), (0.9, 75.0), (0.95, 90.0)]
)
def test_records_have_quantiles_of_their_own_and_equal_cosines_are_not_lower(score: float, expected: float) -> None:
    assert find_percentile(HAND, score, of_records=True) == expected


def test_nothing_measured_nothing_said() -> None:
    assert find_percentile(None, 0.5, of_records=False) is None


def test_the_last_bits_of_a_cosine_decide_nothing() -> None:
    same = of([1.0, 1.0, 1.0])
    for score in (0.9999999, 1.0, 1.0000001):
        assert find_percentile(same, score, of_records=False) == 0.0
    assert (
        find_percentile(HAND, 0.20000003, of_records=False)
        == find_percentile(HAND, 0.19999997, of_records=False)
        == 50.0
    )


@given(LISTS, SCORES, SCORES)
def test_a_higher_score_never_has_a_lower_share(texts: list[float], one: float, other: float) -> None:
    low, high = (find_percentile(of(texts), score, of_records=False) for score in sorted((one, other)))
    assert low is not None and high is not None and 0.0 <= low <= high <= 99.99


@given(LISTS, st.data())
def test_a_share_lies_between_those_of_the_quantiles_around_it(texts: list[float], data: st.DataObject) -> None:
    """The oracle counts quantiles; scores lie on and around them."""
    near = st.sampled_from(texts).flatmap(lambda q: st.sampled_from([q, q - 1e-6, q + 1e-6]))
    score = round(data.draw(st.one_of(SCORES, near)), 6)
    measured = of(texts)
    lower = [share for share, q in zip(measured.shares, texts, strict=True) if q < score]
    upper = [share for share, q in zip(measured.shares, texts, strict=True) if q >= score]
    found = find_percentile(measured, score, of_records=False)
    assert found is not None
    if not lower:
        assert found == 0.0
    else:
        assert round(100 * lower[-1], 2) <= found <= round(100 * (upper[0] if upper else lower[-1]), 2)
