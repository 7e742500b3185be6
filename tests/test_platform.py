"""What differs by system. The branches for macOS and Windows run here with false modules and false answers of the system."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import platform
from engine.errors import LockedError, UsageError
from engine.index.files.lock import lock_for_writing
from tests.conftest import ROOT, Command, command_environment, copy_toy

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10.
Pages active:                          17000.
Pages inactive:                            5.
"Translation faults":               12345678.
"""


class Msvcrt:
    """The locks of Windows: one holder for each file, who can't have its own lock twice."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], int] = {}
        self.error = errno.EACCES

    def locking(self, descriptor: int, mode: int, n_bytes: int) -> None:
        assert (mode, n_bytes, os.lseek(descriptor, 0, os.SEEK_CUR)) == (self.LK_NBLCK, 1, platform._LOCKED)
        found = os.fstat(descriptor)
        holder = self.held.setdefault((found.st_dev, found.st_ino), descriptor)
        if holder != descriptor and Path(f"/proc/self/fd/{holder}").exists():
            raise OSError(self.error, os.strerror(self.error))


def fail(error: int) -> Callable[..., Any]:
    """A call of the system that always fails."""

    def call(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return call


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    """Windows, as far as the module looks."""
    false = Msvcrt()
    for name, value in {"_IS_LINUX": False, "_IS_WINDOWS": True, "_fcntl": None, "_msvcrt": false}.items():
        monkeypatch.setattr(platform, name, value)
    return false


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "_IS_LINUX", False)
    monkeypatch.setattr(platform, "_IS_MAC", True)


# Files


@pytest.mark.parametrize("is_windows", [False, True])
def test_one_of_two_has_the_lock_until_it_closes_the_file(
    is_windows: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if is_windows:
        request.getfixturevalue("windows")
    path = tmp_path / "LOCK"
    with lock_for_writing(path), pytest.raises(LockedError, match=rf"another process \(pid {os.getpid()} on "):
        lock_for_writing(path).__enter__()
    with lock_for_writing(path):
        assert path.read_text().startswith(f"pid {os.getpid()} on ")


def test_a_disk_without_locks_is_an_error_on_windows(windows: Msvcrt, tmp_path: Path) -> None:
    windows.error = errno.ENOSYS
    first, second = (platform.open_to_change(tmp_path / "LOCK") for _ in range(2))
    assert platform.take_lock(first)
    with pytest.raises(OSError, match="not implemented"):
        platform.take_lock(second)
    assert os.lseek(second, 0, os.SEEK_CUR) == 0
    os.close(first), os.close(second)


def test_the_work_of_a_fetch_is_locked_on_windows(windows: Msvcrt, tmp_path: Path) -> None:
    from engine.collect.fetch.workfile import open_work

    with open_work(tmp_path / "w", {"query": "gout"}, ()) as work:
        work.add("page", {}, b"\r\n\x1a")
        with pytest.raises(UsageError, match="is being written by another process"):
            open_work(tmp_path / "w", {"query": "gout"}, ()).__enter__()
    with open_work(tmp_path / "w", {"query": "gout"}, ()) as work:
        assert work.is_resumed and work.read_content("page") == b"\r\n\x1a"


def test_bytes_are_read_at_an_offset_without_pread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    descriptor = platform.open_to_read(tmp_path / "f")
    asked = [(4, 2), (4, 0), (9, 8), (1, 20)]
    with_pread = [platform.read_at(descriptor, *each) for each in asked]
    monkeypatch.delattr(os, "pread")
    assert [platform.read_at(descriptor, *each) for each in asked] == with_pread == [b"2345", b"0123", b"89", b""]
    os.close(descriptor)


def test_files_are_opened_as_bytes_where_the_system_would_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(platform, "_PLAIN", 0x8000)  # O_BINARY
    monkeypatch.setattr(os, "open", lambda path, flags, *mode: asked.append(flags) or 5)
    for call in (platform.open_to_read, platform.open_to_change, platform.open_to_append):
        call(Path("x"))
    assert len(asked) == 3 and all(flags & 0x8000 for flags in asked)


def test_windows_syncs_files_that_are_open_for_writing_and_no_folders(
    windows: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, []

    def sync(descriptor: int) -> None:
        os.write(descriptor, b"")  # EBADF if it is open for reading only
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    for name in ("new", "sealed"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sealed").chmod(0o444)
    for path in (tmp_path / "new", tmp_path / "sealed", tmp_path):
        platform.sync_path(path)
    assert synced == [str(tmp_path / "new")]
    with pytest.raises(FileNotFoundError):
        platform.sync_path(tmp_path / "none")


@pytest.mark.parametrize("knows", [True, False])
def test_a_mac_is_asked_to_empty_the_cache_of_the_disk(
    knows: bool, mac: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    full = (lambda descriptor, what: done.append(what)) if knows else fail(errno.ENOTSUP)
    monkeypatch.setattr(platform, "_fcntl", SimpleNamespace(F_FULLFSYNC=51, fcntl=full))
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("fsync"))
    platform.sync_path(tmp_path)
    assert done == ([51] if knows else ["fsync"])


def test_windows_tries_again_to_replace_what_is_open(
    windows: Msvcrt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, waits = os.replace, []
    monkeypatch.setattr("time.sleep", waits.append)

    def replace(source: Path, target: Path) -> None:
        if len(waits) < 3:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    (tmp_path / "new").write_text("new")
    platform.replace_path(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new" and waits == [0.01, 0.02, 0.05]
    monkeypatch.setattr(os, "replace", fail(errno.EACCES))
    with pytest.raises(PermissionError):
        platform.replace_path(tmp_path / "old", tmp_path / "new")
    assert len(waits) == 3 + len(platform._PAUSES)
    with pytest.raises(FileNotFoundError):
        monkeypatch.setattr(os, "replace", real)
        platform.replace_path(tmp_path / "none", tmp_path / "new")


def test_two_folders_exchange_their_names(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir(), other.mkdir(), (one / "of one").touch()
    assert platform.exchange_paths(one, other)
    assert (other / "of one").exists() and not (one / "of one").exists()


@pytest.mark.parametrize(("system", "asked"), [("win32", []), ("darwin", [(-2, b"a", -2, b"b", 2)])])
def test_names_are_exchanged_as_the_system_can(
    system: str, asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def load(name: str | None) -> object:  # Windows has no library of this name, and raises TypeError
        assert system == "darwin" and name is None
        return SimpleNamespace(renameatx_np=lambda *given: calls.append(given) or 0)

    monkeypatch.setattr(platform, "_load", lambda name: SimpleNamespace(CDLL=load))
    monkeypatch.setattr(platform, "_SYSTEM", system)
    assert platform.exchange_paths(Path("a"), Path("b")) is bool(asked)
    assert calls == asked


@pytest.mark.parametrize("error", [errno.EPERM, errno.EXDEV, errno.EINVAL, errno.EMLINK])
def test_a_disk_without_links_is_no_error(error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").touch()
    assert platform.link_file(tmp_path / "a", tmp_path / "b") and (tmp_path / "b").exists()
    with pytest.raises(FileExistsError):
        platform.link_file(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr(os, "link", fail(error))
    assert not platform.link_file(tmp_path / "a", tmp_path / "c")
    monkeypatch.setattr(os, "link", fail(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        platform.link_file(tmp_path / "a", tmp_path / "c")


def test_only_linux_is_asked_to_share_blocks(mac: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "_fcntl", SimpleNamespace(ioctl=lambda *given: pytest.fail("means something else")))
    assert not platform.clone_blocks(0, 1)


def test_nothing_is_made_read_only_where_it_could_not_be_deleted(windows: Msvcrt, tmp_path: Path) -> None:
    (tmp_path / "f").touch(0o644)
    platform.make_read_only(tmp_path / "f")
    assert os.access(tmp_path / "f", os.W_OK) and (tmp_path / "f").stat().st_mode & 0o200


# The machine and its user


def test_the_free_memory_of_each_system(monkeypatch: pytest.MonkeyPatch) -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 1 << 20 < platform.count_free_memory() <= total
    monkeypatch.setattr(platform, "_IS_MAC", True)
    monkeypatch.setattr(platform, "_run", lambda command: {"vm_stat": VM_STAT}[command])
    assert platform.count_free_memory() == 15 * 16384
    monkeypatch.setattr(platform, "_run", lambda command: "")
    assert platform.count_free_memory() == total


def test_the_free_memory_of_windows(windows: Msvcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    def fill(status: Any) -> int:
        words = status._obj
        assert (len(words) * 8, words[0]) == (64, 64)  # sizeof(MEMORYSTATUSEX), told in its first field
        words[1], words[2] = 16 << 30, 5 << 30  # all memory, available memory
        return 1

    kernel = SimpleNamespace(GlobalMemoryStatusEx=fill, SetPriorityClass=lambda *given: classes.append(given[1]))
    classes: list[int] = []
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert platform.count_free_memory() == 5 << 30
    monkeypatch.delattr(os, "nice")
    platform.lower_priority(10)
    assert classes == [0x4000]


def test_the_user_has_a_name_without_a_list_of_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    assert platform.read_user_name() == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(platform, "_load", lambda name: None)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USERNAME", "ann")
    assert platform.read_user_name() == "ann"


def test_a_signal_waits_for_the_end_of_the_block_without_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_sigmask")
    before, done = signal.getsignal(signal.SIGTERM), []
    interrupt = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where a shell started the tests with &
    try:
        with pytest.raises(KeyboardInterrupt), platform.delay_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("block")
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert done == ["block"] and signal.getsignal(signal.SIGTERM) is before


def test_windows_gives_other_errors_encodings_and_sockets(windows: Msvcrt, monkeypatch: pytest.MonkeyPatch) -> None:
    assert platform.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument")) and platform.is_closed_pipe(
        BrokenPipeError()
    )
    assert not platform.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument", "file"))
    assert platform.choose_encoding(SimpleNamespace(isatty=lambda: False)) == "utf-8"
    assert platform.choose_encoding(SimpleNamespace(isatty=lambda: True)) is None
    with socket.socket() as listener:
        platform.prepare_listener(listener)
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        monkeypatch.setattr(platform, "_IS_WINDOWS", False)
        platform.prepare_listener(listener)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert not platform.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument"))


def test_a_system_without_local_sockets_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with platform.open_local_socket() as local:
        assert local.family == socket.AF_UNIX
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(OSError, match=os.strerror(errno.EAFNOSUPPORT)):
        platform.open_local_socket()


def test_a_pipe_without_a_reader_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with (tmp_path / "file").open("w") as file:
        assert not platform.is_unread(writer) and not platform.is_unread(file.fileno())
    os.close(reader)
    assert platform.is_unread(writer)
    os.close(writer)
    assert not platform.is_unread(-1)
    monkeypatch.delattr("select.poll")
    assert platform.is_unread(-1)  # where a system can't tell


def test_an_unread_process_ends_with_the_same_status_without_the_signal() -> None:
    code = "import signal; {}; from engine.platform import end_unread; end_unread()"
    run = partial(subprocess.run, check=False)
    assert run([sys.executable, "-c", code.format("pass")]).returncode == -signal.SIGPIPE
    assert run([sys.executable, "-c", code.format("del signal.SIGPIPE")]).returncode == 141


def test_a_command_line_is_split_as_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    line = r'"C:\Program Files\mail.exe" -s night'
    assert platform.split_command("mail -s 'of the night'") == ["mail", "-s", "of the night"]
    monkeypatch.setattr(platform, "_IS_WINDOWS", True)
    assert platform.split_command(line) == line


def test_windows_is_told_its_own_scheduler(windows: Msvcrt, engine: Command) -> None:
    for option in ("--print-cron", "--print-systemd"):
        done = engine("nightly", "toy", option, "--log", "a b.jsonl")
        assert done.returncode == 2 and "Windows has neither cron nor systemd" in done.stderr
        assert "\nschtasks /Create /SC DAILY /ST 02:30 /TN engine-nightly-toy /TR " in done.stderr
        assert r"a b.jsonl\"" in done.stderr


# All of it


# Import torch, or a package that only other programs bring; the rule of test_layers.py holds for them, too.
HEAVY = (
    "engine.encode.cpu.torchrunner",
    "engine.encode.crossencoder.export",
    "engine.encode.gpu",
    "engine.encode.original",
    "engine.train",
    "engine.retrievers",
    "engine.scale",
    "engine.__main__",
)


def test_an_index_is_made_searched_updated_and_restored_where_open_files_stay(tmp_path: Path) -> None:
    """As on Windows: see tests/windows.py. While one process has the index open, another publishes and deletes."""
    toy = copy_toy(tmp_path / "indexes" / "toy")
    (toy.path / "index.toml").write_text('device = "cpu"\nkeep_generations = 1\nsources = ["../../1.jsonl"]\n')
    for number in range(1, 5):
        (tmp_path / f"{number}.jsonl").write_text(json.dumps({"id": f"w{number}", "title": f"Zorbing {number}"}) + "\n")
    held = {"held": str(toy.path)}
    commands = [
        {"run": ["index", tmp_path / "1.jsonl", "-i", "toy"]},
        {"run": ["index", tmp_path / "2.jsonl", "-i", "toy"], **held},
        {"run": ["index", tmp_path / "3.jsonl", "-i", "toy"], **held},
        {"run": ["verify", "--deep", "-i", "toy"], **held},
        {"run": ["backup", "-i", "toy", "-o", tmp_path / "backup", "--current"], **held},
        {"run": ["restore", tmp_path / "backup", "-i", "toy", "--replace"]},
        {"run": ["nightly", "toy", "--offline"]},
        {"run": ["index", tmp_path / "4.jsonl", "-i", "toy"]},
        {"run": ["search", "zorbing", "-i", "toy", "-n", "4", "--mode", "keyword", "-o", tmp_path / "hits.ris"]},
        {"run": ["nightly", "toy", "--print-cron"]},
    ]
    done = run_on_windows(commands, tmp_path)
    assert [code for code, _ in done] == [0] * 9 + [2], done
    assert "schtasks /Create" in done[-1][1]
    assert (tmp_path / "hits.ris").read_text().count("Zorbing") == 4
    assert toy.list_numbers() == [toy.read_pointer()]  # what was open was deleted by a later run
    assert len(list(toy.segments.iterdir())) == 1
    assert all(path.stat().st_mode & 0o200 for path in toy.path.rglob("*"))


def run_on_windows(commands: list[dict[str, Any]], folder: Path) -> list[tuple[int, str]]:
    """The exit code and the output of commands that a process as on Windows has run."""
    given = [
        {"run": [*map(str, each["run"]), "--indexes", str(folder / "indexes")], "held": each.get("held")}
        for each in commands
    ]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "engine").rglob("*.py")]
    modules = [name.removesuffix(".__init__") for name in names if not name.startswith(HEAVY)]
    assert {"engine.platform", "engine.serve.run", "engine.collect.fetch.workfile"} < set(modules)
    environment = {**command_environment(folder), "PYTHONPATH": str(ROOT)}
    process = [sys.executable, ROOT / "tests" / "windows.py", *modules]
    done = subprocess.run(
        process, input=json.dumps(given), capture_output=True, text=True, env=environment, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return [(code, output) for code, output in json.loads(done.stdout.splitlines()[-1])]


def test_a_folder_is_private_if_nobody_else_can_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode, is_private in ((0o700, True), (0o500, True), (0o750, False), (0o701, False)):
        tmp_path.chmod(mode)
        assert platform.is_private(tmp_path) is is_private, oct(mode)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert not platform.is_private(tmp_path)


def test_windows_keeps_folders_of_the_user_private(tmp_path: Path, windows: Msvcrt) -> None:
    tmp_path.chmod(0o755)
    assert platform.is_private(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_types_are_right_on_the_other_systems(system: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--platform", system, "--cache-dir", str(tmp_path), "engine"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
