"""Build into dist/ what a release consists of: source distribution, wheel, and a list of the packages in .venv.

The list has the format CycloneDX. twine checks the others, and their files are compared with those of the repository.
Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import environment
from environment import ROOT, say, stop

MADE = ("PKG-INFO", "setup.cfg", "abstract_engine.egg-info/")  # by setuptools, in every source distribution


def run(command: Sequence[str | Path]) -> str:
    """Run a command in the root folder and return what it printed; leave where it fails."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        stop(f"{done.stdout}\n{' '.join(map(str, command))} failed", done.returncode)
    return done.stdout


def make_tools(folder: Path) -> Path:
    """Return the folder of the commands that build and check, in an environment of its own; make it if need be."""
    commands = folder / environment.FOLDER
    if not (commands / f"cyclonedx-py{environment.ENDING}").exists():
        say("installing build, twine and cyclonedx-bom")
        venv.create(folder, with_pip=True)
        python = commands / f"python{environment.ENDING}"
        run(
            [
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                *environment.read_group("release"),
            ]
        )
    return commands


def list_tracked_files(folder: str = ".") -> set[str]:
    """Return the files of the repository in a folder that are tracked, or would be."""
    return set(run(["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]).splitlines())


def list_source_files(path: Path) -> set[str]:
    """Return the files of a source distribution that are not made by setuptools, relative to its one folder."""
    with tarfile.open(path) as archive:
        names = {each.name.partition("/")[2] for each in archive if each.isfile()}
    return {name for name in names if not name.startswith(MADE)}


def list_wheel_files(path: Path) -> set[str]:
    """Return the files of a wheel without its metadata."""
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def check_files(path: Path, found: set[str], expected: set[str]) -> None:
    """Leave if a distribution lacks files, or holds others."""
    if found != expected:
        stop(f"{path.name} lacks {sorted(expected - found)} and holds {sorted(found - expected)}. See MANIFEST.in")


def make_release(folder: Path, tools: Path, python: Path) -> None:
    """Build and check everything into a folder; the packages are those that the given Python has."""
    commands = make_tools(tools)
    shutil.rmtree(
        ROOT / "build", ignore_errors=True
    )  # setuptools would put what it holds of older files into the wheel
    folder.mkdir(parents=True, exist_ok=True)
    say("building the source distribution, and the wheel from it")
    run([commands / f"python{environment.ENDING}", "-m", "build", "--outdir", folder, ROOT])
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    check_files(source, list_source_files(source), list_tracked_files())
    check_files(wheel, list_wheel_files(wheel), list_tracked_files("engine"))
    say("twine check")
    run([commands / f"twine{environment.ENDING}", "check", "--strict", source, wheel])
    say("listing the packages (CycloneDX)")
    list_packages: list[str | Path] = [commands / f"cyclonedx-py{environment.ENDING}", "environment"]
    options = ["--output-reproducible", "--pyproject", str(ROOT / "pyproject.toml")]
    run([*list_packages, *options, "-o", folder / "packages.cdx.json", python])


def main() -> None:
    """Build into dist/."""
    argparse.ArgumentParser(prog="scripts/make_release.py", description=__doc__).parse_args()
    if not environment.PYTHON.exists():
        stop(f"Expected {environment.PYTHON}, found none. Run: scripts/test")
    folder = ROOT / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    make_release(folder, environment.VENV / "release", environment.PYTHON)
    say(f"done: {', '.join(sorted(path.name for path in folder.iterdir()))}")


if __name__ == "__main__":
    main()
