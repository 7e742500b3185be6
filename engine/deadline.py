"""Until when an answer is wanted. Work that nobody waits for any more ends the next time it looks at the clock."""

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
    """A time that whoever waits for an answer may bring forward, from another thread too."""

    latest: float = math.inf  # of time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the answer is no longer wanted."""
        return time.monotonic() > self.latest

    def check(self) -> None:
        """Give up work that is no longer wanted.

        Raises:
            BusyError: it is not.
        """
        if self.is_over:
            raise BusyError("the time for this answer is over. Ask for less at once, or again later")


_NEVER = Deadline()
CURRENT: ContextVar[Deadline] = ContextVar("deadline", default=_NEVER)  # of the work that a thread does


@contextlib.contextmanager
def limit_time(deadline: Deadline) -> Iterator[None]:
    """What is done within, in this thread and in copies of its context, is wanted until a deadline."""
    token = CURRENT.set(deadline)
    try:
        yield
    finally:
        CURRENT.reset(token)
