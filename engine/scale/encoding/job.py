"""Encoding of source files on a cluster, in units that are handed out until each is done once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from engine.collect.source import check_source, read_source
from engine.config import Settings
from engine.errors import EncoderError, EngineError
from engine.index.files.lock import lock_for_writing
from engine.index.generations import publish
from engine.index.generations.folder import IndexFolder
from engine.progress import Progress
from engine.receipts import FileReceipt
from engine.records.abstract import Abstract
from engine.reindex.encoding import shards
from engine.reindex.encoding.encoders import choose, prepare_encoders
from engine.reindex.intake.sources import Source
from engine.reindex.runs.run import open_current
from engine.scale.encoding.nodeencoder import NodeSetup, choose_seats
from engine.scale.encoding.unitworker import Unit, UnitCounts, UnitWorker, WorkerSetup
from engine.scale.nodes.connection import connect

_RECORDS = 500  # of a unit
_MOST_DEATHS = 5  # workers that may die over one unit, or one after another while they open the encoder
_WAIT = 5.0  # seconds between two looks at the nodes


@dataclass(slots=True)
class _JobReport:
    """What a job did."""

    units: int
    encoded: int = 0  # texts
    kept: int = 0  # texts that an earlier run has encoded
    refused: int = 0  # texts without a usable vector
    deaths: int = 0  # workers that died
    begun_again: int = 0  # units whose worker died over them


def encode_sources(
    folder: IndexFolder, settings: Settings, sources: Sequence[Source], progress: Progress, *, re_encode: bool = False
) -> _JobReport:
    """Encode the texts of files on the cluster of the settings. `engine index` with the same files takes them over.

    A job that was stopped continues where it stopped.

    Raises:
        EngineError: a file can't be read, no cluster answers, or an encoder on a node is another one.
        OSError: the disk is full or not writable.
    """
    for source in sources:
        check_source(source.path, source.format)
    folder.path.mkdir(parents=True, exist_ok=True)
    ray = connect(settings.ray_address)
    with lock_for_writing(folder.lock):
        current = open_current(folder)
        choice = choose(current.manifest.encoder if current else None, settings, re_encode=re_encode)
        publish.prepare(folder)
        encoder, queries = prepare_encoders(folder, choice, "cpu", progress)
        with closing(encoder), closing(queries):
            fingerprint, exported = choice.identity.fingerprint, queries.folder.absolute()
        shards.clear(folder.shards, keep=fingerprint)
        seats = choose_seats(ray.cluster_resources(), choice.identity, settings.device)
        node_setup = NodeSetup(str(exported), choice.identity, seats.device, choice.is_exact)
        setup = WorkerSetup(node_setup, str((folder.shards / fingerprint).absolute()))
        units = {(unit.file, unit.start): unit for source in sources for unit in _cut_into_units(source)}
        return _Job(ray, setup, _Waiting(units.values()), _JobReport(len(units))).run(progress)


def _cut_into_units(source: Source) -> Iterator[Unit]:
    """Yield the units of a file, in its order."""
    path = source.path.absolute()
    sha256 = FileReceipt.recall(path).sha256
    n = sum(isinstance(entry, Abstract) for entry in read_source(path, source.format))
    for start in range(0, n, _RECORDS):
        yield Unit(str(path), source.format, sha256, start, min(_RECORDS, n - start))


class _Waiting:
    """The units that wait, by their file. A worker stays with a file, which it then reads only once."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._files: dict[tuple[str, str | None], deque[Unit]] = {}
        for unit in units:
            self._files.setdefault(unit.file, deque()).append(unit)

    def __len__(self) -> int:
        return sum(map(len, self._files.values()))

    def take(self, last: Unit | None, running: Iterable[Unit]) -> Unit | None:
        """Take the next unit of the file of the last one; if there is none, of a file that few workers read."""
        if not self._files:
            return None
        readers = Counter(unit.file for unit in running)
        is_open = last is not None and last.file in self._files
        file = last.file if last and is_open else min(self._files, key=lambda one: readers[one])
        unit = self._files[file].popleft()
        if not self._files[file]:
            del self._files[file]
        return unit

    def give_back(self, unit: Unit) -> None:
        """Put a unit before the others of its file."""
        self._files.setdefault(unit.file, deque()).appendleft(unit)


@dataclass(slots=True)
class _Job:
    """The workers and what each of them does."""

    ray: Any
    setup: WorkerSetup
    waiting: _Waiting
    report: _JobReport
    running: dict[Any, tuple[Any, Unit | None]] = field(default_factory=dict)  # call -> worker, its unit; None: opens
    deaths: Counter[Unit | None] = field(default_factory=Counter)  # None: while they opened the encoder

    def run(self, progress: Progress) -> _JobReport:
        """Hand out the units until each is done.

        Raises:
            EngineError: a unit can't be done.
        """
        done = 0
        try:
            while done < self.report.units:
                progress("encoding on the cluster, in parts of files", done, self.report.units)
                self._add_workers()
                for call in self.ray.wait(list(self.running), timeout=_WAIT)[0]:
                    done += self._take(call)
        finally:
            for worker, _ in self.running.values():
                self.ray.kill(worker)
        return self.report

    def _add_workers(self) -> None:
        """Start a worker for each seat of the cluster that has none, as nodes join; its first call opens it."""
        seats = choose_seats(self.ray.cluster_resources(), self.setup.encoder.identity, self.setup.encoder.device)
        n_free = seats.count - len(self.running)
        n_opening = sum(unit is None for _, unit in self.running.values())
        for _ in range(min(n_free, len(self.waiting) - n_opening)):
            worker = self.ray.remote(scheduling_strategy="SPREAD", **seats.needs)(UnitWorker).remote()
            self.running[worker.open.remote(self.setup)] = worker, None

    def _take(self, call: Any) -> bool:
        """Take the answer of a call, and give its worker the next unit; return whether a unit is done.

        Raises:
            EngineError: the worker refused, or too many have died.
        """
        worker, unit = self.running.pop(call)
        try:
            counts: UnitCounts | None = self.ray.get(call)
        except self.ray.exceptions.RayTaskError as err:
            raise err.cause if isinstance(err.cause, EngineError | OSError) else EncoderError(str(err.cause)) from err
        except self.ray.exceptions.RayError as err:
            self._give_back(unit, err)
            return False
        if counts is not None:
            self.report.encoded += counts.encoded
            self.report.kept += counts.kept
            self.report.refused += counts.refused
        self.deaths[None] = 0
        following = self.waiting.take(unit, [each for _, each in self.running.values() if each])
        if following is not None:
            self.running[worker.encode.remote(following)] = worker, following
        return unit is not None

    def _give_back(self, unit: Unit | None, error: Exception) -> None:
        """Put the unit of a dead worker back. The place of the worker stays empty until a new one has answered.

        Raises:
            EncoderError: several workers have died over the same unit.
        """
        self.report.deaths += 1
        self.deaths[unit] += 1
        if self.deaths[unit] >= _MOST_DEATHS:
            what = f"records {unit.start + 1:,} and on of {unit.path}" if unit else "opening the encoder"
            problem = str(error).split("\n", 1)[0]
            raise EncoderError(
                f"{self.deaths[unit]} workers died over {what}: {problem}. What was encoded is kept: the same command "
                "continues from there. See the memory of the nodes, and encode here: engine index"
            )
        if unit is not None:
            self.report.begun_again += 1
            self.waiting.give_back(unit)
