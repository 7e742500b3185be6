import hashlib
import os
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reindex.encoding.shards import Shards, StoredText, clear, count_shards

DIM = 4


def key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def unit(n: int) -> np.ndarray:
    vectors = np.random.default_rng(n).normal(size=(n, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def shards(place: Path, every: float = 0) -> Shards:
    return Shards(place / "shards" / "f00d", DIM, every)


def fill(place: Path, *texts: str) -> np.ndarray:
    vectors = unit(len(texts))
    made = shards(place)
    for row, text in enumerate(texts):
        made.add([key(text)], vectors[row : row + 1], np.array([row + 3]), f"way {row}")
    return vectors


def test_what_was_written_is_found_by_its_text(tmp_path: Path) -> None:
    vectors = fill(tmp_path, "a", "b", "c")
    again = shards(tmp_path)
    assert again.load() == 3
    found = again.get(key("b"))
    assert found is not None and np.array_equal(found.vector, vectors[1]) and found.n_tokens == 4
    assert found.made_by == "way 1"
    assert again.get(key("d")) is None


def test_a_shard_is_due_after_some_seconds_and_a_flush_writes_the_rest(tmp_path: Path) -> None:
    made = shards(tmp_path, every=3600)
    made.add([key("a")], unit(1), np.array([3]))
    assert shards(tmp_path).load() == 0
    made.flush()
    made.flush()
    assert shards(tmp_path).load() == 1
    assert [p.name for p in made.folder.iterdir()] == ["000001.shard"]


def test_a_new_run_writes_beside_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    fill(tmp_path, "b")
    assert shards(tmp_path).load() == count_shards(tmp_path / "shards") == 2


def read_all(place: Path, *texts: str) -> list[StoredText | None]:
    made = shards(place)
    made.load()
    return [made.get(key(text)) for text in texts]


def test_a_flipped_bit_anywhere_loses_texts_and_never_gives_another_vector(tmp_path: Path) -> None:
    vectors = fill(tmp_path, "a", "b")
    first, second = sorted((tmp_path / "shards" / "f00d").iterdir())
    raw = first.read_bytes()
    for place in range(len(raw)):
        first.write_bytes(raw[:place] + bytes([raw[place] ^ 0x10]) + raw[place + 1 :])
        a, b = read_all(tmp_path, "a", "b")
        assert a is None, place  # every byte counts
        assert b is not None and np.array_equal(b.vector, vectors[1]) and (b.n_tokens, b.made_by) == (4, "way 1")
    assert second.exists()


@pytest.mark.parametrize("size", [0, 3, 20, 60])
def test_a_shard_that_was_cut_off_is_deleted(tmp_path: Path, size: int) -> None:
    fill(tmp_path, "a")
    path = tmp_path / "shards" / "f00d" / "000001.shard"
    path.write_bytes(path.read_bytes()[:size])
    assert shards(tmp_path).load() == 0
    assert not path.exists()


def test_a_damaged_row_is_found_when_it_is_read_and_the_others_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = shards(tmp_path, every=3600)
    made.add([key("a"), key("b"), key("c")], unit(3), np.array([3, 4, 5]))
    made.flush()
    path = tmp_path / "shards" / "f00d" / "000001.shard"
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))  # of the row of "c"
    again = shards(tmp_path)
    assert again.load() == 3
    assert [again.get(key(text)) is None for text in "abccc"] == [False, False, True, True, True]
    assert [record.message.partition(str(path))[2] for record in caplog.records] == [
        " is damaged: its damaged texts are encoded again"
    ]
    again.add([key("c")], unit(1), np.array([5]))
    found = read_all(tmp_path, "c")[0]  # the newer row is found behind the damaged one
    assert found is not None and np.array_equal(found.vector, unit(1)[0])


