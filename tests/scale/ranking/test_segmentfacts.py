"""What differs of a segment is found: the encoder, a record, an id, and one value of one vector."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.index.search.parts import SegmentedIndex
from engine.records.encoder import Vectors
from engine.records.generation import DocIds
from engine.scale.ranking.segmentfacts import SegmentFacts, describe_segment, find_difference
from tests.index.search.test_flat import unit
from tests.index.search.test_parts import write_part

IDS, VECTORS, DEAD = np.arange(10, 50), unit(40, 8, 1), np.array([12])


def describe(folder: Path, ids: DocIds, vectors: Vectors, *, deep: bool) -> SegmentFacts:
    path = folder / f"{len(list(folder.iterdir()))}.faiss"
    return describe_segment(SegmentedIndex([write_part(path, ids, vectors, DEAD)], 8), "abc", deep=deep)


def test_a_changed_a_missing_and_a_foreign_row_are_found(tmp_path: Path) -> None:
    changed = VECTORS.copy()
    changed[17, 3] += np.float32(1e-6)
    expected = describe(tmp_path, IDS, VECTORS, deep=True)
    assert expected.n_records == expected.n_rows == 39 and expected.vectors[0].first_id == 10
    assert find_difference(expected, describe(tmp_path, IDS, VECTORS, deep=True)) is None
    for ids, vectors, problem in (
        (IDS, changed, "it has other vectors of id 10 to 49"),
        (IDS[:-1], VECTORS[:-1], "it has 38 records with 38 vectors, expected 39 with 39"),
        (np.append(IDS, 70), unit(41, 8, 1), "it has 40 records with 40 vectors, expected 39 with 39"),
        (np.append(IDS[:-1], 70), VECTORS, "it has other ids"),
    ):
        assert find_difference(expected, describe(tmp_path, ids, vectors, deep=True)) == problem
    assert find_difference(expected, replace(expected, fingerprint="xyz")) == "it is of the encoder xyz, expected abc"


def test_a_sample_finds_most_of_it_without_reading_all(tmp_path: Path) -> None:
    expected, changed = describe(tmp_path, IDS, VECTORS, deep=False), VECTORS.copy()
    assert len(expected.vectors) == 16
    changed[0, 0] += np.float32(1e-6)  # the first and the last record are always in the sample
    assert find_difference(expected, describe(tmp_path, IDS, changed, deep=False)) == "it has other vectors of id 10"
    assert describe(tmp_path, DEAD, VECTORS[:1], deep=False).vectors == ()
