import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.index.files import lookup
from engine.index.files.lookup import check_order, find_positions
from engine.records.generation import DocIds


def unaligned(ids: list[int]) -> DocIds:
    """The ids as they lie in a mapped file."""
    found = np.frombuffer(b"xx" + np.array(ids, np.int64).tobytes(), np.int64, len(ids), 2)
    assert not len(ids) or not found.flags.aligned
    return found


def test_places_by_hand() -> None:
    ids, keys = unaligned([3, 5, 5, 9]), np.array([5, 1, 10, 9, 4])
    assert find_positions(ids, keys).tolist() == [1, 0, 4, 3, 1]
    assert find_positions(ids, keys, "right").tolist() == [3, 0, 4, 4, 1]
    assert find_positions(unaligned([]), keys).tolist() == [0] * 5


@pytest.mark.parametrize("dense", [0, 10_000], ids=["step by step", "block by block"])
@given(ids=st.lists(st.integers(0, 9), max_size=60), keys=st.lists(st.integers(-2, 12), max_size=30))
def test_places_are_those_of_numpy(dense: int, ids: list[int], keys: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_DENSE", dense)
        patch.setattr(lookup, "_BLOCK", 3)
        ids = sorted(ids)
        for side in ("left", "right"):
            found = find_positions(unaligned(ids), np.array(keys, np.int64), side)
            assert found.tolist() == np.searchsorted(ids, keys, side).tolist()
            once = sorted(set(ids))
            found = find_positions(unaligned(once), np.array(keys, np.int64), side, distinct=True)
            assert found.tolist() == np.searchsorted(once, keys, side).tolist()
        assert check_order(unaligned(ids)) == (True, len(set(ids)))


def test_another_order_is_noticed_at_the_border_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_BLOCK", 3)
    assert check_order(unaligned([1, 2, 4, 3, 5])) == (False, 0)
    assert check_order(unaligned([1, 2, 2, 2, 5])) == (True, 3)
