"""Encoding of source files on a cluster: workers count the records of files, and encode each unit once."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from engine.collect.source import check_source
from engine.config import Settings
from engine.errors import ClusterError, EncoderError, EngineError
from engine.index.files.lock import lock_for_writing
from engine.index.generations import publish
from engine.index.generations.folder import IndexFolder
from engine.progress import Progress
from engine.reindex.encoding import shards
from engine.reindex.encoding.encoders import choose, prepare_encoders
from engine.reindex.intake.sources import Source
from engine.reindex.runs.run import open_current
from engine.scale.encoding.nodeencoder import NodeSetup, choose_seats
from engine.scale.encoding.unitworker import UncountedFile, Unit, UnitCounts, UnitWorker, WorkerSetup
from engine.scale.nodes.connection import ADVICE, connect

_RECORDS = 500  # of a unit
_MOST_DEATHS = 5  # workers that may die over one unit, or one after another while they open the encoder
_WAIT = 5.0  # seconds between two looks at the nodes
_PATIENCE = 300.0  # seconds until a worker has a core and has opened the encoder


@dataclass(slots=True)
class _JobReport:
    """What a job did."""

    units: int = 0
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
        files = [UncountedFile(str(source.path.absolute()), source.format) for source in sources]
        return _Job(ray, setup, _Waiting(files)).run(progress)


_Task = UncountedFile | Unit  # to count, or to encode


class _Waiting:
    """The files that wait to be counted, and the units of others. A worker stays with a file, which it then reads once.

    Two files of the same content are one.
    """

    def __init__(self, files: Iterable[UncountedFile]) -> None:
        self._uncounted = deque(dict.fromkeys(files))
        self._counted: set[tuple[str, str | None]] = set()
        self._units: dict[tuple[str, str | None], deque[Unit]] = {}  # by their file

    def __len__(self) -> int:
        return len(self._uncounted) + sum(map(len, self._units.values()))

    def add_units(self, file: UncountedFile, sha256: str, n_records: int) -> int:
        """Add the units of a file that was counted; return how many there are."""
        key = sha256, file.format
        if key in self._counted:
            return 0
        self._counted.add(key)
        starts = range(0, n_records, _RECORDS)
        units = deque(Unit(file.path, file.format, sha256, at, min(_RECORDS, n_records - at)) for at in starts)
        if units:
            self._units[key] = units
        return len(units)

    def take(self, last: tuple[str, str | None] | None, running: Iterable[Unit]) -> _Task | None:
        """Take the next unit of the last file; else a file to count; else a unit of a file that few workers read."""
        if last not in self._units and self._uncounted:
            return self._uncounted.popleft()
        if not self._units:
            return None
        readers = Counter(unit.file for unit in running)
        file = last if last in self._units else min(self._units, key=lambda one: readers[one])
        unit = self._units[file].popleft()
        if not self._units[file]:
            del self._units[file]
        return unit

    def give_back(self, task: _Task) -> None:
        """Put a task before the others of its kind."""
        if isinstance(task, UncountedFile):
            self._uncounted.appendleft(task)
        else:
            self._units.setdefault(task.file, deque()).appendleft(task)


@dataclass(slots=True)
class _Job:
    """The workers and what each of them does."""

    ray: Any
    setup: WorkerSetup
    waiting: _Waiting
    report: _JobReport = field(default_factory=_JobReport)
    done: int = 0  # units
    seen: float = field(default_factory=time.monotonic)  # when a worker had a task last
    running: dict[Any, tuple[Any, _Task | None]] = field(default_factory=dict)  # call -> worker, its task; None: opens
    deaths: Counter[_Task | None] = field(default_factory=Counter)  # None: while they opened the encoder

    def run(self, progress: Progress) -> _JobReport:
        """Hand out the tasks until each is done.

        Raises:
            EngineError: a task can't be done.
        """
        try:
            while len(self.waiting) or any(task for _, task in self.running.values()):
                progress("encoding on the cluster, in parts of files", self.done, self.report.units)
                self._add_workers()
                self._check_workers()
                for call in self.ray.wait(list(self.running), timeout=_WAIT)[0] if self.running else ():
                    self._take(call)
            progress("encoding on the cluster, in parts of files", self.done, self.report.units)
        finally:
            for worker, _ in self.running.values():
                self.ray.kill(worker)
        return self.report

    def _add_workers(self) -> None:
        """Start a worker for each seat of the cluster that has none, as nodes join; its first call opens it."""
        seats = choose_seats(self.ray.cluster_resources(), self.setup.encoder.identity, self.setup.encoder.device)
        n_free = seats.count - len(self.running)
        n_opening = sum(task is None for _, task in self.running.values())
        for _ in range(min(n_free, len(self.waiting) - n_opening)):
            worker = self.ray.remote(scheduling_strategy="SPREAD", **seats.needs)(UnitWorker).remote()
            self.running[worker.open.remote(self.setup)] = worker, None

    def _check_workers(self) -> None:
        """Wait a second where no worker could be started.

        Raises:
            ClusterError: none has begun for a long time; Ray lets one that has no core wait without end.
        """
        if any(task for _, task in self.running.values()):
            self.seen = time.monotonic()
            return
        if time.monotonic() > self.seen + _PATIENCE:
            raise ClusterError(
                f"no node of the cluster had a free core for encoding within {_PATIENCE:g} s. What was encoded is "
                f"kept: the same command continues from there. {ADVICE}"
            )
        if not self.running:
            time.sleep(1.0)

    def _take(self, call: Any) -> None:
        """Take the answer of a call, and give its worker the next task.

        Raises:
            EngineError: the worker refused, or too many have died.
        """
        worker, task = self.running.pop(call)
        try:
            answer = self.ray.get(call)
        except self.ray.exceptions.RayTaskError as err:
            raise err.cause if isinstance(err.cause, EngineError | OSError) else EncoderError(str(err.cause)) from err
        except self.ray.exceptions.RayError as err:
            self._give_back(task, err)
            return
        self.deaths[None] = 0
        last = None if task is None else self._count(task, answer)
        match self.waiting.take(last, [each for _, each in self.running.values() if isinstance(each, Unit)]):
            case UncountedFile() as following:
                self.running[worker.count.remote(following)] = worker, following
            case Unit() as following:
                self.running[worker.encode.remote(following)] = worker, following

    def _count(self, task: _Task, answer: Any) -> tuple[str, str | None]:
        """Count what a worker did; return the file that it has read."""
        if isinstance(task, UncountedFile):
            sha256, n_records = answer
            self.report.units += self.waiting.add_units(task, sha256, n_records)
            return sha256, task.format
        counts: UnitCounts = answer
        self.done += 1
        self.report.encoded += counts.encoded
        self.report.kept += counts.kept
        self.report.refused += counts.refused
        return task.file

    def _give_back(self, task: _Task | None, error: Exception) -> None:
        """Put the task of a dead worker back. The place of the worker stays empty until a new one has answered.

        Raises:
            EncoderError: several workers have died over the same task.
        """
        self.report.deaths += 1
        self.deaths[task] += 1
        if self.deaths[task] >= _MOST_DEATHS:
            problem = str(error).split("\n", 1)[0]
            raise EncoderError(
                f"{self.deaths[task]} workers died over {_describe_task(task)}: {problem}. What was encoded is kept: "
                "the same command continues from there. See the memory of the nodes, and encode here: engine index"
            )
        if task is not None:
            self.report.begun_again += isinstance(task, Unit)
            self.waiting.give_back(task)


def _describe_task(task: _Task | None) -> str:
    """Return what a worker does, for messages."""
    match task:
        case Unit():
            return f"records {task.start + 1:,} and on of {task.path}"
        case UncountedFile():
            return f"counting the records of {task.path}"
    return "opening the encoder"
