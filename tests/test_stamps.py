import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import stamps
from engine.config import count_cores
from engine.encode.execution.threads import get_default_layout, measure_layout
from engine.receipts import FileReceipt
from tests.conftest import ROOT

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
    assert not stamps.is_untouched(path, receipt.sha256)


def test_a_damaged_file_is_not_remembered(file: tuple[Path, FileReceipt], cache: Path) -> None:
    path, receipt = file
    flipped(path)
    assert receipt.find_problem(path.parent, quick=True) is not None
    assert not stamps.is_untouched(path, FileReceipt.of(path).sha256) and not list(cache.glob("**/*"))


def test_the_receipt_of_an_untouched_file_is_recalled(
    file: tuple[Path, FileReceipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, receipt = file
    read = hashes(monkeypatch)
    assert [FileReceipt.recall(path) for _ in range(3)] == [receipt] * 3
    assert len(read) == 1
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    flipped(path)
    assert FileReceipt.recall(path).sha256 == FileReceipt.of(path).sha256 != receipt.sha256


def test_a_small_file_is_always_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_SETTLED", 0.0)
    path = tmp_path / "small"
    path.write_bytes(b"little")
    receipt, read = FileReceipt.of(path), hashes(monkeypatch)
    assert [receipt.find_problem(tmp_path, quick=True) for _ in range(2)] == [None] * 2
    assert len(read) == 2


def identity(number: int) -> tuple[int, ...]:
    """The identity of a file that need not exist."""
    return (1, number, 1 << 20, 2, 3)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_tens_of_thousands_of_files_are_remembered_by_short_appends(cache: Path) -> None:
    n = 20_000
    for number in range(1, n + 1):
        stamps._append_stamp(identity(number), digest(number))
    assert all(stamps._find_stamp(identity(number)) == digest(number) for number in range(1, n + 1, 97))
    sizes = [path.stat().st_size for path in (cache / stamps._FOLDER).iterdir()]
    assert sum(sizes) == n * stamps._RECORD and max(sizes) < 10_000  # bytes read by a look-up
    assert stamps._find_stamp(identity(n + 1)) is None


def test_the_oldest_are_forgotten(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_MOST", 4)
    monkeypatch.setattr(stamps, "_hash_identity", lambda given: bytes([7]) * 12 + given[1].to_bytes(4, "big"))
    for number in (1, 2, 3, 4, 2, 5, 6):  # after the first 2, the file is cut to the newest half: 4, 2
        stamps._append_stamp(identity(number), digest(number))
    assert [n for n in range(1, 7) if stamps._find_stamp(identity(n))] == [2, 4, 5, 6]
    assert [path.name for path in (cache / stamps._FOLDER).iterdir()] == ["07"]


def test_a_stamp_that_was_withdrawn_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_MOST", 2)
    monkeypatch.setattr(stamps, "_hash_identity", lambda given: bytes([7]) * 12 + given[1].to_bytes(4, "big"))
    stamps._append_stamp(identity(1), digest(1))
    stamps.forget(identity(1))
    stamps._append_stamp(identity(2), digest(2))
    assert stamps._find_stamp(identity(1)) is None and stamps._find_stamp(identity(2)) == digest(2)


@pytest.mark.parametrize("content", [b"", b"\0" * 500, os.urandom(5000), b"torn"])
def test_damaged_records_are_no_records(file: tuple[Path, FileReceipt], cache: Path, content: bytes) -> None:
    path, receipt = file
    records = stamps._locate_records(stamps._hash_identity(stamps.read_identity(path)))
    assert records is not None
    records.parent.mkdir(parents=True)
    records.write_bytes(content)
    assert receipt.find_problem(path.parent, quick=True) is None
    assert stamps.is_untouched(path, receipt.sha256)  # appended behind the damage
    raw = records.read_bytes()
    for place in range(len(content), len(raw)):
        records.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert not stamps.is_untouched(path, receipt.sha256)


def test_a_torn_record_does_not_take_the_next_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_MOST", 8)
    monkeypatch.setattr(stamps, "_hash_identity", lambda given: bytes([7]) * 12 + given[1].to_bytes(4, "big"))
    stamps._append_stamp(identity(1), digest(1))
    records = stamps._locate_records(bytes([7]))
    assert records is not None
    whole = records.read_bytes()
    records.write_bytes(whole[:40])
    stamps._append_stamp(identity(2), digest(2))
    assert stamps._find_stamp(identity(1)) is None and stamps._find_stamp(identity(2)) == digest(2)
    assert b"".join(stamps._select_newest(records.read_bytes())) == records.read_bytes()[40:]


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from engine import stamps; start = int(sys.argv[1])\n"
        "for n in range(start, start + 300): stamps._append_stamp((1, n, 1 << 20, 2, 3), n.to_bytes(32, 'big'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    starts = (1, 1001, 2001)
    running = [subprocess.Popen([sys.executable, "-c", program, str(start)], env=environment) for start in starts]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    numbers = [n for start in starts for n in range(start, start + 300)]
    assert [n for n in numbers if stamps._find_stamp(identity(n)) != digest(n)] == []


def test_only_the_newest_facts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_MOST_FACTS", 2)
    stamps.keep({"a": 1, "b": 2, "c": 3}, "facts.json")
    assert stamps.load_entries("facts.json") == {"b": 2, "c": 3}


@pytest.mark.parametrize("content", ["", "[1]", "{", "\xff"])
def test_damaged_facts_are_no_facts(cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / "facts.json").write_bytes(content.encode("latin-1"))
    assert stamps.load_entries("facts.json") == {}


def test_a_stamp_is_carried_over_only_where_nothing_but_the_time_of_status_changed() -> None:
    old = (1, 2, 1 << 20, 4, 5)
    stamps._append_stamp(old, digest(9))
    for now in [(0, 2, 1 << 20, 4, 6), (1, 3, 1 << 20, 4, 6), (1, 2, 1 << 21, 4, 6), (1, 2, 1 << 20, 5, 6)]:
        stamps.carry(old, now)
        assert stamps._find_stamp(now) is None
    stamps.carry((1, 2, 1 << 20, 4, 4), (1, 2, 1 << 20, 4, 6))  # had no stamp
    assert stamps._find_stamp((1, 2, 1 << 20, 4, 6)) is None
    stamps.carry(old, (1, 2, 1 << 20, 4, 6))
    assert stamps._find_stamp((1, 2, 1 << 20, 4, 6)) == digest(9)


@pytest.mark.parametrize("place", ["plain", "/proc"])
def test_where_nothing_can_be_kept_all_is_hashed(
    file: tuple[Path, FileReceipt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path, receipt = file
    (tmp_path / "plain").write_text("no folder")
    monkeypatch.setattr(stamps, "cache_folder", lambda: tmp_path / place)
    assert [receipt.find_problem(path.parent, quick=True) for _ in range(2)] == [None] * 2
    stamps.carry(stamps.read_identity(path), identity(1))
    stamps.forget(stamps.read_identity(path))
    assert not stamps.is_untouched(path, receipt.sha256)


def test_damage_once_found_is_not_forgotten(file: tuple[Path, FileReceipt]) -> None:
    path, receipt = file
    other = FileReceipt(receipt.name, receipt.n_bytes, "f" * 64)
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
    assert not stamps.is_untouched(path, receipt.sha256) and stamps.load_entries("facts.json") == {}
    assert measure_layout(lambda tried: 1.0, "f", "1", alone=True) == get_default_layout(count_cores())
