"""A process that meets what Windows does: it runs commands of the engine, given as JSON on its standard input.

The engine takes the system for Windows. What only POSIX has is missing; a folder can't be opened; links can't be made;
what is open can't be deleted, renamed or replaced, nor what is read-only. Libraries are told nothing.
"""

import builtins
import errno
import gc
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import Any

LOADED = ("numpy", "faiss", "onnxruntime", "tokenizers", "tantivy", "lxml.etree", "sqlite3", "subprocess", "tempfile")
MISSING = {"fcntl", "pwd", "grp", "resource", "termios"}
LACKING = {
    "os": "pread pwrite nice getuid geteuid fork sysconf uname O_NOFOLLOW O_NONBLOCK O_CLOEXEC sched_getaffinity".split(),
    "select": ["poll", "POLLERR", "POLLHUP"],
    "signal": "SIGHUP SIGKILL SIGPIPE pthread_sigmask SIG_BLOCK SIG_SETMASK alarm".split(),
}
_REAL = {name: getattr(os, name) for name in ("open", "unlink", "remove", "rename", "replace", "rmdir", "symlink")}


class Lacking(ModuleType):
    """A module of the standard library without what only POSIX has. The engine gets it; libraries get the real one."""

    def __getattr__(self, name: str) -> Any:
        if name in LACKING[self.__name__]:
            raise AttributeError(name)
        return getattr(sys.modules[self.__name__], name)


class Msvcrt(ModuleType):
    """The locks of Windows, of this process only."""

    LK_NBLCK = 2

    def locking(self, descriptor: int, mode: int, n_bytes: int) -> None:
        """Lock a file for the byte of it.

        Raises:
            PermissionError: another descriptor has the lock.
        """
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise PermissionError(errno.EACCES, "Permission denied") from err


def find_open(path: str) -> str | None:
    """The path of a file at or below a path that this process has open or mapped; None if there is none."""
    place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    found = {line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if line.count("/")}
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return next((each for each in found if each == place or each.startswith(f"{place}/")), None)


def guard(name: str) -> Callable[..., Any]:
    """A call that renames or deletes, as Windows allows it."""

    def call(path: Any, *others: Any, **more: Any) -> Any:
        for each in (path, *others):
            if (found := find_open(os.fspath(each))) is not None:
                raise PermissionError(errno.EACCES, f"{found} is being used", str(each))
        last = others[0] if others else path if name in ("unlink", "remove") else None
        if last and os.path.isfile(last) and not os.stat(last).st_mode & 0o200:
            raise PermissionError(errno.EACCES, "Access is denied: read-only", str(last))
        return _REAL[name](path, *others, **more)

    return call


def open_file(path: Any, flags: int, *mode: Any, **more: Any) -> int:
    """Open a file.

    Raises:
        PermissionError: it is a folder.
    """
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
    return int(_REAL["open"](path, flags, *mode, **more))


def refuse(*_: Any, **__: Any) -> None:
    """Refuse a link.

    Raises:
        OSError: always.
    """
    raise OSError(errno.EPERM, "A required privilege is not held by the client")


def become_windows() -> None:
    """Change what the engine meets."""
    for name in LOADED:
        import_module(name)
    real_import = builtins.__import__

    lacking = {name: Lacking(name) for name in LACKING}

    def load(name: str, importer: Any = None, *given: Any, **more: Any) -> Any:
        if (importer or {}).get("__name__", "").startswith("engine"):
            if name in MISSING:
                raise ImportError(name)
            if name in LACKING:
                return lacking[name]
        return real_import(name, importer, *given, **more)

    builtins.__import__ = load
    sys.modules["msvcrt"] = Msvcrt("msvcrt")
    hidden, sys.modules["fcntl"] = sys.modules.pop("fcntl", None), None  # type: ignore[assignment]
    sys.platform = "win32"
    import engine.platform as ours

    sys.platform = "linux"
    sys.modules["fcntl"] = hidden or import_module("fcntl")
    ours._PAUSES = (0.001,)
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    for name in ("unlink", "remove", "rename", "replace", "rmdir"):
        setattr(os, name, guard(name))
    os.open, os.symlink = open_file, refuse


@contextmanager
def hold(folder: str) -> Iterator[None]:
    """Keep an index open, as a server does."""
    from engine import open_index

    with open_index(folder, follow=False) as index:
        assert index.search("gout", top_k=1)
        yield
        assert index.search("gout", top_k=1)


def main() -> None:
    """Import the modules named as arguments, then run commands; print their exit codes and messages as JSON.

    A command is {"run": [...], "held": the folder of an index that is open meanwhile, or null}.
    """
    become_windows()
    for name in sys.argv[1:]:
        import_module(name)
    from click.testing import CliRunner

    from engine.cli import main as command

    done = []
    for each in json.load(sys.stdin):
        gc.collect()  # closes what the last command left to be found, as the end of its process would
        with hold(each["held"]) if each["held"] else nullcontext():
            result = CliRunner().invoke(command, each["run"])
        done.append([result.exit_code, result.output])
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    main()
