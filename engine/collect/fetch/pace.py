"""Pace of the requests to a service: evenly spaced, however many threads send them."""

from __future__ import annotations

import threading
import time

_MARGIN = 1.06  # on the time between two requests, since the service counts when they arrive


class Pace:
    """A gate that lets through so many requests a second."""

    def __init__(self, n_per_second: float) -> None:
        self.n_per_second = n_per_second
        self._lock = threading.Lock()
        self._next = 0.0  # when the next request may start

    def wait(self) -> None:
        """Wait until another request may start."""
        with self._lock:
            start = max(self._next, time.monotonic())
            self._next = start + _MARGIN / self.n_per_second
        while (left := start - time.monotonic()) > 0:
            time.sleep(left)

    def delay(self, seconds: float) -> None:
        """Let no further request start for so many seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
