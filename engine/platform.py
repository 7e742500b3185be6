"""What differs between Linux, macOS and Windows. No other module asks which system it runs on, or calls what one lacks.

Where a system can't do something, the function says what it does instead. Only Linux has been tried; tests run the
other branches by simulation.
"""

from __future__ import annotations

import errno
import importlib
import os
import select
import shutil
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import socket

_FULL = {errno.ENOSPC, errno.EDQUOT}


def _load(name: str) -> Any:
    """Return a module of the standard library; None where this system has none."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_fcntl, _msvcrt = _load("fcntl"), _load("msvcrt")
_os: Any = os  # with what some systems lack, as far as types are checked
_signal: Any = signal
_select: Any = select

_SYSTEM = sys.platform
_IS_LINUX, _IS_MAC, _IS_WINDOWS = _SYSTEM == "linux", _SYSTEM == "darwin", _SYSTEM == "win32"

_PLAIN = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)  # Windows would change line ends
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would block
_READ_ONLY = 0o444
_LOCKED = 0x7FFF_FFFE  # the byte that is locked on Windows, where others can't read what is locked: beyond any content
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # seconds; on Windows a file that is just being read can't be replaced
_CLONE = 0x40049409  # FICLONE, linux/fs.h
_EXCHANGE = {"linux": ("renameat2", -100, 2), "darwin": ("renameatx_np", -2, 2)}  # function, AT_FDCWD, flag; by system
_UNREAD = 141  # 128 + SIGPIPE, as a shell shows it
_LOW_PRIORITY = 0x4000  # BELOW_NORMAL_PRIORITY_CLASS, winbase.h
_STATUS_WORDS = 8  # of 8 bytes in MEMORYSTATUSEX, sysinfoapi.h: length and load, all memory, available memory, others
# Errors by which a file system without hard links (exFAT, many network mounts) refuses one, or one to another disk.
_NO_HARD_LINKS = {
    errno.EPERM,
    errno.EACCES,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EMLINK,
    errno.EINVAL,
    errno.EXDEV,
}

# Signals that end a command: Ctrl-C, the end asked for by another process, and the end of the terminal.
ENDING_SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)


# Open files


def open_to_read(path: Path | str, *, plain: bool = False) -> int:
    """Open a file and return its descriptor, which no other process inherits.

    plain: refuse a link where the system can tell, and never wait for the writer of a pipe.

    Raises:
        OSError: as the system says.
    """
    return os.open(path, os.O_RDONLY | _PLAIN | ((_NO_LINK | _NO_WAIT) if plain else 0))


def open_to_change(path: Path, *, mode: int = 0o644) -> int:
    """Open a file for reading and writing, make it if it is missing, and return its descriptor. A link is refused.

    Raises:
        OSError: as the system says.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | _PLAIN | _NO_LINK, mode)


def open_to_append(path: Path, *, mode: int = 0o644) -> int:
    """Open a file to write at its end, make it if it is missing, and return its descriptor.

    Raises:
        OSError: as the system says.
    """
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _PLAIN, mode)


def read_at(descriptor: int, n_bytes: int, offset: int) -> bytes:
    """Return bytes of an open file from an offset; fewer at its end.

    Windows moves the place of the descriptor by this, so there no two threads may share one.

    Raises:
        OSError: as the system says.
    """
    if not hasattr(os, "pread"):
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, n_bytes)
    content: bytes = _os.pread(descriptor, n_bytes, offset)
    return content


def replace_content(descriptor: int, content: bytes) -> None:
    """Write a short content in place of what an open file holds.

    Raises:
        OSError: as the system says.
    """
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, content)


def take_lock(descriptor: int) -> bool:
    """Lock an open file against others who do so; return False if one of them has the lock.

    The lock ends when the descriptor is closed, so also with the process, however that ends.

    Raises:
        OSError: the file system knows no locks.
    """
    if _fcntl is None:
        return _lock_byte(descriptor)
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_byte(descriptor: int) -> bool:
    """Lock a byte of an open file as Windows does; return False if it is locked.

    Raises:
        OSError: the file system knows no locks.
    """
    os.lseek(descriptor, _LOCKED, os.SEEK_SET)
    try:
        _msvcrt.locking(descriptor, _msvcrt.LK_NBLCK, 1)
    except OSError as err:
        if err.errno not in (errno.EACCES, errno.EDEADLK):
            raise
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True


# The disk


