"""Request deadlines, checked periodically by long work."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from engine.errors import BusyError


@dataclass(slots=True)
class Deadline:
    """The latest time for an answer; the caller may move it forward, also from another thread."""

    latest: float = math.inf  # of time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the answer is no longer wanted."""
        return time.monotonic() > self.latest

    def check(self) -> None:
        """Stop if the deadline has passed.

        Raises:
            BusyError: it has.
        """
        if self.is_over:
            raise BusyError("the time for this answer is over. Ask for less at once, or again later")


_NEVER = Deadline()
CURRENT: ContextVar[Deadline] = ContextVar("deadline", default=_NEVER)  # of the work that a thread does


@contextlib.contextmanager
def limit_time(deadline: Deadline) -> Iterator[None]:
    """Set the deadline for the block, in this thread and in copies of its context."""
    token = CURRENT.set(deadline)
    try:
        yield
    finally:
        CURRENT.reset(token)
