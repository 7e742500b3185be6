from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CorruptError, UsageError
from engine.index.search import exact
from engine.index.search.flat import _MANY, DeadRows, FlatIndex
from engine.index.search.layout import write_file
from engine.records.encoder import Vectors
from engine.records.generation import DocIds
from tests.conftest import examples


def index(path: Path, doc_ids: list[int], vectors: Vectors) -> FlatIndex:
    write_file(path, np.array(doc_ids, dtype=np.int64), vectors.shape[1], [vectors])
    return FlatIndex(path, vectors.shape[1])


def unit(rows: int, dim: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def oracle(doc_ids: DocIds, vectors: Vectors, query: Vectors, top_k: int) -> list[tuple[int, float]]:
    """Plain Python over float64: score descending, then id ascending."""
    scores = [float(np.float32(sum(map(float, row.astype(np.float64) * query)))) for row in vectors]
    pairs = sorted(zip(doc_ids.tolist(), scores, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return pairs[:top_k]


def test_three_vectors_by_hand(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    found = index(tmp_path / "v", [30, 10, 20], vectors).search(np.array([[1, 0], [0, 1]], np.float32), 2)
    assert [[doc_id for doc_id, _ in hits] for hits in found] == [[30, 20], [10, 20]]
    assert found[0] == [(30, 1.0), (20, pytest.approx(0.6))]


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5), st.integers(0, 10_000))
def test_search_equals_the_oracle_with_ties(n: int, top_k: int, copies: int, seed: int) -> None:
    import tempfile

    rng = np.random.default_rng(seed)
    vectors = np.vstack([unit(n, 16, seed), np.repeat(unit(1, 16, seed + 1), copies, axis=0)]).astype(np.float32)
    doc_ids = rng.permutation(10_000)[: len(vectors)].astype(np.int64)
    query = vectors[rng.integers(len(vectors))]
    with tempfile.TemporaryDirectory() as folder:
        found = index(Path(folder, "v"), doc_ids.tolist(), vectors).search(query[None, :], top_k)[0]
    wanted = oracle(doc_ids, vectors, query, top_k)
    assert [doc_id for doc_id, _ in found] == [doc_id for doc_id, _ in wanted]
    assert np.allclose([score for _, score in found], [score for _, score in wanted], atol=1e-6)


def test_ties_go_by_id_even_when_they_are_cut(tmp_path: Path) -> None:
    vectors = np.repeat(unit(1, 384, 1), 500, axis=0)
    doc_ids = np.random.default_rng(2).permutation(500).tolist()
    found = index(tmp_path / "v", doc_ids, vectors)
    for n in (1, 10, 17, 499, 500):
        assert [doc_id for doc_id, _ in found.search(vectors[:1], n)[0]] == list(range(n))


def test_one_query_and_many_give_the_same_answer(tmp_path: Path) -> None:
    vectors = unit(2000, 384, 3)
    found = index(tmp_path / "v", list(range(2000)), vectors)
    batch = found.search(vectors[:50], 10)
    assert batch == [found.search(vectors[i : i + 1], 10)[0] for i in range(50)]


def test_more_than_there_is_is_never_padded(tmp_path: Path) -> None:
    found = index(tmp_path / "v", [7, 9], unit(2, 4, 0))
    hits = found.search(unit(1, 4, 0), 100_000_000)[0]
    assert sorted(doc_id for doc_id, _ in hits) == [7, 9]
    empty = index(tmp_path / "e", [], np.empty((0, 4), np.float32))
    assert empty.search(unit(2, 4, 0), 5) == [[], []]
    assert list(empty.find_rows(np.array([1]))) == [-1]


def test_scores_stay_within_one(tmp_path: Path) -> None:
    vectors = unit(200, 384, 5)
    found = index(tmp_path / "v", list(range(200)), vectors)
    assert all(-1 <= score <= 1 for hits in found.search(vectors, 200) for _, score in hits)


@pytest.mark.parametrize(
    ("queries", "top_k", "message"),
    [
        (np.zeros((1, 5), np.float32), 1, r"shape \(1, 5\), expected finite \(n, 4\)"),
        (np.zeros(4, np.float32), 1, r"shape \(4,\)"),
        (np.full((1, 4), np.nan, np.float32), 1, "expected finite"),
        (np.zeros((1, 4), np.float32), 0, "top_k is 0, expected 1 or more"),
    ],
)
def test_senseless_queries_are_refused(tmp_path: Path, queries: Vectors, top_k: int, message: str) -> None:
    found = index(tmp_path / "v", [1, 2], unit(2, 4, 0))
    with pytest.raises(UsageError, match=message):
        found.search(queries, top_k)


def test_stored_vectors_come_back_byte_for_byte(tmp_path: Path) -> None:
    vectors = unit(50, 384, 9)
    found = index(tmp_path / "v", list(range(100, 150)), vectors)
    assert np.array_equal(found.vectors, vectors)
    assert np.array_equal(found.get_points(np.array([120, 101])), vectors[[20, 1]])
    assert found.find_rows(np.array([99, 120, 150])).tolist() == [-1, 20, -1]


def test_search_writes_to_neither_query_nor_file(tmp_path: Path) -> None:
    vectors = unit(50, 16, 4)
    found = index(tmp_path / "v", list(range(50)), vectors)
    query, before = vectors[:2].copy(), (tmp_path / "v").read_bytes()
    found.search(query, 3)
    assert np.array_equal(query, vectors[:2])
    assert (tmp_path / "v").read_bytes() == before


def test_other_files_and_dimensions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v"
    index(path, [1], unit(1, 8, 0))
    with pytest.raises(CorruptError, match="inner-product index of 16 dimensions"):
        FlatIndex(path, 16)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CorruptError, match="has 40 bytes, expected an IDMap2,Flat"):
        FlatIndex(path, 8)
    path.write_bytes(b"PNG and something")
    with pytest.raises(CorruptError, match="has 17 bytes, expected an IDMap2,Flat"):
        FlatIndex(path, 8)


@examples(0.5)
@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5), st.integers(0, 10_000))
def test_many_queries_at_once_equal_the_oracle(n: int, top_k: int, copies: int, seed: int) -> None:
    import tempfile

    vectors = np.vstack([unit(n, 16, seed), np.repeat(unit(1, 16, seed + 1), copies, axis=0)]).astype(np.float32)
    doc_ids = np.arange(1, len(vectors) + 1)
    queries = np.vstack([unit(_MANY, 16, seed + 2), vectors[-1:]])
    with tempfile.TemporaryDirectory() as folder:
        found = index(Path(folder, "v"), doc_ids.tolist(), vectors).search(queries, top_k)
    for query, hits in zip(queries, found, strict=True):
        wanted = oracle(doc_ids, vectors, query, top_k)
        assert [doc_id for doc_id, _ in hits] == [doc_id for doc_id, _ in wanted]
        assert np.allclose([score for _, score in hits], [score for _, score in wanted], atol=1e-6)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_best_rows_block_by_block(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(exact, "_CHUNK", 7)
    vectors, queries = unit(40, 8, 1), unit(5, 8, 2)
    scores, rows = exact.find_best_rows(vectors, queries, n)
    wanted = np.sort(queries @ vectors.T, axis=1)[:, ::-1][:, :n]
    assert np.allclose(scores, wanted, atol=1e-6)
    assert np.allclose(np.take_along_axis(queries @ vectors.T, rows, axis=1), scores, atol=1e-6)


def test_places_are_ranks_in_the_whole_ranking(tmp_path: Path) -> None:
    vectors = np.vstack([unit(50, 8, 3), unit(50, 8, 3)[:5]])  # the last five tie with the first five
    flat, query = index(tmp_path / "v", list(range(100, 155)), vectors), unit(1, 8, 4)[0]
    ranking = [doc_id for doc_id, _ in flat.search(query[None], 55)[0]]
    wanted = np.array([150, 100, 120, 999], np.int64)
    assert flat.find_places(query, wanted).tolist() == [*(ranking.index(i) + 1 for i in (150, 100, 120)), 0]
    among = np.array([100, 120, 130, 150], np.int64)
    order = [doc_id for doc_id, _ in flat.search_among(query[None], among, 4)[0]]
    assert flat.find_places(query, wanted, among).tolist() == [*(order.index(i) + 1 for i in (150, 100, 120)), 0]


def test_scores_of_some(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    flat = index(tmp_path / "v", [30, 10, 20], vectors)
    assert flat.score_ids(vectors[0], np.array([20, 30], np.int64)) == pytest.approx([0.6, 1.0])
    assert len(flat.score_ids(vectors[0], np.array([], np.int64))) == 0


def passages(seed: int, n: int) -> tuple[DocIds, Vectors]:
    """1 to 5 vectors for each of n records."""
    rng = np.random.default_rng(seed)
    doc_ids = np.repeat(np.arange(10, 10 + n), rng.integers(1, 6, n))
    return doc_ids, unit(len(doc_ids), 8, seed)


def best_passages(doc_ids: DocIds, vectors: Vectors, query: Vectors, among: set[int]) -> list[tuple[int, float]]:
    best: dict[int, float] = {}
    for doc_id, score in oracle(doc_ids, vectors, query, len(doc_ids)):
        if doc_id in among:
            best[doc_id] = max(best.get(doc_id, -2.0), score)
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))


