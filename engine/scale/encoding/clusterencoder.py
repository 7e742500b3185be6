"""The encoder of the corpus on the nodes of a cluster, for the new texts of a run on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from engine.encode.execution.encoder import Encoder
from engine.errors import EncoderError, EngineError
from engine.records.encoder import Encoded, EncoderIdentity
from engine.scale.encoding.nodeencoder import NodeSetup, Seats, choose_seats, open_node_encoder
from engine.scale.nodes.connection import ADVICE, connect

_PAGE = 64  # texts of one call to a core
_GPU_PAGE = 2048  # and to a GPU
_MOST_DEATHS = 5  # different workers that may die over the same texts, or one after another while they open the encoder
_PATIENCE = 300.0  # seconds that texts wait for a worker


@dataclass(frozen=True, slots=True)
class ClusterEncoderSettings:
    """Where the encoder runs."""

    address: str | None  # HOST:PORT of the head; None: the cluster that runs on this machine
    device: str  # "auto", "cpu" or "cuda"


class _EncoderWorker:
    """An encoder on one node."""

    def open(self, setup: NodeSetup) -> None:
        """Load the encoder, as open_node_encoder."""
        self._encoder: Encoder = open_node_encoder(setup)

    def begin(self) -> None:
        """Do nothing; called before texts are encoded, it tells whether this worker was alive then."""

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts of records, as Encoder.encode."""
        return self._encoder.encode(texts)


class ClusterEncoder:
    """An encoder whose texts are encoded by workers on the nodes. Safe to use from several threads.

    A worker that dies leaves its seat empty until the one after it has opened the encoder: a dead node would otherwise
    get the same texts again and again. Its texts go to other workers meanwhile. Workers start as texts wait for them:
    few texts need few of them.
    """

    def __init__(self, settings: ClusterEncoderSettings, setup: NodeSetup) -> None:
        """Connect; `device` of the setup is replaced by what the nodes have.

        Raises:
            MissingExtraError: Ray is not installed.
            ConfigError: there is no token.
            ClusterError: no cluster answers.
            EncoderError: the cluster has no such device.
        """
        self._ray = connect(settings.address)
        self._seats: Seats = choose_seats(self._ray.cluster_resources(), setup.identity, settings.device)
        self._setup = NodeSetup(setup.folder, setup.identity, self._seats.device, setup.exact)
        self.ahead = 2 * self._seats.count
        self._free: SimpleQueue[Any] = SimpleQueue()  # workers that have opened the encoder, or an error
        self._workers: set[Any] = set()
        self._lock = Lock()  # of the workers and of what follows
        self._n_begun = 0  # seats
        self._is_closed = False

    @property
    def page(self) -> int:
        """Number of texts to pass to one call of encode."""
        return _PAGE if self._seats.device == "cpu" else _GPU_PAGE

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        return self._setup.identity

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order of the texts.

        Raises:
            EncoderError: several workers died over the texts, none was free for long, or a node failed.
            EncoderMismatchError: a node holds another encoder.
            CorruptError: the encoder on a node differs by a byte.
        """
        self._begin_seat()
        problem, n_deaths = "", 0
        for _ in range(_MOST_DEATHS + self._seats.count):  # all that are free may have died with their node
            worker = self._take_worker()
            begun = worker.begin.remote()
            try:
                encoded: Encoded = self._ray.get(worker.encode.remote(list(texts)))
            except self._ray.exceptions.RayTaskError as err:
                self._free.put(worker)
                failure = _find_cause(err)
                raise failure from err
            except self._ray.exceptions.RayError as err:
                problem = str(err).split("\n", 1)[0]
                self._fill_seat(worker)
                n_deaths += self._has_ended(begun)
                if n_deaths == _MOST_DEATHS:
                    break
            else:
                self._free.put(worker)
                return encoded
        raise EncoderError(
            f"{n_deaths or 'all'} workers died over the same {len(texts)} texts, the first {texts[0][:60]!r}: "
            f"{problem}. What was encoded is kept. See the memory of the nodes. {ADVICE}"
        )

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Refuse queries, which are encoded on this machine.

        Raises:
            EncoderError: always.
        """
        raise EncoderError(f"{self.identity.model} on a cluster encodes documents only. Use --device cpu for queries")

    def close(self) -> None:
        """End the workers; closing it again does nothing."""
        with self._lock:
            self._is_closed = True
            workers = tuple(self._workers)
            self._workers.clear()
        for worker in workers:
            self._ray.kill(worker)

    def _begin_seat(self) -> None:
        """Open one worker more if none is free and the cluster has room for it."""
        with self._lock:
            is_needed = self._free.empty() and self._n_begun < self._seats.count
            self._n_begun += is_needed
        if is_needed:
            self._fill_seat(None)

    def _take_worker(self) -> Any:
        """Wait for a free worker.

        Raises:
            EncoderError: there is none for long.
            EngineError: a node refused.
        """
        try:
            found = self._free.get(timeout=_PATIENCE)
        except Empty:
            problem = f"no worker of the cluster took texts within {_PATIENCE:g} s. What was encoded is kept. {ADVICE}"
            raise EncoderError(problem) from None
        if isinstance(found, Exception):
            self._free.put(found)  # for the other threads
            raise found
        return found

    def _has_ended(self, call: Any) -> bool:
        """Return whether a call to a worker that is dead by now had ended before."""
        try:
            self._ray.get(call)
        except self._ray.exceptions.RayError:
            return False
        return True

    def _fill_seat(self, dead: Any) -> None:
        """Open another worker for a seat, in a thread of its own, since that takes seconds, or until a node joins."""
        with self._lock:
            self._workers.discard(dead)
        Thread(target=self._open_worker, daemon=True).start()

    def _open_worker(self) -> None:
        """Start a worker, and let it have texts once it has opened the encoder."""
        problem = ""
        for _ in range(_MOST_DEATHS):
            if (worker := self._start_worker()) is None:
                return
            try:
                self._ray.get(worker.open.remote(self._setup))
            except self._ray.exceptions.RayTaskError as err:
                self._free.put(_find_cause(err))
                return
            except self._ray.exceptions.RayError as err:
                problem = str(err).split("\n", 1)[0]
            else:
                self._free.put(worker)
                return
        self._free.put(EncoderError(f"{_MOST_DEATHS} workers died while they opened the encoder: {problem}. {ADVICE}"))

    def _start_worker(self) -> Any:
        """Start a worker; None: the encoder was closed."""
        with self._lock:
            if self._is_closed:
                return None
            made = self._ray.remote(scheduling_strategy="SPREAD", **self._seats.needs)(_EncoderWorker)
            worker = made.remote()
            self._workers.add(worker)
            return worker


def _find_cause(error: Any) -> Exception:
    """Return the error that a worker raised."""
    cause = error.cause
    return cause if isinstance(cause, EngineError | OSError) else EncoderError(f"a worker failed: {cause}. {ADVICE}")
