"""Writes that fail loudly, on a disk that is really full."""

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine import stamps
from engine.index.files import durable
from engine.index.search.layout import _size_of, write_file
from engine.receipts import FileReceipt
from tests.conftest import ROOT


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def write_plain(target: Path) -> None:
    durable.write_bytes(target, np.arange(_size_of(60, 384), dtype=np.uint8).tobytes())


def write_vectors(target: Path) -> None:
    write_file(target, np.arange(60, dtype=np.int64), 384, np.eye(60, 384, dtype=np.float32).reshape(6, 10, 384))


@pytest.mark.parametrize("write", [write_plain, write_vectors])
def test_a_full_disk_is_never_a_success(tiny_disk: Path, tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    filler, target = tiny_disk / "filler", tiny_disk / "vectors.faiss"
    failed = fitted = 0
    for short in (*range(1, 4097, 64), 0, -4096, -8192):
        target.unlink(missing_ok=True)
        filler.write_bytes(b"")
        filler.write_bytes(bytes(max(0, room(tiny_disk) - len(content) + short)))
        try:
            write(target)
        except OSError as err:
            assert err.errno == 28
            failed += 1
        else:
            assert target.read_bytes() == content
            fitted += 1
    assert failed >= 60 and fitted >= 2


def test_nothing_in_the_engine_lets_faiss_write_a_file() -> None:
    """faiss.write_index can report success on a full disk: its last buffer is flushed where no error can be raised."""
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "engine").rglob("*.py")}
    assert not [path for path, text in sources.items() if "write_index(" in text or "FileIOWriter" in text]
    assert any("serialize_index(" in text for text in sources.values())


def test_a_device_that_is_full_raises() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        durable.write_bytes(Path("/dev/full"), b"x")


def test_replace_text_leaves_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "CURRENT"
    durable.replace_text(path, "old")
    inode = path.stat().st_ino
    durable.replace_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_ino != inode  # another file: a reader of the old one still reads it whole
    assert [p.name for p in tmp_path.iterdir()] == ["CURRENT"]


def test_a_copy_is_the_same_and_writable(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(os.urandom(3 << 20))
    source.chmod(0o444)
    durable._copy_file(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert os.access(target, os.W_OK) and target.stat().st_mode & 0o200


@pytest.fixture
def stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, FileReceipt]:
    """A large read-only file, and its receipt, which this machine has checked."""
    monkeypatch.setattr(stamps, "_SETTLED", 0.0)
    path = tmp_path / "old" / "words"
    path.parent.mkdir()
    path.write_bytes(os.urandom(stamps._LARGE))
    path.chmod(0o444)
    receipt = FileReceipt.of(path)
    assert receipt.find_problem(path.parent, quick=True) is None
    assert stamps.is_untouched(path, receipt.sha256)
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    return path, receipt


def test_a_linked_file_keeps_its_stamp_when_links_come_and_go(stamped: tuple[Path, FileReceipt]) -> None:
    path, receipt = stamped
    other = path.parent.with_name("new")
    other.mkdir()
    before = stamps.read_identity(path)
    assert durable.share_file(path, other / path.name)
    assert stamps.read_identity(path) != before  # a link changes the time of status
    assert stamps.is_untouched(path, receipt.sha256) and stamps.is_untouched(other / path.name, receipt.sha256)
    before = stamps.read_identity(path)
    time.sleep(0.02)
    (other / "manifest.json").write_text("{}")
    durable.remove_folder(path.parent, "manifest.json")
    assert not path.parent.exists()
    assert stamps.read_identity(other / path.name) != before
    assert stamps.is_untouched(other / path.name, receipt.sha256)


def test_a_link_lends_no_stamp_to_an_edited_file(stamped: tuple[Path, FileReceipt]) -> None:
    path, receipt = stamped
    times = path.stat()
    path.chmod(0o644)
    path.write_bytes(bytes(stamps._LARGE))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert durable.share_file(path, path.with_name("link"))
    durable._unlink_file(path)
    assert not stamps.is_untouched(path.with_name("link"), receipt.sha256)


def test_where_links_are_refused_the_file_is_copied(
    stamped: tuple[Path, FileReceipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, receipt = stamped

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    target = path.with_name("copy")
    assert not durable.share_file(path, target)
    assert target.read_bytes() == path.read_bytes() and target.stat().st_ino != path.stat().st_ino
    assert target.stat().st_mode & 0o777 == 0o444
    assert stamps.is_untouched(path, receipt.sha256)


def test_a_link_never_replaces_a_file(stamped: tuple[Path, FileReceipt]) -> None:
    path, _ = stamped
    target = path.with_name("there")
    target.write_text("kept")
    with pytest.raises(FileExistsError, match="File exists"):
        durable.share_file(path, target)
    assert target.read_text() == "kept"


def test_unlinking_takes_what_can_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    durable._unlink_file(tmp_path / "dangling")
    assert list(tmp_path.glob("*")) == []
    with pytest.raises(FileNotFoundError, match="nothing"):
        durable._unlink_file(tmp_path / "nothing")