@given(st.integers(1, 120), st.integers(1, 60), st.integers(0, 10_000), st.booleans())
def test_a_record_of_several_passages_has_the_score_of_its_best(n: int, top_k: int, seed: int, many: bool) -> None:
    import tempfile

    doc_ids, vectors = passages(seed, n)
    queries = unit(_MANY if many else 1, 8, seed + 1)
    some = np.arange(10, 10 + n, 2)
    with tempfile.TemporaryDirectory() as folder:
        flat = index(Path(folder, "v"), doc_ids.tolist(), vectors)
        found, among = flat.search(queries, top_k), flat.search_among(queries, np.append(some, 9999), top_k)
    assert flat.size == n
    for query, hits, fewer in zip(queries, found, among, strict=True):
        every = best_passages(doc_ids, vectors, query, set(doc_ids.tolist()))
        for got, wanted in (
            (hits, every[:top_k]),
            (fewer, best_passages(doc_ids, vectors, query, set(some.tolist()))[:top_k]),
        ):
            assert [i for i, _ in got] == [i for i, _ in wanted]
            assert np.allclose([s for _, s in got], [s for _, s in wanted], atol=1e-6)
        places = flat.find_places(query, np.arange(10, 10 + n))
        assert places.tolist() == [[i for i, _ in every].index(i) + 1 for i in range(10, 10 + n)]
        assert np.allclose(flat.score_ids(query, some), [dict(every)[i] for i in some], atol=1e-6)


