from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import CorruptError, UsageError
from engine.index.flat import FlatIndex
from engine.index.layout import write_file
from engine.records import DocIds, Vectors


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


@settings(max_examples=60, deadline=None)
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
    assert list(empty.rows(np.array([1]))) == [-1]


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
    got = found.vector(120)
    assert got is not None and np.array_equal(got, vectors[20])
    assert found.vector(99) is None and found.vector(150) is None


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
