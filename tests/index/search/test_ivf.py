"""Codes and exact scores against an exhaustive search: the oracle is FlatIndex, itself tested against plain Python."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CorruptError
from engine.index.search import codes, ivf
from engine.index.search.factory import Factory
from engine.index.search.flat import FlatIndex
from engine.index.search.ivf import IvfIndex
from engine.index.search.layout import write_file
from engine.index.search.library import faiss
from engine.records.encoder import Vectors
from engine.records.generation import AnnSettings, DocIds
from tests.conftest import examples, silent
from tests.index.search.test_flat import unit

DIM = 32
ALL = AnnSettings(1_000_000, 1_000_000, 1.0, 0, 0.99, 0)  # looks everywhere, so it must be exact
FACTORIES = (Factory(8), Factory(8, 4))


def clustered(n: int, seed: int) -> Vectors:
    """Vectors around a few centres, as texts lie."""
    rng = np.random.default_rng(seed)
    vectors = unit(12, DIM, 99)[rng.integers(0, 12, n)] + 0.3 * unit(n, DIM, seed)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def flat_of(folder: Path, ids: DocIds, vectors: Vectors) -> FlatIndex:
    folder.mkdir(exist_ok=True)
    write_file(folder / "vectors.faiss", ids, DIM, [vectors])
    return FlatIndex(folder / "vectors.faiss", DIM)


def built(folder: Path, ids: DocIds, vectors: Vectors, factory: Factory, settings: AnnSettings = ALL) -> IvfIndex:
    flat = flat_of(folder, ids, vectors)
    index = codes.train_lists(flat, factory, silent)
    codes.fill_lists(index, flat, silent)
    (folder / "codes.faiss").write_bytes(codes.serialise_codes(index).tobytes())
    return IvfIndex(folder / "vectors.faiss", folder / "codes.faiss", DIM, settings)


@pytest.fixture(params=FACTORIES, ids=str)
def index(tmp_path: Path, request: pytest.FixtureRequest) -> IvfIndex:
    return built(tmp_path / "i", 5 + 3 * np.arange(3000), clustered(3000, 1), request.param)


def test_looking_everywhere_is_exact(index: IvfIndex) -> None:
    queries = clustered(20, 2)
    for top_k in (1, 10, 100, 2999, 3000, 5000):
        assert index.search(queries, top_k) == index.search_exhaustively(queries, min(top_k, 3000))


def test_a_shallow_search_finds_most_and_its_scores_are_exact(index: IvfIndex) -> None:
    index.settings = replace(ALL, n_probe=6, n_rerank=600)
    queries = clustered(200, 3)
    found, wanted = index.search(queries, 10), index.search_exhaustively(queries, 10)
    shares = [len(dict(a).keys() & dict(b).keys()) / 10 for a, b in zip(found, wanted, strict=True)]
    assert 0.9 < np.mean(shares) <= 1
    for query, hits in zip(queries, found, strict=True):
        for doc_id, score in hits:
            assert score == np.float32((index.vectors[(doc_id - 5) // 3].astype(float) * query).sum())
        assert hits == sorted(hits, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("top_k", [1, 10, 60, 500, 1001])
@pytest.mark.parametrize("n_probe", [1, 2])
def test_k_is_always_filled_however_shallow(index: IvfIndex, top_k: int, n_probe: int) -> None:
    index.settings = replace(ALL, n_probe=n_probe, n_rerank=10)
    for hits in index.search(clustered(10, 4), top_k):
        assert len(hits) == top_k == len(dict(hits))


def test_who_wants_many_hits_gets_an_exhaustive_search(index: IvfIndex) -> None:
    index.settings = replace(ALL, n_probe=1, n_rerank=10)
    queries = clustered(5, 5)
    assert index.search(queries, 1001) == index.search_exhaustively(queries, 1001)


@pytest.mark.parametrize("sparse", [0, 1_000_000], ids=["by codes", "exhaustively"])
def test_a_filter_is_exact_and_filled(index: IvfIndex, monkeypatch: pytest.MonkeyPatch, sparse: int) -> None:
    monkeypatch.setattr(ivf, "_SPARSE", sparse)
    rng = np.random.default_rng(6)
    queries = clustered(5, 6)
    for n in (1, 9, 10, 500, 3000):
        among = rng.choice(index.doc_ids, n, replace=False)
        found = index.search_among(queries, np.append(among, [1, 10**9]), 10)  # two that are not there
        wanted = FlatIndex.rank_among(index, queries, index.find_rows(np.sort(among)), min(10, n))
        assert found == wanted
        index.settings = replace(ALL, n_probe=1, n_rerank=10)
        for hits in index.search_among(queries, among, 10):
            assert len(hits) == min(10, n) and dict(hits).keys() <= set(among.tolist())
        index.settings = ALL
    assert index.search_among(queries, np.array([1]), 10) == [[]] * 5


@examples(0.5)
@given(st.data())
def test_codes_brought_up_to_date_are_those_of_a_fresh_build(data: st.DataObject) -> None:
    """Nights of deleted, changed and new records against filling the same lists from nothing."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        factory = data.draw(st.sampled_from(FACTORIES))
        held = dict(zip(range(0, 600, 2), clustered(300, 1), strict=True))
        index: Any = None
        for night in range(4):
            gone = data.draw(st.sets(st.sampled_from(sorted(held)), max_size=40)) if index is not None else set()
            changed = data.draw(st.sets(st.sampled_from(sorted(held.keys() - gone)), max_size=40)) if gone else set()
            new = data.draw(st.sets(st.integers(600 + 100 * night, 699 + 100 * night), max_size=60))
            held = {k: v for k, v in held.items() if k not in gone}
            fresh = sorted(changed | new)
            held |= dict(zip(fresh, clustered(len(fresh), 100 + night), strict=True))
            ids = np.array(sorted(held), dtype=np.int64)
            flat = flat_of(folder / str(night), ids, np.array([held[i] for i in ids.tolist()], np.float32))
            if index is None:
                index = codes.train_lists(flat, factory, silent)
                codes.fill_lists(index, flat, silent)
            else:
                out, back = np.array(sorted(gone | changed), dtype=np.int64), np.array(fresh, dtype=np.int64)
                index = codes.update_codes(codes.serialise_codes(index), flat, out, back, silent)
            twin = faiss.deserialize_index(codes.serialise_codes(index))
            codes.fill_lists(twin, flat, silent)
            assert answers(index) == answers(twin)