def test_the_point_of_a_record_is_the_mean_of_its_passages(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    flat = index(tmp_path / "v", [10, 10, 20], vectors)
    assert flat.get_points(np.array([20, 10])) == pytest.approx(np.array([[0.6, 0.8], [0.5**0.5, 0.5**0.5]]))
    assert flat.get_points(np.array([], np.int64)).shape == (0, 2)
    assert [a.tolist() for a in flat.find_all_rows(np.array([20, 7, 10]))] == [[2, 0, 1], [1, 0, 2]]


def test_the_number_of_records_that_a_receipt_says_spares_reading_the_ids(tmp_path: Path) -> None:
    doc_ids, vectors = np.array([10, 10, 20]), unit(3, 8, 1)
    write_file(tmp_path / "v", doc_ids, 8, [vectors])
    known, read = FlatIndex(tmp_path / "v", 8, 2), FlatIndex(tmp_path / "v", 8)
    assert (known.size, known.several) == (read.size, read.several) == (2, True)
    assert known.search(vectors, 2) == read.search(vectors, 2)
    for size in (0, 4):
        with pytest.raises(CorruptError, match=f"holds 3 vectors, expected those of {size} records"):
            FlatIndex(tmp_path / "v", 8, size)


def test_what_is_left_out_is_no_candidate(tmp_path: Path) -> None:
    vectors = unit(300, 8, 3)
    found, dead = index(tmp_path / "v", list(range(300)), vectors), DeadRows(*[np.arange(0, 290, 2)] * 2)
    assert dead.has_rows(np.array([0, 1, 288, 290, 299])).tolist() == [True, False, True, False, False]
    for queries in (vectors[:1], vectors[:_MANY]):
        for query, hits in zip(queries, found.rank(queries, 5, dead), strict=True):
            assert hits == [pair for pair in found.search(query[None], 300)[0] if pair[0] % 2 or pair[0] > 289][:5]


@examples(0.5)
@given(n=st.integers(1, 60), top_k=st.integers(1, 12), copies=st.integers(1, 3), seed=st.integers(0, 99))
def test_rows_that_a_faster_sum_leaves_out_are_no_hits(n: int, top_k: int, copies: int, seed: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ids = np.arange(n * copies)
        flat = index(Path(folder, "v"), ids.tolist(), np.tile(unit(n, 4, seed), (copies, 1)))
        query, rows = unit(1, 4, seed + 1)[0], np.random.default_rng(seed).permutation(ids)
        kept = flat.keep_best_rows(rows, query, top_k)
        scores = exact.compute_scores(flat.vectors, rows, query)
        assert set(kept) >= {doc_id for doc_id, _ in exact.rank_rows(rows, scores, top_k)}
        assert flat.rank_candidates(rows, query, top_k) == exact.rank_rows(rows, scores, top_k)
