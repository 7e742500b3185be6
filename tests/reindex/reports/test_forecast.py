"""The forecast of the next run, against what that run does."""

from collections.abc import Callable

import pytest

from engine.index.generations.folder import IndexFolder
from engine.records.encoder import EncoderIdentity
from engine.reindex.generation.order import Report
from engine.reindex.reports.forecast import NextRun, Work, estimate_run

Add = Callable[..., Report]
IDENTITY = EncoderIdentity("stub", 8, 8, "mean", True, "r", "fp32", "w", "t", "c")


def test_the_space_of_a_run_by_hand() -> None:
    # 10 vectors, and 2 in shard and spool, of 8 * 4 + 8 bytes; codes and map of 8 / 8 + 32 + 16; 3 * 1200; 1000; 1 MiB
    assert Work(10, 2, 3, 1000).estimate_space(IDENTITY) == 14 * 40 + 10 * 49 + 3600 + 1000 + (1 << 20)


def test_a_small_index_is_written_again(toy: IndexFolder) -> None:
    current = toy.open_current()
    n_bytes = sum(file.n_bytes for file in current.segments[0].receipt.files)
    found = estimate_run(current, 50_000)
    assert (found.n_changed, found.n_merged, found.n_records, found.n_bytes) == (1, 1, 40, n_bytes)
    assert found.n_space > n_bytes / 2


@pytest.mark.parametrize("n", [1, 3, 9])
def test_the_next_run_does_what_was_estimate_next(toy: IndexFolder, add: Add, n: int) -> None:
    """Runs of n records each: some merge, some don't."""
    seen = set()
    for number in range(10):
        current = toy.open_current()
        found = estimate_run(current, 0)
        add(*({"id": f"{number}-{i}", "title": f"Gout {number} {i}"} for i in range(n)), one_segment_below=0)
        now = {segment.files.path for segment in toy.open_current().segments}
        if number:  # the first forecast is for one change
            gone = [segment for segment in current.segments if segment.files.path not in now]
            assert (found.n_changed, found.n_merged) == (n, len(gone))
            assert found.n_records == sum(segment.n_live for segment in gone)
            assert isinstance(found, NextRun) and found.n_postponed == 0
        seen.add(found.n_merged > 0)
    assert seen == {False, True}
