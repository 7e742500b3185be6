"""The choice of segments to merge, by hand."""

import pytest

from engine.options import IndexSettings
from engine.reindex.generation import merges
from engine.reindex.generation.merges import _FANOUT, Merges, SegmentSize, choose_merges


def of(*sizes: int) -> list[SegmentSize]:
    return [SegmentSize(n, 0) for n in sizes]


def test_a_small_index_becomes_one_segment() -> None:
    assert choose_merges(of(40, 8), 1, 50) == Merges((0, 1))  # 49 records
    assert choose_merges(of(41, 8), 1, 50) == Merges(())  # 50
    assert choose_merges([], 7, 50) == Merges(())


def test_a_large_change_writes_everything_as_one_segment() -> None:
    assert choose_merges(of(80), 20, 0) == Merges(())  # 20 of 100 records
    assert choose_merges(of(80), 21, 0) == Merges((0,))


def test_segments_with_many_dead_records_are_written_again() -> None:
    assert choose_merges([SegmentSize(80, 20), SegmentSize(79, 21)], 1, 0) == Merges((1,))
    assert choose_merges([SegmentSize(80, 20), SegmentSize(0, 5)], 1, 0) == Merges((1,))  # none is alive


def test_eight_segments_of_one_size_become_one() -> None:
    """With the new one they are eight; the large one stays."""
    assert _FANOUT == 8
    assert choose_merges(of(1000, *[1] * 6), 1, 0) == Merges(())
    assert choose_merges(of(1000, *[1] * 7), 1, 0) == Merges(tuple(range(1, 8)))


def test_the_merged_segment_may_complete_the_next_size() -> None:
    """Eight of 1 are one of 8, the eighth of its size; these are one of 64."""
    assert choose_merges(of(100_000, *[8] * 7, *[1] * 7), 1, 0) == Merges(tuple(range(1, 15)))
    assert choose_merges(of(100_000, *[8] * 6, *[1] * 7), 1, 0) == Merges(tuple(range(7, 14)))


def test_nothing_new_merges_nothing_by_size() -> None:
    assert choose_merges(of(1000, *[1] * 9), 0, 0) == Merges(())


def test_what_exceeds_the_budget_is_postponed_smallest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merges, "_BUDGET", 100)
    sizes = [SegmentSize(70, 30), SegmentSize(60, 30), SegmentSize(40, 30), SegmentSize(900, 0)]
    assert choose_merges(sizes, 1, 0) == Merges((1, 2), (0,))
    monkeypatch.setattr(merges, "_BUDGET", 99)
    assert choose_merges(sizes, 1, 0) == Merges((2,), (0, 1))


def test_on_a_cluster_a_small_index_is_not_written_anew() -> None:
    assert IndexSettings(backend="ray").most_in_one_segment == 0
    assert IndexSettings(backend="ray", one_segment_below=7).most_in_one_segment == 7


@pytest.mark.parametrize(
    ("given", "kept", "expected"), [(None, 3, 50_000), (None, 8, 50_000), (None, 9, 0), (7, 30, 7), (0, 3, 0)]
)
def test_where_many_generations_are_kept_a_small_index_is_not_written_anew(
    given: int | None, kept: int, expected: int
) -> None:
    assert IndexSettings(one_segment_below=given, keep_generations=kept).most_in_one_segment == expected
