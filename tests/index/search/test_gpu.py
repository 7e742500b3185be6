"""The GPU path with FAISS's CPU index in the place of the GPU one, which it can't tell apart; and the real one if any."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.index.search.flat import Candidates, FlatIndex
from engine.index.search.gpu import _MAX_K, GpuIndex, _count_gpus, open_gpu_scanner
from engine.index.search.layout import write_file
from engine.index.search.library import faiss
from engine.index.search.parts import Part, SegmentedIndex
from engine.records.encoder import Vectors
from tests.index.search.test_flat import unit

N, DIM = 5000, 16
NONE = np.empty(0, np.int64)


@pytest.fixture
def flat(tmp_path: Path) -> FlatIndex:
    vectors = unit(N, DIM, 1)
    vectors[100:150] = vectors[100]  # ties
    write_file(tmp_path / "v", 3 * np.arange(N), DIM, [vectors])
    return FlatIndex(tmp_path / "v", DIM)


class StandIn:
    """Scores in another summation order, as cuBLAS may have; counts its calls and takes no filter."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def open(self, dim: int, chunks: Iterable[Vectors]) -> Callable[[Vectors, int], Candidates]:
        self.index = faiss.IndexFlatIP(dim)
        for chunk in chunks:
            self.index.add(np.array(chunk[:, ::-1]))
        return self.scan

    def scan(self, queries: Vectors, n: int) -> Candidates:
        assert n <= _MAX_K  # as FAISS's GPU indexes do
        self.asked.append(n)
        scores, rows = self.index.search(np.ascontiguousarray(queries[:, ::-1]), n)
        return scores + np.float32(3e-5), rows


@pytest.fixture
def stand_in(flat: FlatIndex) -> tuple[GpuIndex, StandIn]:
    scanner = StandIn()
    return GpuIndex([Part(flat, NONE)], DIM, scanner.open), scanner


@pytest.mark.parametrize("top_k", [1, 10, 40, 1000, 2032])
def test_the_ranking_is_that_of_the_cpu(flat: FlatIndex, stand_in: tuple[GpuIndex, StandIn], top_k: int) -> None:
    index, scanner = stand_in
    queries = np.vstack([unit(10, DIM, 2), flat.vectors[100:101]])
    assert index.search(queries, top_k) == flat.search(queries, top_k)
    assert scanner.asked


@pytest.mark.parametrize("top_k", [2040, 2048, 2049, N, N + 1])
def test_more_hits_than_a_gpu_returns_come_from_the_cpu(
    flat: FlatIndex, stand_in: tuple[GpuIndex, StandIn], top_k: int
) -> None:
    index, scanner = stand_in
    assert index.search(unit(2, DIM, 2), top_k) == flat.search(unit(2, DIM, 2), top_k)
    assert not scanner.asked


@pytest.mark.parametrize("n", [1, 100, 2049, 4000, N])
def test_a_filtered_search_never_reaches_the_gpu(flat: FlatIndex, stand_in: tuple[GpuIndex, StandIn], n: int) -> None:
    index, scanner = stand_in
    among = np.random.default_rng(3).choice(flat.doc_ids, n, replace=False)
    for top_k in (1, 10, 3000):
        found = index.search_among(unit(3, DIM, 4), among, top_k)
        assert found == flat.search_among(unit(3, DIM, 4), among, top_k)
        assert all(dict(hits).keys() <= set(among.tolist()) for hits in found)
    assert not scanner.asked


def test_only_what_is_alive_is_copied_and_the_ranking_is_that_of_the_cpu(tmp_path: Path) -> None:
    ids = np.repeat(np.arange(400), np.random.default_rng(5).integers(1, 4, 400))  # of several passages
    vectors, scanner = unit(len(ids), DIM, 6), StandIn()
    vectors[300:320] = vectors[300]
    parts = []
    for number in range(3):
        own = ids % 3 == number
        write_file(tmp_path / f"{number}", ids[own], DIM, [vectors[own]])
        parts.append(Part(FlatIndex(tmp_path / f"{number}", DIM), np.arange(number, 200, 6)))
    index = GpuIndex(parts, DIM, scanner.open)
    living = np.isin(ids, np.concatenate([part.dead for part in parts]), invert=True)
    assert scanner.index.ntotal == index.n_rows == living.sum()
    queries = np.vstack([unit(10, DIM, 2), vectors[300:301]])
    for top_k in (1, 10, 250, 400):
        assert index.search(queries, top_k) == SegmentedIndex(parts, DIM).search(queries, top_k)
    assert scanner.asked
    assert GpuIndex([], DIM, scanner.open).search(queries, 3) == [[]] * 11


def test_without_a_gpu_the_next_step_is_told() -> None:
    if _count_gpus():
        pytest.skip("FAISS sees a GPU here")
    with pytest.raises(ConfigError, match="FAISS finds no GPU here. Leave out --device cuda, or install faiss-gpu"):
        open_gpu_scanner(DIM, [unit(3, DIM, 1)])


def test_a_real_gpu_ranks_as_the_cpu(flat: FlatIndex) -> None:
    if not _count_gpus():
        pytest.skip("FAISS finds no GPU here")
    index = GpuIndex([Part(flat, NONE)], DIM, open_gpu_scanner)
    queries = np.vstack([unit(50, DIM, 2), flat.vectors[100:101]])
    for top_k in (1, 10, 1000, 2032, 2049):
        assert index.search(queries, top_k) == flat.search(queries, top_k)