def answers(index: Any) -> list[list[tuple[float, int]]]:
    """Estimated scores and ids of everything, for a few queries, in one order."""
    scores, ids = index.search(clustered(4, 7), index.ntotal, params=faiss.SearchParametersIVF(nprobe=index.nlist))
    return [sorted(zip(s.tolist(), i.tolist(), strict=True)) for s, i in zip(scores, ids, strict=True)]


def test_faiss_spoils_codes_that_are_added_after_a_removal() -> None:
    """Why a list that loses an id is filled anew. Where this fails, FAISS has mended it and codes.py can be simpler."""
    if faiss.__version__ != "1.15.1":
        pytest.skip(f"seen in FAISS 1.15.1, this is {faiss.__version__}")
    vectors = clustered(400, 1)
    index = faiss.index_factory(DIM, "IVF1,RaBitQfs", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add_with_ids(vectors[:300], np.arange(300))
    twin = faiss.deserialize_index(faiss.serialize_index(index))
    twin.reset()
    twin.add_with_ids(np.vstack([vectors[:290], vectors[300:310]]), np.append(np.arange(290), np.arange(300, 310)))
    index.remove_ids(faiss.IDSelectorBatch(np.arange(290, 300)))
    index.add_with_ids(vectors[300:310], np.arange(300, 310))
    assert answers(index) != answers(twin)


def test_lists_that_lose_most_are_all_filled_anew(tmp_path: Path) -> None:
    ids, vectors = np.arange(400), clustered(400, 1)
    index = codes.train_lists(flat_of(tmp_path / "a", ids, vectors), Factory(4), silent)
    codes.fill_lists(index, flat_of(tmp_path / "a", ids, vectors), silent)
    half = flat_of(tmp_path / "b", ids[::2], vectors[::2])
    after = codes.update_codes(codes.serialise_codes(index), half, ids[1::2], np.empty(0, np.int64), silent)
    assert sorted(codes.read_ids_and_lists(after)[0].tolist()) == ids[::2].tolist()


def test_training_is_the_same_every_time(tmp_path: Path) -> None:
    flat = flat_of(tmp_path / "a", np.arange(2000), clustered(2000, 1))
    one, other = (codes.serialise_codes(codes.train_lists(flat, Factory(8), silent)) for _ in range(2))
    assert np.array_equal(one, other)


def test_ids_that_the_codes_should_not_hold_are_refused(tmp_path: Path) -> None:
    flat = flat_of(tmp_path / "a", np.arange(400), clustered(400, 1))
    index = codes.train_lists(flat, Factory(4), silent)
    codes.fill_lists(index, flat, silent)
    fewer = flat_of(tmp_path / "b", np.arange(399), clustered(399, 1))
    nothing = np.empty(0, np.int64)
    with pytest.raises(CorruptError, match="400 codes for 399 vectors. Rebuild them: engine tune --rebuild"):
        codes.update_codes(codes.serialise_codes(index), fewer, nothing, nothing, silent)
    with pytest.raises(CorruptError, match="contain ids that have no vector"):
        codes.update_codes(codes.serialise_codes(index), fewer, nothing, np.array([7777]), silent)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    built(tmp_path / "a", np.arange(400), clustered(400, 1), Factory(4))
    built(tmp_path / "b", np.arange(300), clustered(300, 1), Factory(4))
    with pytest.raises(CorruptError, match="holds 300 codes for 400 vectors"):
        IvfIndex(tmp_path / "a" / "vectors.faiss", tmp_path / "b" / "codes.faiss", DIM, ALL).search(clustered(1, 1), 1)
    with pytest.raises(CorruptError, match="is not an IVF,RaBitQfs index of 32 dimensions"):
        IvfIndex(tmp_path / "a" / "vectors.faiss", tmp_path / "a" / "vectors.faiss", DIM, ALL).read_code_ids()
    (tmp_path / "b" / "codes.faiss").write_bytes(b"IwPf and then nothing")
    with pytest.raises(CorruptError, match="can't be read by FAISS"):
        assert IvfIndex(tmp_path / "a" / "vectors.faiss", tmp_path / "b" / "codes.faiss", DIM, ALL).n_lists
    (tmp_path / "b" / "codes.faiss").write_bytes(b"")
    with pytest.raises(CorruptError, match="codes.faiss can't be read"):
        IvfIndex(tmp_path / "a" / "vectors.faiss", tmp_path / "b" / "codes.faiss", DIM, ALL)


def test_codes_that_a_writer_deletes_after_opening_are_read_all_the_same(tmp_path: Path) -> None:
    index = built(tmp_path / "a", np.arange(400), clustered(400, 1), Factory(4))
    (tmp_path / "a" / "codes.faiss").unlink()
    assert len(index.search(clustered(1, 2), 10)[0]) == 10


def test_a_shallow_search_looks_into_fewer_lists_and_scores_less(index: IvfIndex) -> None:
    index.settings = replace(ALL, n_probe=1, n_rerank=100)
    assert [index.choose_depth(n) for n in (1, 10, 1000)] == [(1, 100), (1, 100), (10, 10_000)]
    assert [index.choose_depth(n, shallow=True) for n in (1, 10, 1000)] == [(1, 100), (1, 100), (2, 8000)]
    index.settings = replace(ALL, n_probe=4, n_rerank=9000)
    assert index.choose_depth(1000, shallow=True) == (4, 9000)