def test_a_shard_of_another_encoder_is_not_taken(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    (tmp_path / "shards" / "f00d").rename(tmp_path / "shards" / "beef")
    other = Shards(tmp_path / "shards" / "beef", DIM, 0)
    other.load()
    assert other.get(key("a")) is None


def test_digests_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    alike = [bytes(8).hex() + hashlib.sha256(bytes([i])).hexdigest()[16:] for i in range(3)]
    made, vectors = shards(tmp_path), unit(3)
    made.add(alike[:2], vectors[:2], np.array([3, 4]))
    again = shards(tmp_path)
    assert again.load() == 1  # counted by the part of the digest that is in memory
    for i in range(2):
        found = again.get(alike[i])
        assert found is not None and np.array_equal(found.vector, vectors[i])
    assert again.get(alike[2]) is None


def test_many_waiting_vectors_are_written_before_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.reindex.encoding.shards._MOST_WAITING", 2 * DIM * 4)
    made = shards(tmp_path, every=3600)
    for text in "abc":
        made.add([key(text)], unit(1), np.array([3]))
    assert shards(tmp_path).load() == 2


def measure_load(place: Path, n_shards: int, n_each: int) -> tuple[int, int]:
    """Bytes that stay after opening so many finished texts, and the most that were held at once."""
    made = shards(place, every=3600)
    for number in range(n_shards):
        texts = [key(f"{number} {i}") for i in range(n_each)]
        made.add(texts, unit(n_each), np.full(n_each, 7), "GPU, packed")
        made.flush()
    del made
    again = shards(place)
    tracemalloc.start()
    try:
        assert again.load() == n_shards * n_each
        stays, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    found = again.get(key(f"{n_shards - 1} 7"))
    assert found is not None and np.array_equal(found.vector, unit(n_each)[7])
    return stays, peak


def test_a_finished_text_takes_few_bytes_of_memory(tmp_path: Path) -> None:
    stays, peak = measure_load(tmp_path, 50, 1000)
    assert stays <= 20 * 50_000 and peak <= 48 * 50_000


@pytest.mark.slow
def test_a_million_finished_texts_in_ten_thousand_shards_take_few_bytes_of_memory(tmp_path: Path) -> None:
    stays, peak = measure_load(tmp_path, 10_000, 100)
    assert peak <= 60_000_000, (stays, peak)  # 300 MB are promised


def test_thousands_of_shards_need_no_open_files(tmp_path: Path) -> None:
    made = shards(tmp_path)
    for i in range(150):
        made.add([key(str(i))], np.eye(1, DIM, dtype=np.float32), np.array([i]))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_used = len(os.listdir("/proc/self/fd"))  # of this process, by other tests too
    gaps = [os.dup(0) for _ in range(max(map(int, os.listdir("/proc/self/fd"))) - n_used + 2)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (gaps[-1] + 50, before[1]))
    try:
        read = shards(tmp_path)
        assert read.load() == 150
        assert [read.get(key(str(i))).n_tokens for i in range(150)] == list(range(150))  # type: ignore[union-attr]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for one in gaps:
            os.close(one)
    assert len(list((tmp_path / "shards" / "f00d").iterdir())) == 150


def test_vectors_that_are_none_are_not_taken(tmp_path: Path) -> None:
    made = shards(tmp_path)
    made.add([key("a"), key("b")], np.full((2, DIM), [[np.nan], [1]], np.float32), np.array([3, 3]))
    assert read_all(tmp_path, "a", "b") == [None, None]  # NaN, and a vector of length 2


def test_another_dimension_is_not_taken(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    assert Shards(tmp_path / "shards" / "f00d", DIM + 1, 0).load() == 0


def test_clearing_keeps_one_encoder_or_none(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    (tmp_path / "shards" / "beef").mkdir()
    clear(tmp_path / "shards", keep="f00d")
    assert [p.name for p in (tmp_path / "shards").iterdir()] == ["f00d"]
    clear(tmp_path / "shards")
    assert not (tmp_path / "shards").exists()
    clear(tmp_path / "shards")


@given(st.binary(min_size=32, max_size=32))
def test_every_digest_comes_back_trailing_zeros_too(tmp_path_factory: pytest.TempPathFactory, digest: bytes) -> None:
    place = tmp_path_factory.mktemp("shard")
    made = shards(place)
    made.add([digest.hex()], unit(1), np.array([3]))
    again = shards(place)
    again.load()
    assert again.get(digest.hex()) is not None
