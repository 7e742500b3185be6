"""A process that has imported what a command needs, and forks commands: one stopped until it is traced, or several at once.

A command so begun is a process as any other: its streams, its exit status and its end are those of `python -m engine`.
It begins in a fifth of the CPU time. Where the start itself matters (arguments seen from outside, imports, streams that
are closed from the beginning), begin a process of its own. Only new indexes search fewer texts for their standards.
"""

import atexit
import contextlib
import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.probes import FEW, set_probes

ROOT = Path(__file__).parent.parent
LOADED = ("engine.cli", "engine.reindex.runs.run", "onnxruntime", "faiss", "tantivy", "tokenizers", "lxml.etree")
SERVING = ("engine.serve.run", "engine.serve.work.drawing", "engine.reindex.runs.update", "engine.query.index")


class WarmProcess:
    """The process that forks, as its parent sees it. Use it as a context manager."""

    def __init__(self, modules: Sequence[str] = LOADED) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.command: int | None = None  # that has not ended
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> "WarmProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.command:  # a test failed before it went on
            os.kill(self.command, signal.SIGKILL)
        self.process.communicate()

    def begin(self, arguments: Sequence[str], folder: Path) -> int:
        """Fork `engine` with these arguments in a folder, where its output goes; return the id of the stopped process."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([arguments, str(folder)]) + "\n")
        self.process.stdin.flush()
        self.command = int(self._hear())
        return self.command

    def wait(self) -> int:
        """Return the exit status of the command that was begun last; -9 if it was killed."""
        status = int(self._hear())
        self.command = None
        return status

    def fork(
        self,
        arguments: Sequence[str],
        streams: tuple[Path, Path],
        environment: Mapping[str, str],
        folder: Path = ROOT,
        patch: str = "",
        input: Path = Path(os.devnull),
    ) -> "Forked":
        """Fork `engine` to run beside others in a folder, its output and its errors going to files or a terminal.

        patch: code that is run before it begins.
        """
        assert self.process.stdin is not None
        status = Path(tempfile.mkdtemp()) / "status"
        order = {"folder": str(folder), "streams": list(map(str, (input, *streams))), "status": str(status)}
        order |= {"environment": dict(environment), "patch": patch}
        with self._one_at_a_time:
            self.process.stdin.write(json.dumps([arguments, order]) + "\n")
            self.process.stdin.flush()
            return Forked(int(self._hear()), status)

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


class Forked:
    """A forked command, which is used like a `subprocess.Popen`."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid, self._status = pid, status
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        if self.returncode is None and self._status.exists():
            self.returncode = int(self._status.read_text())
            self._status.unlink()
            self._status.parent.rmdir()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit status.

        Raises:
            subprocess.TimeoutExpired: it runs longer than so many seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("engine", timeout or 0.0)
            time.sleep(0.002)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


@functools.cache
def find_warm_process() -> WarmProcess:
    """Return the process from which the tests of this process fork commands that run beside each other."""
    found = WarmProcess((*LOADED, *SERVING))
    atexit.register(found.process.communicate)
    return found


def direct(*names: str) -> None:
    """Let standard input, output and error be files."""
    files = {name: os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC) for name in dict.fromkeys(names)}
    for stream, name in enumerate(names):
        os.dup2(files[name], stream)
    for file in files.values():
        os.close(file)


def become(arguments: Sequence[str], folder: str) -> None:
    """Be the command from here on, once this process is continued."""
    os.chdir(folder)
    direct(os.devnull, "stdout", "stderr")
    sys.argv = ["engine", *arguments]
    os.kill(os.getpid(), signal.SIGSTOP)
    runpy.run_module("engine", run_name="__main__", alter_sys=True)


def become_at_once(arguments: Sequence[str], order: dict[str, Any]) -> None:
    """Be the command from here on."""
    os.chdir(order["folder"])
    direct(*order["streams"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", 1 if os.isatty(1) else -1, "utf-8", closefd=False)
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["engine", *arguments]
    exec(order["patch"], {"__name__": "patch"})
    runpy.run_module("engine", run_name="__main__", alter_sys=True)


def keep(order: dict[str, Any]) -> bool:
    """Fork a command from a process that waits for its end and writes its status; return whether this is the command."""
    if os.fork():
        return False
    if (child := os.fork()) == 0:
        return True
    os.write(1, f"{child}\n".encode())
    os.close(1)
    status = Path(order["status"])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status.with_suffix(".part").write_text(str(code))
    status.with_suffix(".part").rename(status)
    os._exit(0)


def bury() -> None:
    """Take note of the processes that kept a command and have ended."""
    with contextlib.suppress(ChildProcessError):  # none is left
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def serve() -> None:
    """Fork a command for each line, and say its id and, when it has ended, its status."""
    while line := sys.stdin.readline():
        arguments, order = json.loads(line)
        if isinstance(order, dict):
            if keep(order):
                return become_at_once(arguments, order)
            bury()
            continue
        if (child := os.fork()) == 0:
            return become(arguments, order)
        os.waitpid(child, os.WUNTRACED)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()
    bury()


if __name__ == "__main__":
    for module in sys.argv[1:]:
        __import__(module)
    set_probes(FEW)
    serve()
