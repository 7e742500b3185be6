import json
import os
import time
from pathlib import Path

import pytest

from engine import stamps
from engine.config import count_cores
from engine.encode.threads import get_default_layout, measure_layout
from engine.receipts import FileReceipt

BIG = os.urandom(stamps._LARGE)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, FileReceipt]:
    """A large file, and its receipt; old enough to be trusted."""
    monkeypatch.setattr(stamps, "_SETTLED", 0.0)
    path = tmp_path / "large"
    path.write_bytes(BIG)
    return path, FileReceipt.of(path)


def hashes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is read to its end from now on."""
    real, found = FileReceipt.of, []
    monkeypatch.setattr(FileReceipt, "of", staticmethod(lambda path: found.append(path) or real(path)))
    return found


def test_an_untouched_file_is_hashed_once(file: tuple[Path, FileReceipt], monkeypatch: pytest.MonkeyPatch) -> None:
    path, receipt = file
    read = hashes(monkeypatch)
    assert [receipt.find_problem(path.parent, quick=True) for _ in range(3)] == [None] * 3
    assert len(read) == 1
    assert receipt.find_problem(path.parent) is None  # asked to look, it looks
    assert len(read) == 2


def flipped(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes([BIG[0] ^ 1]))


def rewritten_with_old_times(path: Path) -> None:
    before = path.stat()
    flipped(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    beside = path.with_name("beside")
    beside.write_bytes(bytes([BIG[0] ^ 1]) + BIG[1:])
    beside.replace(path)


@pytest.mark.parametrize("touch", [flipped, rewritten_with_old_times, replaced])
def test_a_touched_file_is_hashed_again(file: tuple[Path, FileReceipt], touch: object) -> None:
    path, receipt = file
    assert receipt.find_problem(path.parent, quick=True) is None
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    touch(path)  # type: ignore[operator]
    assert "was changed or damaged" in str(receipt.find_problem(path.parent, quick=True))


def test_another_receipt_of_the_same_file_is_not_believed(file: tuple[Path, FileReceipt]) -> None:
    path, receipt = file
    assert receipt.find_problem(path.parent, quick=True) is None
    other = FileReceipt(receipt.name, receipt.n_bytes, "0" * 64)
    assert "was changed or damaged" in str(other.find_problem(path.parent, quick=True))


def test_a_file_of_just_now_is_not_remembered(file: tuple[Path, FileReceipt], monkeypatch: pytest.MonkeyPatch) -> None:
    path, receipt = file
    monkeypatch.setattr(stamps, "_SETTLED", 60.0)
    assert receipt.find_problem(path.parent, quick=True) is None
    assert stamps.load_entries() == {}


def test_a_damaged_file_is_not_remembered(file: tuple[Path, FileReceipt]) -> None:
    path, receipt = file
    flipped(path)
    assert receipt.find_problem(path.parent, quick=True) is not None
    assert stamps.load_entries() == {}


def test_a_small_file_is_always_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_SETTLED", 0.0)
    path = tmp_path / "small"
    path.write_bytes(b"little")
    receipt, read = FileReceipt.of(path), hashes(monkeypatch)
    assert [receipt.find_problem(tmp_path, quick=True) for _ in range(2)] == [None] * 2
    assert len(read) == 2


def test_the_oldest_are_forgotten(file: tuple[Path, FileReceipt], monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    path, receipt = file
    monkeypatch.setattr(stamps, "_MOST", 3)
    cache.mkdir()
    (cache / stamps._NAME).write_text(json.dumps({"a": "1", "b": "2", "c": "3"}))
    assert receipt.find_problem(path.parent, quick=True) is None
    assert list(stamps.load_entries())[:2] == ["b", "c"] and len(stamps.load_entries()) == 3


@pytest.mark.parametrize("content", ["", "[1]", "{", "\xff"])
def test_a_damaged_list_is_no_list(file: tuple[Path, FileReceipt], cache: Path, content: str) -> None:
    path, receipt = file
    cache.mkdir()
    (cache / stamps._NAME).write_bytes(content.encode("latin-1"))
    assert receipt.find_problem(path.parent, quick=True) is None
    assert len(stamps.load_entries()) == 1


def test_where_nothing_can_be_kept_all_is_hashed(
    file: tuple[Path, FileReceipt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, receipt = file
    (tmp_path / "plain").write_text("no folder")
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / "plain"))
    assert [receipt.find_problem(path.parent, quick=True) for _ in range(2)] == [None] * 2


def test_damage_once_found_is_not_forgotten(file: tuple[Path, FileReceipt]) -> None:
    path, receipt = file
    other = FileReceipt(receipt.name, receipt.n_bytes, "0" * 64)
    stamps.note(path, other.sha256, stamps.read_identity(path))  # as when a disk gives other bytes than it did
    assert other.find_problem(path.parent, quick=True) is None
    assert "was changed or damaged" in str(other.find_problem(path.parent))
    assert "was changed or damaged" in str(other.find_problem(path.parent, quick=True))


def test_without_a_home_nothing_is_remembered_and_nothing_fails(
    file: tuple[Path, FileReceipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, receipt = file

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("ENGINE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(homeless))
    assert [receipt.find_problem(path.parent, quick=True) for _ in range(2)] == [None] * 2
    assert stamps.load_entries() == {}
    assert measure_layout(lambda tried: 1.0, "f", "1", alone=True) == get_default_layout(count_cores())