def sync_file(descriptor: int) -> None:
    """Wait until the disk has what was written to an open file.

    On macOS fsync leaves it in the cache of the disk, so F_FULLFSYNC is asked for where the file system knows it.

    Raises:
        OSError: the disk failed.
    """
    if _IS_MAC and hasattr(_fcntl, "F_FULLFSYNC"):
        with suppress(OSError):
            _fcntl.fcntl(descriptor, _fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_path(path: Path) -> None:
    """Wait until the disk has a file, or of a folder the names in it.

    Windows can't wait for a folder: NTFS writes its names in order by its journal.

    Raises:
        OSError: there is no such file, or the disk failed.
    """
    if not _IS_WINDOWS:
        descriptor = open_to_read(path)
    elif stat.S_ISDIR((found := os.stat(path)).st_mode) or not found.st_mode & stat.S_IWRITE:
        return
    else:
        descriptor = os.open(path, os.O_RDWR | _PLAIN)  # Windows syncs only what is open for writing
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def count_free_bytes(path: Path) -> int:
    """Return how many bytes this user may still write to the file system of a path.

    Raises:
        OSError: there is no such path.
    """
    return shutil.disk_usage(path).free


def replace_path(source: Path, target: Path) -> None:
    """Give a file or a folder a name. A file that has this name is replaced.

    Windows refuses that while another program has one of them open, as a virus scanner does for a moment: it is tried
    for two seconds.

    Raises:
        OSError: as the system says.
    """
    for pause in _PAUSES if _IS_WINDOWS else ():
        with suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(pause)
    os.replace(source, target)


def can_move_open() -> bool:
    """Return whether a file that is open can be deleted, and a folder with it renamed; Windows refuses that."""
    return not _IS_WINDOWS


def exchange_paths(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return False where the system or the file system can't."""
    name, here, flag = _EXCHANGE.get(_SYSTEM, ("", 0, 0))
    library = _load("ctypes")
    if not name or library is None or (rename := getattr(library.CDLL(None), name, None)) is None:
        return False
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), flag) == 0)


def link_file(source: Path, target: Path) -> bool:
    """Give a file a second name; return False where the file system has no hard links, or it is on another disk.

    Raises:
        OSError: there is no source, or the target exists.
    """
    try:
        os.link(source, target)
    except OSError as err:
        if err.errno not in _NO_HARD_LINKS:
            raise
        return False
    return True


def has_symbolic_links() -> bool:
    """Return whether every user may make symbolic links; Windows leaves it to some."""
    return not _IS_WINDOWS


def clone_blocks(source: int, target: int) -> bool:
    """Share the blocks of two open files on Linux; return False where that is not supported."""
    if not _IS_LINUX or _fcntl is None:
        return False
    try:
        _fcntl.ioctl(target, _CLONE, source)
    except OSError:
        return False
    return True


def make_read_only(path: Path) -> None:
    """Make a file read-only, to prevent accidental edits. One that is so already is not touched.

    On Windows nothing is done: a file that is read-only can't be deleted there.

    Raises:
        OSError: as the system says.
    """
    if not _IS_WINDOWS and path.stat().st_mode & 0o777 != _READ_ONLY:
        path.chmod(_READ_ONLY)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that a disk, or what a user may store there, is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def is_private(folder: Path) -> bool:
    """Return whether a folder is one of this user, and nobody else can use it. On Windows, that of the user is.

    Raises:
        OSError: there is no such folder.
    """
    status = folder.stat()
    return _IS_WINDOWS or (status.st_uid == _os.geteuid() and not status.st_mode & 0o077)


# The machine and its user


def count_free_memory() -> int:
    """Return the bytes of memory that are free, with what the system can free at once; all of it if it does not say."""
    with suppress(OSError, ValueError, LookupError):
        if _IS_MAC:
            return _read_vm_stat(_run("vm_stat"))
        if _IS_WINDOWS:
            return _ask_windows_memory()
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return int(_os.sysconf("SC_PHYS_PAGES") * _os.sysconf("SC_PAGE_SIZE"))


