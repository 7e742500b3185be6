"""The whole gate, here and in CI: lint, format, types, docstrings, tests.

Installs into .venv first if pyproject.toml or scripts/constraints.txt has changed. Other arguments go to pytest:
scripts/test tests/query -k score
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import environment
from environment import ROOT, say, stop

FOLDERS = ("engine", "tests", "scripts")
WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes that must be free in it; the tests need far less at a time
FAST = ("-m", "not slow and not browser and not crash and not network")
SLOW = ("-m", "slow or hypothesis", "--hypothesis-profile=slow", "--timeout=3600")


def parsed_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Return the options of the gate and what goes to pytest."""
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__, allow_abbrev=False)
    parser.add_argument("--fast", action="store_true", help="without the tests marked browser, crash and network")
    parser.add_argument("--slow", action="store_true", help="only what takes long: slow tests, many examples (an hour)")
    parser.add_argument("--lint", action="store_true", help="only ruff")
    parser.add_argument("--types", action="store_true", help="only mypy")
    parser.add_argument("--newest", action="store_true", help="install without the versions of scripts/constraints.txt")
    return parser.parse_known_args()


def run(what: str, *commands: Sequence[str]) -> None:
    """Run commands of .venv as one step with one line of progress; what they say is shown when one fails."""
    started = time.monotonic()
    print(f"== {what} …", end="", flush=True)
    for name, *args in commands:
        done = subprocess.run(
            [str(environment.find_command(name)), *args],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            print(" failed", flush=True)
            stop(done.stdout.rstrip(), done.returncode)
    print(f" passed, {time.monotonic() - started:.0f} s", flush=True)


def lint() -> None:
    """Check the code with ruff."""
    run("ruff: lint, docstrings and format", ("ruff", "check", *FOLDERS), ("ruff", "format", "--check", *FOLDERS))


def check_types() -> None:
    """Check the types with mypy."""
    run("mypy --strict", ("mypy",))


def test(choice: Sequence[str], arguments: Sequence[str]) -> int:
    """Run pytest on two workers and return its exit code."""
    variables = {"OMP_NUM_THREADS": "1", **os.environ}  # the workers have one core each
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process of a command compiles every module again
    folder = make_folder_in_memory() if "TMPDIR" not in variables else None
    if folder:
        variables["TMPDIR"] = str(folder)
    say(f"pytest, with its files in memory: {folder}" if folder else "pytest")
    command: list[str | Path] = [environment.PYTHON, "-m", "pytest", *WORKERS, *choice, *arguments]
    code = subprocess.run(command, cwd=ROOT, env=variables).returncode
    if folder and code == 0:  # else what the tests that failed have left can be looked at
        shutil.rmtree(folder, ignore_errors=True)
    return code


def make_folder_in_memory() -> Path | None:
    """Make a folder for temporary files where no disk has to confirm them; None where there is little room.

    Every publication waits for the disk some thirty times, which takes as long as all its work on a toy index.
    """
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return None
    folder = Path(tempfile.mkdtemp(prefix="engine-tests-", dir=MEMORY))
    folder.chmod(0o755)  # some tests become another user, who must be able to enter it
    return folder


def main() -> None:
    """Run the steps that were asked for."""
    options, arguments = parsed_arguments()
    environment.prepare(for_tests=True, is_newest=options.newest)
    if options.lint or options.types:
        if options.lint:
            lint()
        if options.types:
            check_types()
        return
    if not options.fast:
        say("lint, types and tests: some 9 minutes on 2 cores (scripts/test --fast takes fewer)")
        environment.install_debian_package("strace", "the crash tests, which inject faults with it,")
        environment.install_debian_package("chromium", "the tests of the pages in a browser")
        environment.install_debian_package("chromium-headless-shell", "the same")
    lint()
    check_types()
    raise SystemExit(test(FAST if options.fast else SLOW if options.slow else (), arguments))


if __name__ == "__main__":
    main()
