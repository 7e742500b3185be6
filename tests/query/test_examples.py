import numpy as np
import pytest

from engine.errors import UsageError
from engine.query.question.plan import _mix_examples

NONE = np.empty((0, 2), np.float32)
EAST, NORTH, WEST = (np.array(v, np.float32) for v in ([1, 0], [0, 1], [-1, 0]))


def test_one_example_is_its_own_vector() -> None:
    assert _mix_examples(None, EAST[None], NONE).tolist() == [1, 0]


def test_by_hand() -> None:
    # 1 * (1, 0) + 0.75 * mean of (0, 1), (0, 1) - 0.15 * (-1, 0) = (1.15, 0.75), of length 1.37295…
    found = _mix_examples(EAST, np.array([NORTH, NORTH]), WEST[None])
    assert found.dtype == np.float32
    assert found == pytest.approx([1.15 / 1.372953, 0.75 / 1.372953], abs=1e-6)


def test_several_examples_are_their_mean() -> None:
    assert _mix_examples(None, np.array([EAST, NORTH]), NONE) == pytest.approx([0.5**0.5, 0.5**0.5])


def test_what_cancels_out_is_refused() -> None:
    with pytest.raises(UsageError, match="the examples cancel each other out"):
        _mix_examples(None, np.array([EAST, WEST]), NONE)
