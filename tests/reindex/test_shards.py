import hashlib
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.encoder import Vectors
from engine.reindex.shards import Shards, _read_shard, clear

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
    assert [p.name for p in made.folder.iterdir()] == ["000001.npz"]


def test_a_new_run_writes_beside_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    fill(tmp_path, "b")
    assert shards(tmp_path).load() == 2


def held(path: Path) -> dict[bytes, tuple[Vectors, int]] | None:
    """What a shard holds, in memory: the file is written over below."""
    shard = _read_shard(path, DIM)
    if shard is None:
        return None
    pairs = zip(shard.digests, shard.n_tokens, strict=True)
    return {d.tobytes(): (shard.read_vector(i), int(n)) for i, (d, n) in enumerate(pairs)}


@pytest.mark.parametrize("place", range(0, 700, 13))
def test_a_damaged_shard_counts_as_not_there(tmp_path: Path, place: int) -> None:
    fill(tmp_path, "a")
    path = tmp_path / "shards" / "f00d" / "000001.npz"
    raw = bytearray(path.read_bytes())
    intact = held(path)
    raw[place % len(raw)] ^= 0x10
    path.write_bytes(raw)
    found = held(path)
    assert found is None or (
        intact is not None and {k: v[1] for k, v in found.items()} == {k: v[1] for k, v in intact.items()}
    )
    if found is not None and intact is not None:  # a byte that means nothing: a time in the zip
        assert all(np.array_equal(found[k][0], intact[k][0]) for k in intact)
    path.write_bytes(raw[: len(raw) // 2])
    assert shards(tmp_path).load() == 0
    assert not path.exists()


def test_thousands_of_shards_need_no_open_files(tmp_path: Path) -> None:
    made = shards(tmp_path)
    for i in range(150):
        made.add([key(str(i))], np.eye(1, DIM, dtype=np.float32), np.array([i]))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        read = shards(tmp_path)
        assert read.load() == 150
        assert [read.get(key(str(i))).n_tokens for i in range(150)] == list(range(150))  # type: ignore[union-attr]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(list((tmp_path / "shards" / "f00d").iterdir())) == 150


def test_vectors_that_are_none_are_not_taken(tmp_path: Path) -> None:
    made = shards(tmp_path)
    made.add([key("a")], np.full((1, DIM), np.nan, np.float32), np.array([3]))
    assert shards(tmp_path).load() == 0


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
