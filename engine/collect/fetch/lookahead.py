"""Tasks that wait for the network, several at a time, with their results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def run_ahead(tasks: Iterable[Callable[[], _T]], n_at_once: int) -> Iterator[_T]:
    """Yield the results of tasks in order, with so many of them begun or waiting to be taken.

    The threads are daemons: they do not keep the process when the caller stops taking results.

    Raises:
        Exception: what a task raised, in its place.
    """
    begun: deque[Future[_T]] = deque()
    for task in tasks:
        begun.append(begin_task(task))
        if len(begun) >= n_at_once:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def begin_task(task: Callable[[], _T]) -> Future[_T]:
    """Run a task in a thread of its own."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(task())
        except BaseException as err:  # raised where the result is taken
            future.set_exception(err)

    threading.Thread(target=run, daemon=True).start()
    return future
