from pathlib import Path

import numpy as np
import pytest

from engine.errors import UsageError
from engine.relevance.scoring.comparison import Comparison, _round_up, compare
from engine.relevance.scoring.measures import parse
from engine.relevance.scoring.significance import adjust_p_values, compare_paired, estimate_mean

NDCG = parse("nDCG@10")
BASE = {"q1": 0.2, "q2": 0.4, "q3": 0.6}


def many(n: int, gain: float, spread: float) -> Comparison:
    random = np.random.default_rng(0)
    base = {str(i): 0.5 for i in range(n)}
    return compare(NDCG, [("a", base), ("b", {q: v + gain + spread * float(random.normal()) for q, v in base.items()})])


def test_by_hand() -> None:
    better, mixed = {"q3": 0.7, "q1": 0.3, "q2": 0.5}, {"q1": 0.2, "q2": 0.3, "q3": 0.8}
    found = compare(NDCG, [("base", BASE), ("better", better), ("mixed", mixed)])
    assert [row.name for row in found.rows] == ["base", "better", "mixed"] and found.query_ids == ("q1", "q2", "q3")
    first, second, third = found.rows
    assert first.gain is None and second.gain and third.gain
    assert first.interval == estimate_mean(np.array([0.2, 0.4, 0.6]))
    assert second.gain.values == pytest.approx([0.1, 0.1, 0.1])  # the same queries, whatever their order
    assert second.gain.difference.wins == 3 and second.gain.difference.mean == pytest.approx(0.1)
    assert third.gain.difference == compare_paired(np.array([0.2, 0.4, 0.6]), np.array([0.2, 0.3, 0.8]))
    assert (third.gain.difference.wins, third.gain.difference.ties, third.gain.difference.losses) == (1, 1, 1)
    assert (second.gain.p, third.gain.p) == adjust_p_values([second.gain.difference.p, third.gain.difference.p])


def test_too_few_queries_are_told_and_enough_are_not() -> None:
    assert many(3000, 0.0, 0.2).notes == ()
    (note,) = many(100, 0.0, 0.2).notes
    assert note == "100 queries can detect differences of about 0.038, but not of 0.01; that takes about 1,500 queries"


def test_what_can_not_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="1 to compare, expected two or more"):
        compare(NDCG, [("a", BASE)])
    with pytest.raises(UsageError, match="b is measured on other queries than a"):
        compare(NDCG, [("a", BASE), ("b", {"q1": 1.0})])


@pytest.mark.parametrize(("n", "rounded"), [(1, 1), (10, 10), (99, 99), (101, 110), (1299, 1300), (1301, 1400)])
def test_numbers_are_rounded_up(n: int, rounded: int) -> None:
    assert _round_up(n) == rounded


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    from engine.relevance.scoring.plot import draw_png

    found = many(40, 0.02, 0.1)
    three = compare(NDCG, [("base", BASE), ("$x$ " + "long/" * 40, BASE), ("one", {q: v / 2 for q, v in BASE.items()})])
    picture = draw_png(found)
    assert picture.startswith(b"\x89PNG") and picture == draw_png(found)
    assert size(picture)[0] == size(draw_png(three))[0] and size(draw_png(three))[1] == 2 * size(picture)[1]
    assert draw_png(compare(NDCG, [("a", {"q": 0.0}), ("b", {"q": 0.0})])).startswith(b"\x89PNG")


def size(picture: bytes) -> tuple[int, int]:
    return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])
