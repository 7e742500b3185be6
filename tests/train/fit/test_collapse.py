"""A collapsed encoder is told from a sound one."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.records.encoder import Vectors
from engine.train.fit.collapse import ScoreSpread, find_collapse, measure_spread


def around(direction: float, n_texts: int = 50) -> ScoreSpread:
    """The spread of random vectors with so much of one direction added; what says nothing is that direction."""
    chance = np.random.default_rng(1)

    def encode(texts: Sequence[str]) -> Vectors:
        found = chance.normal(size=(len(texts), 64)) / 8
        found[:, 0] += direction
        found[-3:] = 0
        found[-3:, 0] = 1
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    return measure_spread(encode, [f"text {n}" for n in range(n_texts)])


def test_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [1, 0], [0, 1], [-1, 0]], np.float32)
    found = measure_spread(lambda texts: vectors, ["a", "b", "c"])
    assert found.mean == pytest.approx((0 + 0.6 + 0.8) / 3) and found.n_texts == 3 and found.is_sound
    assert dict(found.empty) == pytest.approx({"": 1.6 / 3, ".": 1.8 / 3, "..": -1.6 / 3})


def test_a_sound_encoder_passes() -> None:
    assert find_collapse(around(0.0), around(0.0)) == []
    assert around(0.0).mean == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("direction", [1.3, 2.0, 7.0])  # mean cosines of .61, .8, .98, as those of collapsed encoders
def test_one_that_pulls_all_texts_together_does_not(direction: float) -> None:
    problems = find_collapse(around(direction), around(0.0))
    assert any("unrelated texts" in one for one in problems)
    assert sum("says" in one or "the text '" in one for one in problems) == 3


def test_the_limit_is_relative_to_the_base() -> None:
    high = around(0.7)
    assert high.mean > 0.3
    assert not any("unrelated" in one for one in find_collapse(high, high))


@pytest.mark.parametrize("bad", [np.nan, 0.0, 2.0])
def test_vectors_that_are_none_are_told(bad: float) -> None:
    def encode(texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), 4), np.float32)
        found[np.arange(len(texts)), np.arange(len(texts)) % 4] = 1
        found[0] *= bad
        return found

    assert find_collapse(measure_spread(encode, list("abcdef")), around(0.0))[0].startswith(
        "some vectors are not finite"
    )
