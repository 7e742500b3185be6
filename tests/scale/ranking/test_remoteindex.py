"""A generation ranked segment by segment, against the same segments ranked together."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from engine.errors import CorruptError, UsageError
from engine.index.generations.folder import Generation
from engine.index.search.parts import Part, SegmentedIndex
from engine.scale.ranking.cluster import Cluster
from engine.scale.ranking.holder import OPERATIONS, GenerationKey
from engine.scale.ranking.remoteindex import RemoteIndex
from tests.index.search.test_flat import unit
from tests.index.search.test_parts import write_part


class Here:
    """A cluster whose nodes are in this process."""

    def __init__(self, parts: Sequence[Part], dim: int) -> None:
        self.held = {str(number): SegmentedIndex([part], dim) for number, part in enumerate(parts)}

    def keep_copies(self, owner: object, key: GenerationKey, names: Sequence[str]) -> None:
        """Here, nothing is lost."""

    def ask(self, key: GenerationKey, names: Sequence[str], operation: str, *args: Any) -> list[Any]:
        return [OPERATIONS[operation](self.held[name], *args) for name in names]


def remote(parts: Sequence[Part], place: Path, dim: int) -> RemoteIndex:
    (place / "manifest.json").write_text("{}")
    entries = [SimpleNamespace(name=str(number)) for number in range(len(parts))]
    manifest = SimpleNamespace(generation=1, segments=entries, encoder=SimpleNamespace(dim=dim), ann=None)
    generation = cast(Generation, SimpleNamespace(path=place, manifest=manifest))
    return RemoteIndex(generation, cast(Cluster, Here(parts, dim)))


@pytest.fixture(params=["records", "passages"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SegmentedIndex, RemoteIndex]:
    """Four parts of few different vectors, so that ranks are tied across their borders, with dead records in each."""
    rng, pool, parts = np.random.default_rng(3), unit(5, 8, 3), []
    for number in range(4):
        ids = np.sort(rng.permutation(np.arange(200))[:50]) * 4 + number
        rows = np.sort(rng.choice(ids, 90)) if request.param == "passages" else ids
        parts.append(
            write_part(tmp_path / f"{number}.faiss", rows, pool[rng.integers(0, 5, len(rows))], np.unique(rows)[::7])
        )
    return SegmentedIndex(parts, 8), remote(parts, tmp_path, 8)


def test_every_question_has_the_same_answer(sides: tuple[SegmentedIndex, RemoteIndex]) -> None:
    here, there = sides
    queries, ids = unit(3, 8, 9), here.doc_ids
    assert (there.size, there.n_rows, there.is_exact) == (here.size, here.n_rows, True)
    np.testing.assert_array_equal(there.doc_ids, ids)
    for top_k in (1, 7, 60, here.size, here.size + 5):
        assert there.search(queries, top_k) == here.search(queries, top_k)
        assert there.search_exhaustively(queries, top_k) == here.search_exhaustively(queries, top_k)
        for among in (ids[:0], ids[:1], ids[::3], ids, np.arange(900)):
            assert there.search_among(queries, among, top_k) == here.search_among(queries, among, top_k)
    some = ids[::-5]
    asked = np.concatenate([some, [10_000, 0]])
    np.testing.assert_array_equal(there.has_ids(asked), here.has_ids(asked))
    for query in queries:
        np.testing.assert_array_equal(there.score_ids(query, some), here.score_ids(query, some))
        for among in (None, ids[:0], ids[::2], np.arange(900)):
            np.testing.assert_array_equal(there.find_places(query, asked, among), here.find_places(query, asked, among))
    np.testing.assert_array_equal(there.get_points(some), here.get_points(some))
    for one, other in zip(there.read_vectors(some), here.read_vectors(some), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_id_that_no_part_has_and_a_wrong_query_are_refused(sides: tuple[SegmentedIndex, RemoteIndex]) -> None:
    lost = np.array([sides[0].doc_ids[0], 10_000])
    for ask in (there := sides[1]).get_points, there.read_vectors, lambda ids: there.score_ids(unit(1, 8, 1)[0], ids):
        with pytest.raises(CorruptError, match="has no vector for id 10000"):
            ask(lost)
    with pytest.raises(UsageError, match="expected finite"):
        there.search(np.full((1, 8), np.nan, np.float32), 1)


def test_no_segments_are_no_records(tmp_path: Path) -> None:
    none = remote([], tmp_path, 8)
    assert (none.size, none.search(unit(2, 8, 1), 3), len(none.doc_ids)) == (0, [[], []], 0)
    assert none.find_places(unit(1, 8, 1)[0], np.array([4])).tolist() == [0]
