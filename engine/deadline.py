"""Until when an answer is wanted. Work that nobody waits for any more ends the next time it looks at the clock."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar

from engine.errors import BusyError

LATEST: ContextVar[float] = ContextVar("latest", default=math.inf)  # of time.monotonic()


@contextlib.contextmanager
def wanted_until(latest: float) -> Iterator[None]:
    """What is done within, in this thread, is wanted until time.monotonic() says `latest`."""
    token = LATEST.set(latest)
    try:
        yield
    finally:
        LATEST.reset(token)


def check_wanted() -> None:
    """Give up work that is no longer wanted.

    Raises:
        BusyError: it is not.
    """
    if time.monotonic() > LATEST.get():
        raise BusyError("the time for this answer is over. Ask for less at once, or again later")
