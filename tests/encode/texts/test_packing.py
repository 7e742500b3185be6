"""Packs against a version that anybody can follow."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.encode.texts.packing import iterate_packs
from engine.encode.texts.tokens import Tokens

LENGTHS = st.lists(st.integers(0, 40) | st.integers(200, 300), max_size=60)


def tokens_of(lengths: list[int]) -> Tokens:
    """Texts of these lengths; every id says which one it is."""
    offsets = np.cumsum([0, *lengths])
    return Tokens(np.arange(offsets[-1], dtype=np.int32), offsets, np.array(lengths, dtype=np.int64))


def pack_naively(lengths: list[int], budget: int) -> list[list[int]]:
    """One text after the other, the longest first, a new pack when the next text does not fit."""
    made: list[list[int]] = []
    for text in sorted((i for i, length in enumerate(lengths) if length), key=lambda i: -lengths[i]):
        if made and sum(lengths[i] for i in made[-1]) + lengths[text] <= budget:
            made[-1].append(text)
        else:
            made.append([text])
    return made


@given(LENGTHS, st.integers(1, 3000))
def test_packs_are_those_of_the_naive_version(lengths: list[int], budget: int) -> None:
    packs = [list(map(int, pack.positions)) for pack in iterate_packs(tokens_of(lengths), budget)]
    assert packs == pack_naively(lengths, budget)


@given(LENGTHS, st.integers(1, 3000))
def test_every_text_is_in_one_pack_whole(lengths: list[int], budget: int) -> None:
    tokens = tokens_of(lengths)
    seen: list[int] = []
    for pack in iterate_packs(tokens, budget):
        assert len(pack.positions) == len(pack.cu_seqlens) - 1
        assert len(pack.positions) == 1 or len(pack.ids) <= budget
        assert pack.ids.dtype == pack.position_ids.dtype == pack.cu_seqlens.dtype == np.int32
        assert pack.longest == max(lengths[i] for i in pack.positions)
        for i, text in enumerate(pack.positions):
            part = slice(pack.cu_seqlens[i], pack.cu_seqlens[i + 1])
            assert np.array_equal(pack.ids[part], tokens.get_row(text))
            assert np.array_equal(pack.position_ids[part], np.arange(lengths[text]))
        seen += map(int, pack.positions)
    assert sorted(seen) == [i for i, length in enumerate(lengths) if length > 0]


def test_a_text_longer_than_the_budget_has_its_own_pack() -> None:
    assert [list(pack.positions) for pack in iterate_packs(tokens_of([3, 500, 2]), 128)] == [[1], [0, 2]]


def test_the_budget_may_be_used_up_but_not_exceeded() -> None:
    tokens = tokens_of([100, 100, 100])
    assert [len(pack.positions) for pack in iterate_packs(tokens, 300)] == [3]
    assert [len(pack.positions) for pack in iterate_packs(tokens, 299)] == [2, 1]


def test_texts_of_one_length_stay_in_order() -> None:
    (pack,) = iterate_packs(tokens_of([4, 9, 4, 9]), 1000)
    assert list(pack.positions) == [1, 3, 0, 2]
