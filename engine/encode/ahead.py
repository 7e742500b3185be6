"""Work in threads ahead of whoever waits for it, in order and with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], ahead: int, late: Callable[[Item, Result], object]
) -> Generator[tuple[Item, Result]]:
    """Yield each item with what work makes of it, in the order of the items.

    Items are drawn in the calling thread, at most ahead + 1 before their turn; work runs in `ahead` threads. An error
    of work is raised at its item's turn. Close the generator when the iteration may end early: what was not begun is
    dropped then, and what was done already but not yielded goes to `late`.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(ahead)
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > ahead:
                yield next_of(waiting)
        while waiting:
            yield next_of(waiting)
    finally:
        pool.shutdown(cancel_futures=True)
        for item, future in waiting:
            if not future.cancelled() and future.exception() is None:
                late(item, future.result())


def next_of(waiting: deque[tuple[Item, Future[Result]]]) -> tuple[Item, Result]:
    """Wait for the first; it leaves the queue only when its result is there."""
    item, future = waiting[0]
    result = future.result()
    waiting.popleft()
    return item, result
