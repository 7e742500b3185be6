from pathlib import Path

import faiss
import numpy as np
import pytest

from engine.errors import CorruptError
from engine.index.search.layout import FACTORY, _size_of, map_file, write_file
from tests.index.search.test_flat import unit


def by_faiss(ids: list[int], vectors: np.ndarray) -> bytes:  # type: ignore[type-arg]
    """What FAISS itself writes."""
    index = faiss.index_factory(vectors.shape[1], FACTORY, faiss.METRIC_INNER_PRODUCT)
    index.add_with_ids(vectors, np.array(ids, dtype=np.int64))
    return bytes(faiss.serialize_index(index).tobytes())


@pytest.mark.parametrize(("n", "dim"), [(0, 4), (1, 4), (7, 5), (300, 384)])
def test_the_bytes_are_those_of_faiss(tmp_path: Path, n: int, dim: int) -> None:
    ids, vectors = [3 * i + 7 for i in range(n)], unit(n, dim, n)
    write_file(tmp_path / "v", np.array(ids, dtype=np.int64), dim, np.array_split(vectors, 3))
    assert (tmp_path / "v").read_bytes() == by_faiss(ids, vectors)
    assert (tmp_path / "v").stat().st_size == _size_of(n, dim)


def test_what_is_written_is_mapped_again(tmp_path: Path) -> None:
    ids, vectors = np.array([2, 5, 1 << 40]), unit(3, 384, 1)
    write_file(tmp_path / "v", ids, 384, [vectors])
    found = map_file(tmp_path / "v", 384)
    assert np.array_equal(found.doc_ids, ids) and np.array_equal(found.vectors, vectors)
    with pytest.raises(ValueError, match="read-only"):
        found.vectors[0, 0] = 1


@pytest.mark.parametrize("chunks", [[unit(2, 4, 0)], [unit(2, 4, 0), unit(2, 4, 1)]])
def test_another_number_of_vectors_than_ids_is_an_error(tmp_path: Path, chunks: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match="vectors for 3 ids"):
        write_file(tmp_path / "v", np.arange(3), 4, chunks)


def test_every_damaged_byte_of_the_frame_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    ids, vectors = np.array([2, 5, 9]), unit(3, 4, 1)
    path = tmp_path / "v"
    write_file(path, ids, 4, [vectors])
    raw = path.read_bytes()
    data = range(82, 82 + 3 * 4 * 4)
    for place in (p for p in range(len(raw) - 3 * 8) if p not in data):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0x11]) + raw[place + 1 :])
        with pytest.raises(CorruptError, match="expected an IDMap2,Flat inner-product index of 4 dimensions"):
            map_file(path, 4)


@pytest.mark.parametrize("cut", [0, 1, 40, 89, 100, 137, 161])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "v"
    write_file(path, np.array([2, 5, 9]), 4, [unit(3, 4, 1)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorruptError, match="engine verify"):
        map_file(path, 4)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="can't be read"):
        map_file(tmp_path / "absent", 4)
