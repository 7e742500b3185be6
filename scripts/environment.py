"""The virtual environment .venv with the engine in it, for quickstart and the gate. Standard library only.

Where there is no NVIDIA GPU and pip can find a CPU build of torch, that build is installed: others bring gigabytes of
CUDA. The versions are those of constraints.txt, except that of torch. Nothing is installed again while that file and
pyproject.toml are unchanged. What pip says is in .venv/install.log.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
FOLDER, ENDING = ("Scripts", ".exe") if sys.platform == "win32" else ("bin", "")  # of the commands in it
PYTHON = VENV / FOLDER / f"python{ENDING}"
LOG = VENV / "install.log"
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
CPU_TORCH = "2.13.0"  # a release of which some package indexes serve a CPU build
SIZES = {
    "cpu": "about 2.5 GB and 5 minutes the first time (more where pip finds no CPU build of torch)",
    "gpu": "about 7 GB and 10 minutes the first time",
}
LAST_LINES = 15  # of the log, shown after a failure


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(f"== {text}", flush=True)


def stop(message: str, code: int = 1) -> NoReturn:
    """Print what went wrong and leave."""
    print(message, file=sys.stderr, flush=True)
    sys.exit(code)


def find_command(name: str) -> Path:
    """Return the path of a command in .venv."""
    return VENV / FOLDER / f"{name}{ENDING}"


def has_nvidia() -> bool:
    """Whether this machine has an NVIDIA GPU with its driver."""
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def read_group(name: str) -> list[str]:
    """Return a dependency group of pyproject.toml; older pips can't install groups themselves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [requirement.replace(" ", "") for requirement in project["dependency-groups"][name]]


def prepare(*, for_tests: bool, is_newest: bool = False) -> None:
    """Make .venv and install the engine in it, and what the tests need; do nothing where that was done before.

    With is_newest, pip chooses the newest versions that pyproject.toml allows.
    """
    extra = "gpu" if has_nvidia() else "cpu"
    versions = [] if is_newest else ["-c", str(CONSTRAINTS)]
    engine = [*versions, "-e", f".[{extra},serve]"]
    tests = [*versions, *read_group("dev")] if for_tests else []
    if is_installed("engine", engine) and (not for_tests or is_installed("tests", tests)):
        return
    say(f"installing into .venv: {SIZES[extra]}. Log: {LOG.relative_to(ROOT)}")
    make_environment()
    LOG.write_text("", encoding="utf-8")
    if not is_installed("engine", engine):
        if extra == "cpu":
            install_cpu_torch()
        install_versions(f"the engine with [{extra},serve]", engine)
        remember("engine", engine)
    if for_tests and not is_installed("tests", tests):
        install_versions("what the tests need", tests)
        remember("tests", tests)


def make_environment() -> None:
    """Make .venv, if it is not there."""
    if find_command("pip").exists():
        return
    say("making the virtual environment .venv")
    if subprocess.run([sys.executable, "-m", "venv", VENV]).returncode:
        stop(f"{sys.executable} -m venv failed; on Debian: apt-get install python3-venv")


def install_cpu_torch() -> None:
    """Install a CPU build of torch where there is no torch yet and pip can find one."""
    if subprocess.run([PYTHON, "-c", "import torch"], capture_output=True).returncode == 0:
        return
    say("looking for a CPU build of torch")
    if version := cpu_build_of_torch():
        install(f"torch {version}", [f"torch=={version}"])
    else:
        say("none found: pip takes the default build, several GB (docs/install.md says how to get a smaller one)")


def cpu_build_of_torch() -> str | None:
    """Return "2.13.0+cpu" or the like when pip would install a CPU build of that release, else nothing."""
    asked = ["--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--report", "-", f"torch=={CPU_TORCH}"]
    done = subprocess.run([PYTHON, "-m", "pip", "install", *asked], capture_output=True, encoding="utf-8")
    try:
        metadata = json.loads(done.stdout)["install"][0]["metadata"]
    except (ValueError, LookupError):
        return None
    needs = metadata.get("requires_dist", [])
    return None if any(need.startswith(("nvidia-", "cuda-")) for need in needs) else metadata["version"]


def install_versions(what: str, requirements: Sequence[str]) -> None:
    """Install; where pip can't with the constraints, say so and install what pyproject.toml allows."""
    if requirements[0] == "-c":
        if run_pip(what, requirements) == 0:
            return
        say(f"pip can't install the versions of {CONSTRAINTS.name} here: taking the newest that pyproject.toml allows")
        requirements = requirements[2:]
    install(what, requirements)


def install(what: str, requirements: Sequence[str]) -> None:
    """Run pip install and leave with the last lines of its log where it fails."""
    if run_pip(what, requirements):
        last = LOG.read_text(encoding="utf-8").splitlines()[-LAST_LINES:]
        stop("\n".join([*last, f"pip failed; its whole output is in {LOG}"]))


def run_pip(what: str, requirements: Sequence[str]) -> int:
    """Run pip install with its output in the log and return its exit code; a terminal shows the package at hand."""
    started = time.monotonic()
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    print(f"== installing {what} …", end="", flush=True)
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            [*command, *requirements],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            package = re.match(r"Collecting (\S+)", line)
            if package and sys.stdout.isatty():
                print(f"\r\x1b[K== installing {what} … {package[1][:40]}", end="", flush=True)
    clear = f"\r\x1b[K== installing {what} …" if sys.stdout.isatty() else ""
    print(f"{clear} {'failed' if pip.returncode else 'done'}, {time.monotonic() - started:.0f} s", flush=True)
    return pip.returncode


def stamp(requirements: Sequence[str]) -> str:
    """Return a hash of all that an installation depends on."""
    content = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()
    return hashlib.sha256(content + "\n".join([str(ROOT), *requirements]).encode()).hexdigest()


def is_installed(name: str, requirements: Sequence[str]) -> bool:
    """Whether the last installation of that name succeeded and nothing it depends on has changed."""
    path = VENV / f"installed-{name}"
    return PYTHON.exists() and path.exists() and path.read_text(encoding="utf-8") == stamp(requirements)


def remember(name: str, requirements: Sequence[str]) -> None:
    """Write down that an installation succeeded."""
    (VENV / f"installed-{name}").write_text(stamp(requirements), encoding="utf-8")


def install_debian_package(name: str, purpose: str) -> None:
    """Install a command by apt-get where root may, else say what is skipped without it."""
    if shutil.which(name):
        return
    if not shutil.which("apt-get") or not os.access("/usr", os.W_OK):
        say(f"no {name} here: {purpose} will be skipped (on Debian: apt-get install {name})")
        return
    say(f"installing {name}, for {purpose}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", name]):
        if subprocess.run(["apt-get", *step], capture_output=True, env=environment).returncode:
            say(f"could not; {purpose} will be skipped")
            return
