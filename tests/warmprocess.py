"""A process that has imported what a command needs, and forks one command after another, each stopped until it is traced.

A command so begun is a process as any other: its streams, its exit status and its end are those of `python -m engine`.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOADED = ("engine.cli", "engine.reindex.runs.run", "onnxruntime", "faiss", "tantivy", "tokenizers", "lxml.etree")


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

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def become(arguments: Sequence[str], folder: str) -> None:
    """Be the command from here on, once this process is continued."""
    os.chdir(folder)
    for stream, name in enumerate((os.devnull, "stdout", "stderr")):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
        os.close(file)
    sys.argv = ["engine", *arguments]
    os.kill(os.getpid(), signal.SIGSTOP)
    runpy.run_module("engine", run_name="__main__", alter_sys=True)


def serve() -> None:
    """Fork a command for each line, and say its id and, when it has ended, its status."""
    while line := sys.stdin.readline():
        if (child := os.fork()) == 0:
            return become(*json.loads(line))
        os.waitpid(child, os.WUNTRACED)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    for module in sys.argv[1:]:
        __import__(module)
    serve()
