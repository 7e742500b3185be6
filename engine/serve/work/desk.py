"""A worker pool with a bounded queue: one worker per core."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.config import count_cores
from engine.deadline import Deadline, limit_time
from engine.errors import BusyError
from engine.serve.http.limits import ANSWER_SECONDS, MAX_WAITING, WAIT_SECONDS

T = TypeVar("T")


def _run_in_time(work: Callable[[], T], deadline: Deadline) -> T:
    """Run the work under a deadline, and return its result."""
    with limit_time(deadline):
        return work()


class Desk:
    """Worker threads with a bounded queue, for use from one event loop."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        waiting: int = MAX_WAITING,
        wait_seconds: float = WAIT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.workers = workers or count_cores()
        self.places = self.workers + waiting
        self.wait_seconds, self.answer_seconds = wait_seconds, answer_seconds
        self.n_inside = 0
        self.pool = ThreadPoolExecutor(self.workers, thread_name_prefix="answer")

    async def run(self, work: Callable[[], T]) -> T:
        """Run the work in a worker, and return its result.

        If cancelled, waiting work is dropped, and running work stops when it next checks its deadline.

        Raises:
            BusyError: the queue is full, no worker was free in time, or the answer took too long.
            Exception: whatever the work raises.
            CancelledError: it was cancelled.
        """
        if (n := self.n_inside) >= self.places:
            are = "request is" if n == 1 else "requests are"
            raise BusyError(f"{n:,} {are} running or waiting. Try again in a second")
        deadline = Deadline(time.monotonic() + self.answer_seconds)
        job = self.pool.submit(contextvars.copy_context().run, _run_in_time, work, deadline)
        future = asyncio.wrap_future(job)
        self.n_inside += 1
        future.add_done_callback(self.note_done)
        patience = min(self.wait_seconds, self.answer_seconds)
        try:
            done, _ = await asyncio.wait({future}, timeout=patience)
            if not done and job.cancel():
                raise BusyError(f"no worker was free within {patience:g} seconds. Try again later")
            done, _ = await asyncio.wait({future}, timeout=deadline.latest - time.monotonic())
        except asyncio.CancelledError:
            job.cancel()
            deadline.latest = 0.0
            raise
        if not done:
            raise BusyError(
                f"the answer took longer than {self.answer_seconds:g} seconds. Ask for fewer hits, or try again later"
            )
        return future.result()

    def note_done(self, future: asyncio.Future[T]) -> None:
        """Count a request as done, whether or not its client still waits."""
        self.n_inside -= 1
        if not future.cancelled():
            future.exception()  # retrieved, so that asyncio doesn't log it as never retrieved

    def close(self) -> None:
        """Drop the waiting work, and let running work finish."""
        self.pool.shutdown(wait=False, cancel_futures=True)
