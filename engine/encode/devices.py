"""Several GPUs: one process for each, so that they share no interpreter and one that dies does not take the others."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING

from engine.errors import EncoderError
from engine.records import Encoded, EncoderIdentity

if TYPE_CHECKING:
    from engine.encode.cuda import CudaEncoder

log = logging.getLogger(__name__)

ATTEMPTS = 3  # at one page, with workers that die over it
LANES = 2  # pages that a worker has at once: it tokenises one while its device has the other
SPAWN = multiprocessing.get_context("spawn")  # a fork would share a CUDA context, which CUDA forbids


@dataclass(frozen=True, slots=True)
class Failure:
    """A worker's answer instead of vectors."""

    message: str


class DeadWorkerError(EncoderError):
    """A worker ended without an answer; another one may do better."""


class UnusableDeviceError(EncoderError):
    """A worker can't load its encoder, so there is no use in asking it again."""


class DevicesEncoder:
    """A sentence-transformers folder on several devices. Safe to use from several threads; a context manager.

    A script that makes one needs an `if __name__ == "__main__":` guard, as all that spawn processes do. Workers also
    end with the process that made them.
    """

    page = 8192

    def __init__(self, folder: Path, identity: EncoderIdentity, devices: Sequence[str]) -> None:
        """Start a worker for each device and wait until all have loaded.

        Raises:
            EncoderError: a worker can't load the model on its device.
        """
        self._identity = identity
        self.ahead = LANES * len(devices)
        self.workers = [Worker(folder, identity, device) for device in devices]
        self.free: SimpleQueue[Seat | None] = SimpleQueue()
        self.seats = {Seat(worker, lane) for lane in range(LANES) for worker in self.workers}  # not given up
        for seat in sorted(self.seats, key=lambda seat: seat.lane):
            self.free.put(seat)
        self.lock = Lock()  # of seats
        try:
            for worker in self.workers:
                worker.start()
            for worker in self.workers:
                worker.connected()
        except EncoderError:
            self.close()
            raise

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors are."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts on a free device: float32 (n, dim), unit length, in the order given.

        Raises:
            EncoderError: the encoder of the device failed, or several workers died over these texts.
        """
        deaths: list[str] = []
        while len(deaths) < ATTEMPTS:
            seat = self.take()
            try:
                return seat.worker.encode(texts, seat.lane)
            except DeadWorkerError as err:
                log.warning("%s. Its %d texts are done again", err, len(texts))
                deaths.append(seat.worker.device)
            except UnusableDeviceError as err:
                self.give_up(seat.worker, err)
            finally:
                if seat in self.seats:
                    self.free.put(seat)
        raise EncoderError(
            f"{ATTEMPTS} workers died over the same {len(texts)} texts, on {', '.join(deaths)}. Use --device cpu"
        )

    def take(self) -> Seat:
        """Wait for a free lane of a worker.

        Raises:
            EncoderError: all are given up.
        """
        while (seat := self.free.get()) is not None:
            if seat in self.seats:
                return seat
        self.free.put(None)  # for the next one who waits
        raise EncoderError("no device is left: each worker died and could not start again. Use --device cpu")

    def give_up(self, worker: Worker, reason: EncoderError) -> None:
        """Never use a worker again."""
        log.warning("%s is given up: %s", worker.device, reason)
        with self.lock:
            self.seats = {seat for seat in self.seats if seat.worker is not worker}
            if not self.seats:
                self.free.put(None)

    def close(self) -> None:
        """End the workers, at once; a call of encode that is under way fails."""
        for worker in self.workers:
            worker.close()

    def __enter__(self) -> DevicesEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Seat:
    """One lane of one worker."""

    worker: Worker
    lane: int


class Worker:
    """The process of one device, started again when it is needed after it died."""

    def __init__(self, folder: Path, identity: EncoderIdentity, device: str) -> None:
        """Nothing is started yet."""
        self.folder, self.identity, self.device = folder, identity, device
        self.process: SpawnProcess | None = None
        self.lanes: list[Connection] = []  # of this process
        self.ready = self.closed = False
        self.lock = Lock()  # of all these

    def encode(self, texts: Sequence[str], lane: int) -> Encoded:
        """Have texts encoded.

        Raises:
            EncoderError: the encoder failed, or is closed.
            DeadWorkerError: the process died.
        """
        process, lanes = self.connected()
        try:
            lanes[lane].send(list(texts))
            answer = lanes[lane].recv()
        except (EOFError, OSError) as err:
            with self.lock:
                if self.process is process:  # else the other lane was faster
                    self.end()
            raise DeadWorkerError(f"the worker of {self.device} died") from err
        if isinstance(answer, Failure):
            raise EncoderError(f"{self.device}: {answer.message}")
        encoded: Encoded = answer
        return encoded

    def start(self) -> None:
        """Start the process; it loads its encoder and then says so."""
        pipes = [SPAWN.Pipe() for _ in range(LANES)]
        theirs = [there for _, there in pipes]
        self.process = SPAWN.Process(
            target=serve, args=(theirs, self.folder, self.identity, self.device), name=self.device, daemon=True
        )
        self.process.start()
        self.lanes, self.ready = [here for here, _ in pipes], False
        for there in theirs:
            there.close()  # so that the death of the process ends every wait for it

    def connected(self) -> tuple[SpawnProcess | None, list[Connection]]:
        """The process with its encoder loaded, and its lanes.

        Raises:
            EncoderError: closed.
            DeadWorkerError: the process died before it was ready.
            UnusableDeviceError: the encoder can't be loaded.
        """
        with self.lock:
            if self.closed:
                raise EncoderError("the encoder was closed. Open it again")
            if self.process is None:
                self.start()
            try:
                loaded = self.ready or self.lanes[0].recv()
            except (EOFError, OSError) as err:
                self.end()
                raise DeadWorkerError(f"the worker of {self.device} died while it loaded {self.identity}") from err
            if isinstance(loaded, Failure):
                self.end()
                raise UnusableDeviceError(f"{self.device}: {loaded.message}")
            self.ready = True
            return self.process, self.lanes

    def end(self) -> None:
        """Make sure that the process is gone. Lanes that another thread still reads end there by themselves."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process, self.lanes = None, []

    def close(self) -> None:
        """End the process for good."""
        self.closed = True
        if (process := self.process) is not None:
            process.kill()  # ends a wait for it, which may hold the lock
        with self.lock:
            self.end()


def serve(lanes: Sequence[Connection], folder: Path, identity: EncoderIdentity, device: str) -> None:
    """The life of a worker: load, say so, answer on every lane until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    with suppress(EOFError, OSError):
        try:
            from engine.encode.cuda import CudaEncoder  # torch, which only the worker needs

            encoder = CudaEncoder(folder, identity, device)
        except Exception as err:  # every failure to load is the parent's to report
            lanes[0].send(Failure(str(err) or repr(err)))
            return
        lanes[0].send(True)
        for lane in lanes[1:]:
            Thread(target=answer, args=(lane, encoder), daemon=True).start()
        answer(lanes[0], encoder)


def answer(lane: Connection, encoder: CudaEncoder) -> None:
    """Encode what comes in on one lane, until it closes."""
    with lane, suppress(EOFError, OSError):
        while True:
            texts = lane.recv()
            try:
                result: Encoded | Failure = encoder.encode(texts)
            except Exception as err:  # every failure to encode is the parent's to report
                result = Failure(str(err) or repr(err))
            lane.send(result)
