"""Where requests wait for a worker: as many work at once as there are cores, and only so many wait."""

from __future__ import annotations

import asyncio
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
    """Do a piece of work that is wanted until a deadline."""
    with limit_time(deadline):
        return work()


class Desk:
    """A few threads with a bounded queue before them. Use from one event loop."""

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
        """Do a piece of work in a worker and return what it returns.

        Cancelled, work that waits is let go, and work under way ends at its next look at the clock.

        Raises:
            BusyError: too much is waiting, or no worker was free in time, or the answer took too long.
            Exception: whatever the work raises.
            CancelledError: it was cancelled.
        """
        if self.n_inside >= self.places:
            raise BusyError(f"{self.n_inside:,} requests are being answered or wait. Ask again in a second")
        deadline = Deadline(time.monotonic() + self.answer_seconds)
        job = self.pool.submit(_run_in_time, work, deadline)
        future = asyncio.wrap_future(job)
        self.n_inside += 1
        future.add_done_callback(self.note_done)
        patience = min(self.wait_seconds, self.answer_seconds)
        try:
            done, _ = await asyncio.wait({future}, timeout=patience)
            if not done and job.cancel():
                raise BusyError(f"no worker was free within {patience:g} seconds. Ask again a little later")
            done, _ = await asyncio.wait({future}, timeout=deadline.latest - time.monotonic())
        except asyncio.CancelledError:
            job.cancel()
            deadline.latest = 0.0
            raise
        if not done:
            raise BusyError(f"there was no answer within {self.answer_seconds:g} seconds. Ask for less, or again later")
        return future.result()

    def note_done(self, future: asyncio.Future[T]) -> None:
        """Note that a piece of work is done, whether somebody waits for it still or not."""
        self.n_inside -= 1
        if not future.cancelled():
            future.exception()  # seen, so that nothing is logged of one that nobody waits for

    def close(self) -> None:
        """End the workers once they are done; what waits is given up."""
        self.pool.shutdown(wait=False, cancel_futures=True)
