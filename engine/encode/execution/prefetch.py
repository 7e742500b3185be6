"""Ordered work in threads, ahead of its consumer and with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_order(
    work: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int, late: Callable[[_Item, _Result], object]
) -> Generator[tuple[_Item, _Result]]:
    """Yield each item with the result of `work`, in the order of the items.

    Items are taken in the calling thread, at most ahead + 1 before their turn; `work` runs in `ahead` threads. An error
    of `work` is raised at the turn of its item. Close the generator if the iteration may end early: items that were not
    started are then dropped, and results that were ready but not yielded are passed to `late`.
    """
    waiting: deque[tuple[_Item, Future[_Result]]] = deque()
    pool = ThreadPoolExecutor(ahead)
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > ahead:
                yield _wait_for_next(waiting)
        while waiting:
            yield _wait_for_next(waiting)
    finally:
        pool.shutdown(cancel_futures=True)
        for item, future in waiting:
            if not future.cancelled() and future.exception() is None:
                late(item, future.result())


def _wait_for_next(waiting: deque[tuple[_Item, Future[_Result]]]) -> tuple[_Item, _Result]:
    """Wait for the first item; it leaves the queue only when its result is ready."""
    item, future = waiting[0]
    result = future.result()
    waiting.popleft()
    return item, result
