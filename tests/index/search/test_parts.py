"""Several segments with dead records against one file of those alive, and against plain Python."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CorruptError, UsageError
from engine.index.search import flat, ivf, parts
from engine.index.search.factory import Factory
from engine.index.search.flat import _MANY, FlatIndex
from engine.index.search.layout import write_file
from engine.index.search.parts import Part, SegmentedIndex
from engine.records.encoder import Vectors
from engine.records.generation import DocIds
from tests.conftest import examples
from tests.index.search.test_flat import best_passages, unit
from tests.index.search.test_ivf import ALL, DIM, built, clustered

NONE = np.empty(0, np.int64)


def write_part(path: Path, ids: DocIds, vectors: Vectors, dead: DocIds = NONE, size: int | None = None) -> Part:
    write_file(path, ids, vectors.shape[1], [vectors])
    return Part(FlatIndex(path, vectors.shape[1], size), dead)


class History:
    """Random nights: each writes records, some of them anew, and deletes some; few different vectors, so many tie."""

    def __init__(self, folder: Path, seed: int, n_parts: int, *, passages: bool) -> None:
        rng = np.random.default_rng(seed)
        pool, self.parts = unit(12, 8, seed), []
        held: dict[int, Vectors] = {}
        for number in range(n_parts):
            ids = np.sort(rng.choice(120, rng.integers(0, 60), replace=False) + 1)
            gone = set(rng.choice(120, rng.integers(0, 30), replace=False) + 1) | set(ids.tolist())
            self.parts = [replace(p, dead=np.union1d(p.dead, self.held_in(p, gone))) for p in self.parts]
            held = {i: rows for i, rows in held.items() if i not in gone}
            counts = rng.integers(1, 5, len(ids)) if passages else np.ones(len(ids), int)
            new = {i: pool[rng.integers(0, 12, n)] for i, n in zip(ids.tolist(), counts, strict=True)}
            held |= new
            vectors = np.concatenate([np.empty((0, 8), np.float32), *new.values()])
            self.parts.append(write_part(folder / f"{number}", np.repeat(ids, counts), vectors, size=len(ids)))
        self.held = dict(sorted(held.items()))
        self.ids = np.repeat(list(self.held), [len(rows) for rows in self.held.values()]).astype(np.int64)
        self.vectors = np.concatenate([np.empty((0, 8), np.float32), *self.held.values()])
        self.single = write_part(folder / "single", self.ids, self.vectors).index
        self.index = SegmentedIndex(self.parts, 8)

    @staticmethod
    def held_in(part: Part, gone: set[int]) -> DocIds:
        return np.array(sorted(gone & set(part.index.doc_ids.tolist())), np.int64)


@pytest.fixture(params=[0, 40, 4096], ids=["each by itself", "small ones together", "all together"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(parts, "_SMALL", request.param)
    monkeypatch.setattr(parts, "_CHUNK", 7)
    monkeypatch.setattr(parts, "_BLOCK", 7)
    monkeypatch.setattr(parts, "_DENSE", request.param)  # 0: each id is looked up
    monkeypatch.setattr(flat, "_COPIED", request.param)  # larger files are searched where they lie
    yield


seeds, n_parts, depth = st.integers(0, 10_000), st.integers(0, 6), st.integers(1, 130)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("n_queries", [1, _MANY], ids=["one query", "many"])
@examples(0.5)
@given(seed=seeds, n_parts=n_parts, top_k=depth, passages=st.booleans())
def test_a_search_is_that_of_one_file(seed: int, n_parts: int, top_k: int, passages: bool, n_queries: int) -> None:
    with TemporaryDirectory() as folder:
        history = History(Path(folder), seed, n_parts, passages=passages)
        index, single = history.index, history.single
        queries = np.vstack([unit(n_queries, 8, seed + 1), history.vectors[:1]])[-n_queries:]
        assert (index.size, index.n_rows) == (single.size, single.n_rows) == (len(history.held), len(history.ids))
        found = index.search(queries, top_k)
        assert found == single.search(queries, top_k) == index.search_exhaustively(queries, top_k)
        assert index.search(queries[:1], 3) == [found[0][:3] if top_k > 2 else index.search(queries, 3)[0]]
        wanted = best_passages(history.ids, history.vectors, queries[-1], set(history.held))[:top_k]
        assert [i for i, _ in found[-1]] == [i for i, _ in wanted]
        some = np.random.default_rng(seed).permutation(150)[: top_k + 20]  # many of them nowhere, or dead
        assert index.search_among(queries, some, top_k) == single.search_among(queries, some, top_k)


@pytest.mark.usefixtures("small")
@examples(0.5)
@given(seed=seeds, n_parts=n_parts, passages=st.booleans())
def test_what_is_asked_by_id_is_that_of_one_file(seed: int, n_parts: int, passages: bool) -> None:
    with TemporaryDirectory() as folder:
        history = History(Path(folder), seed, n_parts, passages=passages)
        index, single, query = history.index, history.single, unit(1, 8, seed + 1)[0]
        every, held = np.random.default_rng(seed).permutation(150), np.array(list(history.held), np.int64)
        assert index.doc_ids.tolist() == held.tolist()
        assert index.has_ids(every).tolist() == [i in history.held for i in every.tolist()]
        some = every[index.has_ids(every)]
        assert np.array_equal(index.score_ids(query, some), single.score_ids(query, some))
        assert np.array_equal(index.get_points(some), single.get_points(some))
        vectors, counts = index.read_vectors(some)
        rows, wanted = single.find_all_rows(some)
        assert np.array_equal(vectors, single.vectors[rows]) and np.array_equal(counts, wanted)
        assert np.array_equal(index.find_places(query, every), single.find_places(query, every))
        assert np.array_equal(index.find_places(query, every, every[:70]), single.find_places(query, every, every[:70]))
        ids, vectors = index.read_all_vectors()
        order = np.argsort(ids, kind="stable")
        assert np.array_equal(ids[order], history.ids) and np.array_equal(vectors[order], history.vectors)
        chunks = [set(ids.tolist()) for ids, _ in index.scan_vectors()]
        assert sum(map(len, chunks)) == len(history.held)  # no record is split


def test_two_segments_by_hand(tmp_path: Path) -> None:
    old = write_part(
        tmp_path / "a", np.array([1, 2, 3]), np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32), np.array([2])
    )
    new = write_part(tmp_path / "b", np.array([2, 4]), np.array([[1, 0], [0.8, 0.6]], np.float32))
    index, east = SegmentedIndex([old, new], 2), np.array([[1, 0]], np.float32)
    assert index.search(east, 9) == [[(1, 1.0), (2, 1.0), (4, pytest.approx(0.8)), (3, pytest.approx(0.6))]]
    assert index.search_among(east, np.array([3, 2, 7]), 9)[0] == [(2, 1.0), (3, pytest.approx(0.6))]
    assert index.find_places(east[0], np.array([3, 2, 7])).tolist() == [4, 2, 0]
    assert (index.size, index.path) == (4, tmp_path)
    assert SegmentedIndex([old], 2).search(east, 9)[0] == [(1, 1.0), (3, pytest.approx(0.6))]


def test_an_index_without_records_answers_with_none(tmp_path: Path) -> None:
    ids = np.array([1, 2])
    dead = write_part(tmp_path / "dead", ids, unit(2, 8, 1), ids)
    empty = write_part(tmp_path / "empty", NONE, unit(0, 8, 1))
    for given_parts in ([], [empty], [dead], [dead, empty]):
        index, queries = SegmentedIndex(given_parts, 8), unit(2, 8, 2)
        assert index.search(queries, 3) == index.search_among(queries, ids, 3) == [[], []]
        assert index.search_exhaustively(queries, 3) == [[], []]
        assert index.find_places(queries[0], ids).tolist() == [0, 0]
        assert (index.size, index.n_rows, len(index.doc_ids), index.has_ids(ids).any()) == (0, 0, 0, False)
        assert index.get_points(NONE).shape == index.read_all_vectors()[1].shape == (0, 8)
        with pytest.raises(CorruptError, match=r"has no vector for id 2\. Run: engine verify --deep"):
            index.score_ids(queries[0], np.array([2]))
        with pytest.raises(UsageError, match=r"shape \(2, 5\), expected finite \(n, 8\)"):
            index.search(unit(2, 5, 1), 3)


def test_an_id_that_is_dead_where_it_never_was_is_refused(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", np.array([1, 2]), unit(2, 8, 1), np.array([2, 5]))
    with pytest.raises(CorruptError, match="a does not hold id 5, which the generation says is dead in it"):
        SegmentedIndex([part], 8)


def test_small_segments_are_searched_together_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_GATHERED", 25)
    five = [write_part(tmp_path / f"{i}", 100 * i + np.arange(10), unit(10, 8, i)) for i in range(5)]
    assert [group.index.n_rows for group in SegmentedIndex(five, 8).groups] == [10, 10, 10, 20]
    assert [group.index for group in SegmentedIndex(five[:1], 8).groups] == [five[0].index]  # nothing is copied


@pytest.fixture(params=[Factory(8), Factory(8, 4)], ids=str)
def mixed(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[SegmentedIndex, FlatIndex]:
    """3,000 records with codes, a third of them dead, most written anew beside them; and one file of those alive."""
    ids, vectors = 5 + 3 * np.arange(3000), clustered(3000, 1)
    dead, new = ids[::3], clustered(900, 8)
    base = Part(built(tmp_path / "base", ids, vectors, request.param), dead)
    beside = write_part(tmp_path / "beside", dead[:900], new)
    alive = ~np.isin(ids, dead)
    both = np.concatenate([ids[alive], dead[:900]])
    order = np.argsort(both)
    single = write_part(tmp_path / "single", both[order], np.concatenate([vectors[alive], new])[order]).index
    return SegmentedIndex([base, beside], DIM), single


def test_codes_that_look_everywhere_rank_as_one_file(mixed: tuple[SegmentedIndex, FlatIndex]) -> None:
    index, single = mixed
    assert not index.is_exact and index.size == single.size == 2900
    for top_k in (1, 10, 1000, 1001, 3000):
        assert index.search(clustered(20, 2), top_k) == single.search(clustered(20, 2), top_k)
        assert index.search_exhaustively(clustered(2, 2), top_k) == single.search(clustered(2, 2), top_k)


@pytest.mark.parametrize("top_k", [1, 10, 500, 1001])
def test_a_shallow_search_of_codes_is_filled_and_finds_nothing_dead(
    mixed: tuple[SegmentedIndex, FlatIndex], top_k: int
) -> None:
    index, single = mixed
    base = index.parts[0].index
    assert isinstance(base, ivf.IvfIndex)
    base.settings = replace(ALL, n_probe=1, n_rerank=10)
    for query, hits in zip(clustered(10, 4), index.search(clustered(10, 4), top_k), strict=True):
        assert len(hits) == len(dict(hits)) == top_k
        ids = np.array([i for i, _ in hits])
        assert np.array_equal(single.score_ids(query, ids), np.array([s for _, s in hits], np.float32))


@pytest.mark.parametrize("sparse", [0, 1_000_000], ids=["by codes", "exhaustively"])
def test_a_filter_is_exact_beside_dead_records(
    mixed: tuple[SegmentedIndex, FlatIndex], monkeypatch: pytest.MonkeyPatch, sparse: int
) -> None:
    monkeypatch.setattr(ivf, "_SPARSE", sparse)
    (index, single), rng = mixed, np.random.default_rng(6)
    for n in (1, 10, 500, 3000):
        among = rng.choice(5 + 3 * np.arange(3000), n, replace=False)
        assert index.search_among(clustered(5, 6), among, 10) == single.search_among(clustered(5, 6), among, 10)


@pytest.mark.parametrize("sparse", [0, 1_000_000], ids=["by codes", "exhaustively"])
@pytest.mark.parametrize("n", [10, 2500])
def test_a_shallow_search_is_filled_and_its_best_are_as_sure(
    mixed: tuple[SegmentedIndex, FlatIndex], monkeypatch: pytest.MonkeyPatch, sparse: int, n: int
) -> None:
    monkeypatch.setattr(ivf, "_SPARSE", sparse)
    (index, single), among = mixed, np.random.default_rng(6).choice(5 + 3 * np.arange(3000), n, replace=False)
    queries = clustered(5, 6)
    for found, wanted in (
        (index.search(queries, 900, shallow=True), single.search(queries, 900)),
        (index.search_among(queries, among, 900, shallow=True), single.search_among(queries, among, 900)),
    ):
        for hits, true in zip(found, wanted, strict=True):
            assert len(dict(hits)) == len(true) and hits[:10] == true[:10]


def test_a_small_part_beside_a_broad_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_DENSE", 2)
    ids = np.array([3, 5, 8, 9])
    part = write_part(tmp_path / "a", ids, unit(4, 8, 1), np.array([5]))
    other = write_part(tmp_path / "b", 100 + np.arange(5000), unit(5000, 8, 2))
    among = np.concatenate([np.array([1, 3, 5, 9]), 100 + np.arange(50)])
    found = SegmentedIndex([part, other], 8).search_among(unit(1, 8, 3), among, 60)[0]
    assert sorted(doc_id for doc_id, _ in found) == [3, 9, *range(100, 150)]


def test_records_that_rank_better_are_counted_in_each_part(tmp_path: Path) -> None:
    first, second = np.array([[1, 0], [0, 1], [1, 0]], np.float32), np.array([[1, 0], [0.6, 0.8]], np.float32)
    parts = [
        SegmentedIndex([write_part(tmp_path / "a", np.array([1, 4, 6]), first)], 2),
        SegmentedIndex([write_part(tmp_path / "b", np.array([2, 5]), second)], 2),
    ]
    query, ids = np.array([1, 0], np.float32), np.array([2, 5, 4], np.int64)
    scores = np.array([1, 0.6, 0], np.float32)
    assert [part.count_better(query, ids, scores).tolist() for part in parts] == [[1, 2, 2], [0, 1, 2]]
    among = np.array([2, 4, 5, 6], np.int64)
    assert [part.count_better(query, ids, scores, among).tolist() for part in parts] == [[0, 1, 1], [0, 1, 2]]