def _run(command: str) -> str:
    """Return what a command of the system prints; nothing if it fails.

    Raises:
        OSError: there is no such command.
    """
    import subprocess

    return subprocess.run([command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def _read_vm_stat(text: str) -> int:
    """Return the free and inactive bytes of memory that vm_stat of macOS lists.

    Raises:
        ValueError: the text is of another form.
        LookupError: a line is missing.
    """
    head, *lines = text.splitlines()
    pages = {name: int(value.strip(" .")) for name, colon, value in (line.partition(":") for line in lines) if colon}
    size = int(head.partition("page size of")[2].split()[0])
    return (pages["Pages free"] + pages["Pages inactive"]) * size


def _ask_windows_memory() -> int:
    """Return the physical memory that Windows calls available, in bytes."""
    library = _load("ctypes")
    status = (library.c_uint64 * _STATUS_WORDS)()
    status[0] = 8 * _STATUS_WORDS  # the length of the structure, in its first 4 bytes
    library.windll.kernel32.GlobalMemoryStatusEx(library.byref(status))
    return int(status[2])


def read_processor_lines() -> list[str]:
    """Return the lines of Linux's description of the processors; none elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def has_apple_gpu() -> bool:
    """Return whether this is a Mac with a processor of Apple, whose GPU torch calls mps."""
    import platform

    return _IS_MAC and platform.machine() == "arm64"


def lower_priority(niceness: int) -> None:
    """Let other processes go before this one; niceness is from 1 to 19, of which Windows knows one step."""
    with suppress(OSError):
        if hasattr(os, "nice"):
            _os.nice(niceness)
        elif _IS_WINDOWS:
            library = _load("ctypes")
            library.windll.kernel32.SetPriorityClass(library.c_void_p(-1), _LOW_PRIORITY)  # -1: this process


def read_user_name() -> str:
    """Return the name of the user that runs this process.

    Raises:
        OSError: the system does not know it.
    """
    import getpass

    accounts = _load("pwd")
    try:
        return str(accounts.getpwuid(_os.getuid()).pw_name) if accounts else getpass.getuser()
    except (KeyError, ImportError) as err:
        raise OSError("this user has no name on this system") from err


def split_command(command: str) -> list[str] | str:
    """Return a command line as a process is started with it: its words, as a shell reads them; on Windows the line.

    Raises:
        ValueError: a quote is not closed.
    """
    import shlex

    return command if _IS_WINDOWS else shlex.split(command)  # a shell would drop the backslashes of its paths


def has_cron() -> bool:
    """Return whether commands are run at night by cron or systemd, and not by the Task Scheduler of Windows."""
    return not _IS_WINDOWS


@contextmanager
def delay_signals() -> Iterator[None]:
    """Delay the signals that end a command until the block has ended. Only the main thread may do this."""
    if hasattr(signal, "pthread_sigmask"):
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING_SIGNALS)
        try:
            yield
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        return
    arrived: list[int] = []
    handlers = [(each, signal.signal(each, lambda number, _: arrived.append(number))) for each in ENDING_SIGNALS]
    try:
        yield
    finally:
        for each, handler in handlers:
            signal.signal(each, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


# Streams and sockets


def is_closed_pipe(error: OSError) -> bool:
    """Return whether an error says that nobody reads a pipe any more; Windows calls that an invalid argument."""
    return isinstance(error, BrokenPipeError) or (
        _IS_WINDOWS and error.errno == errno.EINVAL and error.filename is None
    )


def is_unread(descriptor: int) -> bool:
    """Return whether a descriptor is a pipe that nobody reads any more; where a system can't tell, assume it.

    Another broken pipe, such as to a process that was killed, does not change the answer.
    """
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    try:
        poll.register(descriptor, 0)
    except (OSError, ValueError):  # no descriptor
        return False
    return any(event & (_select.POLLERR | _select.POLLHUP) for _, event in poll.poll(0))


def end_unread() -> NoReturn:
    """End the process as git does where nobody reads its output any more: by SIGPIPE, or with the same exit status.

    A parent that ignores the signal changes nothing.
    """
    if hasattr(signal, "SIGPIPE"):
        signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        signal.raise_signal(_signal.SIGPIPE)
    os._exit(_UNREAD)


def choose_encoding(stream: Any) -> str | None:
    """Return the encoding that an output stream must be given to take any text; None where it has one that does.

    Windows gives files and pipes an old encoding that lacks most characters.
    """
    return "utf-8" if _IS_WINDOWS and not stream.isatty() else None


def prepare_listener(listener: socket.socket) -> None:
    """Let a socket be bound to an address that was in use a moment ago, but never to one that is in use.

    Windows allows the first by itself, and would understand the option as leave for the second.
    """
    import socket

    if not _IS_WINDOWS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def open_local_socket() -> socket.socket:
    """Open a socket for the processes of this machine, whose address is a path.

    Raises:
        OSError: this Python has none, as on Windows.
    """
    import socket

    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return socket.socket(family)
