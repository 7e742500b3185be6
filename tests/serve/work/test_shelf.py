"""Open indexes that move to newer generations, whatever comes in between."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import CorruptError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.serve.work import shelf as shelving
from engine.serve.work.shelf import Shelf
from tests.conftest import CURRENT, segment_of

Publish = Callable[..., None]


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a newer generation was opened."""
    found: list[float] = []
    original = shelving._open_newer

    def noted(index: shelving.Index) -> shelving.Index:
        found.append(time.monotonic())
        return original(index)

    monkeypatch.setattr(shelving, "_open_newer", noted)
    return found


def test_an_index_is_one_by_whatever_way_it_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CURRENT, tmp_path / "toy")
    (tmp_path / "link").symlink_to(tmp_path / "toy")
    assert Shelf([tmp_path / "link"]).names == ["toy"]
    monkeypatch.chdir(tmp_path / "toy")
    assert Shelf([Path(".")]).names == ["toy"]
    with pytest.raises(UsageError, match="two indexes are named toy"):
        Shelf([tmp_path / "toy", tmp_path / "link"])


def test_a_damaged_generation_is_tried_again_at_times_and_another_one_at_once(
    fresh: IndexFolder, publish: Publish, tries: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf([fresh.path])
    publish({"id": "new", "title": "New"})
    database = segment_of(fresh, 3).path / "abstracts.db"
    good = database.read_bytes()
    database.write_bytes(good[:-1])
    monkeypatch.setattr(shelving, "_EASE", 1_000_000)
    for _ in range(5):
        shelf.look()
    assert len(tries) == 1 and "abstracts.db" in shelf.problems["toy"] and shelf.get_index().generation == 2

    database.write_bytes(good)
    publish({"id": "newer", "title": "Newer"})
    shelf.look()
    assert len(tries) == 2 and shelf.problems == {} and shelf.get_index().generation == 4
    shelf.look()
    assert len(tries) == 2


def test_a_generation_that_is_good_again_is_found(fresh: IndexFolder, publish: Publish, tries: list[float]) -> None:
    shelf = Shelf([fresh.path])
    publish({"id": "new", "title": "New"})
    database = segment_of(fresh, 3).path / "abstracts.db"
    good = database.read_bytes()
    database.write_bytes(good[:-1])
    shelf.look()
    database.write_bytes(good)
    began = time.monotonic()
    while shelf.get_index().generation == 2:
        assert time.monotonic() - began < 5
        shelf.look()
    assert shelf.problems == {} and len(tries) == 2


def test_a_file_that_changes_below_a_shelf_is_a_problem_until_it_is_whole_again(
    fresh: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "_EASE", 0)
    shelf = Shelf([fresh.path])
    before = shelf.get_index().search("gout")
    database = segment_of(fresh, 2).database
    database.chmod(0o644)
    good = database.read_bytes()
    database.write_bytes(bytes(len(good)))
    assert "abstracts.db was written to" in str(shelf.find_fault("toy"))
    with pytest.raises(CorruptError, match=r"abstracts.db was written to while it was open. Check .*engine verify"):
        shelf.get_index().search("gout")
    shelf.look()
    assert "abstracts.db" in shelf.problems["toy"]
    database.write_bytes(good)
    shelf.look()
    assert shelf.problems == {} and shelf.find_fault("toy") is None
    assert shelf.get_index().search("gout") == before


def wait_for(shelf: Shelf, generation: int) -> None:
    """Wait until a shelf that follows is at a generation."""
    began = time.monotonic()
    while shelf.get_index().generation != generation:
        assert time.monotonic() - began < 10
        time.sleep(0.01)


@pytest.mark.parametrize(
    "error", [MemoryError("no room"), ValueError(), KeyError("x"), RuntimeError("x"), OSError(5, "x")]
)
def test_no_error_ends_the_following(
    fresh: IndexFolder, publish: Publish, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    original, failed = shelving._open_newer, threading.Event()

    def once(index: shelving.Index) -> shelving.Index:
        if not failed.is_set():
            failed.set()
            raise error
        return original(index)

    monkeypatch.setattr(shelving, "_open_newer", once)
    monkeypatch.setattr(shelving, "FOLLOW_SECONDS", 0.01)
    shelf = Shelf([fresh.path])
    with shelf.follow_in_thread():
        publish({"id": "new", "title": "New"})
        wait_for(shelf, 3)
        assert failed.is_set() and shelf.problems == {}


def test_a_look_at_a_shelf_that_was_closed_is_nothing(fresh: IndexFolder, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf([fresh.path])
    shelf.close()
    shelf.look()
    assert caplog.records == [] and shelf.problems == {}


def test_an_error_while_getting_ready_does_not_end_it_either(
    fresh: IndexFolder, publish: Publish, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(index: shelving.Index, texts: list[str]) -> None:
        raise RuntimeError("no encoder")

    shelf = Shelf([fresh.path])
    with monkeypatch.context() as patch:
        patch.setattr(shelving, "FOLLOW_SECONDS", 0.01)
        patch.setattr(shelving.Index, "encode", broken)
        with shelf.follow_in_thread():
            publish({"id": "new", "title": "New"})
            wait_for(shelf, 3)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "toy: the first page will be slow or fail: no encoder"
    ]
    assert shelf.problems == {}
