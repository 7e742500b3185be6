import asyncio
import gc
import logging
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from engine.config import count_cores
from engine.deadline import _NEVER, CURRENT, Deadline
from engine.errors import BusyError, UsageError
from engine.serve.work.desk import Desk

LONGEST = 5  # seconds that a test may wait for what does not come


async def until(holds: Callable[[], bool]) -> None:
    """Let others work until something holds."""
    for _ in range(LONGEST * 200):
        if holds():
            return
        await asyncio.sleep(0.005)
    assert holds(), "it never came to be so"


def on(desk: Desk, scenario: Callable[[Desk, threading.Event], Awaitable[None]]) -> None:
    """Play a scenario at a desk; the event is for work that waits, and is set at the end in any case."""
    release = threading.Event()

    async def played() -> None:
        try:
            await scenario(desk, release)
        finally:
            release.set()
            desk.close()

    asyncio.run(asyncio.wait_for(played(), LONGEST))
    desk.pool.shutdown()


def held(release: threading.Event) -> Callable[[], str]:
    """Work that ends when it is let go."""
    return lambda: "done" if release.wait(LONGEST) else "never let go"


def test_an_answer_comes_from_a_thread_of_its_own() -> None:
    async def scenario(desk: Desk, release: threading.Event) -> None:
        assert await desk.run(lambda: 6 * 7) == 42
        assert (await desk.run(threading.current_thread)).name.startswith("answer")
        assert desk.n_inside == 0

    on(Desk(), scenario)


def test_there_are_as_many_workers_as_cores() -> None:
    assert Desk().workers == count_cores()
    assert (Desk(workers=3, waiting=4).workers, Desk(workers=3, waiting=4).places) == (3, 7)


def test_so_many_work_at_once_and_never_more() -> None:
    n, running, most, lock, together = 3, 0, 0, threading.Lock(), threading.Barrier(3)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(LONGEST)  # breaks unless three are inside at once
        time.sleep(0.005)
        with lock:
            running -= 1

    async def scenario(desk: Desk, release: threading.Event) -> None:
        await asyncio.gather(*(desk.run(work) for _ in range(4 * n)))

    on(Desk(workers=n, waiting=100), scenario)
    assert most == n


def test_one_more_than_may_work_and_wait_is_sent_away() -> None:
    async def scenario(desk: Desk, release: threading.Event) -> None:
        inside = [asyncio.create_task(desk.run(held(release))) for _ in range(5)]
        await until(lambda: desk.n_inside == 5)
        for _ in range(2):
            with pytest.raises(BusyError, match=r"^5 requests are running or waiting\. Try again in a second$"):
                await desk.run(lambda: "too much")
        assert desk.n_inside == 5
        release.set()
        assert await asyncio.gather(*inside) == ["done"] * 5
        assert desk.n_inside == 0
        assert await desk.run(lambda: "again") == "again"

    on(Desk(workers=2, waiting=3), scenario)


def test_what_has_waited_too_long_is_sent_away_and_never_begun() -> None:
    begun: list[str] = []

    async def scenario(desk: Desk, release: threading.Event) -> None:
        first = asyncio.create_task(desk.run(held(release)))
        await until(lambda: desk.n_inside == 1)
        with pytest.raises(BusyError, match=r"^no worker was free within 0\.03 seconds\. Try again later$"):
            await desk.run(lambda: begun.append("late"))
        assert not first.done()
        await until(lambda: desk.n_inside == 1)
        release.set()
        assert await first == "done"
        assert (begun, desk.n_inside) == ([], 0)
        await desk.run(lambda: begun.append("in time"))
        assert begun == ["in time"]

    on(Desk(workers=1, wait_seconds=0.03), scenario)


def test_an_answer_that_takes_too_long_keeps_its_place_until_it_is_there() -> None:
    async def scenario(desk: Desk, release: threading.Event) -> None:
        with pytest.raises(
            BusyError, match=r"^the answer took longer than 0\.02 seconds\. Ask for fewer hits, or try again later$"
        ):
            await desk.run(held(release))
        assert desk.n_inside == 1
        with pytest.raises(BusyError, match="^1 request is running or waiting"):
            await desk.run(lambda: "too early")
        release.set()
        await until(lambda: desk.n_inside == 0)
        assert await desk.run(lambda: "again") == "again"

    on(Desk(workers=1, waiting=0, answer_seconds=0.02), scenario)


def test_work_is_told_until_when_it_is_wanted() -> None:
    given_up: list[float] = []

    def work() -> None:
        try:
            while time.monotonic() < began + LONGEST:
                CURRENT.get().check()
                time.sleep(0.001)
        except BusyError:
            given_up.append(time.monotonic() - began)
            raise

    async def scenario(desk: Desk, release: threading.Event) -> None:
        with pytest.raises(BusyError, match="the answer took longer than|the time for this answer is over"):
            await desk.run(work)
        await until(lambda: desk.n_inside == 0)
        assert (await desk.run(CURRENT.get)).latest > time.monotonic()

    began = time.monotonic()
    on(Desk(workers=1, answer_seconds=0.1), scenario)
    assert 0.1 <= given_up[0] < 1
    assert CURRENT.get() is _NEVER


def test_who_has_gone_before_the_work_begins_takes_it_along() -> None:
    begun: list[str] = []

    async def scenario(desk: Desk, release: threading.Event) -> None:
        first = asyncio.create_task(desk.run(held(release)))
        gone = asyncio.create_task(desk.run(lambda: begun.append("gone")))
        await until(lambda: desk.n_inside == 2)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await until(lambda: desk.n_inside == 1)
        release.set()
        assert await first == "done" and begun == []

    on(Desk(workers=1), scenario)


def test_work_under_way_is_told_that_whoever_asked_has_gone() -> None:
    seen: list[Deadline] = []

    def work() -> None:
        seen.append(CURRENT.get())
        while time.monotonic() < began + LONGEST:
            CURRENT.get().check()
            time.sleep(0.001)

    async def scenario(desk: Desk, release: threading.Event) -> None:
        gone = asyncio.create_task(desk.run(work))
        await until(lambda: bool(seen))
        gone.cancel()
        await until(lambda: desk.n_inside == 0)
        assert time.monotonic() < began + LONGEST / 2

    began = time.monotonic()
    on(Desk(workers=1), scenario)


def test_who_has_gone_leaves_the_place_when_the_work_ends() -> None:
    async def scenario(desk: Desk, release: threading.Event) -> None:
        gone = asyncio.create_task(desk.run(held(release)))
        await until(lambda: desk.n_inside == 1)
        gone.cancel()
        (found,) = await asyncio.gather(gone, return_exceptions=True)
        assert isinstance(found, asyncio.CancelledError) and desk.n_inside == 1
        release.set()
        await until(lambda: desk.n_inside == 0)

    on(Desk(workers=1), scenario)


@pytest.mark.parametrize(
    "error", [UsageError("no"), BusyError("no"), ValueError("no"), OSError("no"), TimeoutError("no"), MemoryError("no")]
)
def test_what_the_work_raises_comes_through(error: Exception) -> None:
    def work() -> None:
        raise error

    async def scenario(desk: Desk, release: threading.Event) -> None:
        with pytest.raises(type(error), match="^no$"):
            await desk.run(work)
        assert desk.n_inside == 0

    on(Desk(workers=1), scenario)


def test_nothing_is_logged_of_an_error_that_nobody_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    def work_for(release: threading.Event) -> Callable[[], None]:
        def work() -> None:
            release.wait(LONGEST)
            raise ValueError("late")

        return work

    async def scenario(desk: Desk, release: threading.Event) -> None:
        with pytest.raises(BusyError, match="the answer took longer than"):
            await desk.run(work_for(release))
        release.set()
        await until(lambda: desk.n_inside == 0)
        gc.collect()

    with caplog.at_level(logging.DEBUG, "asyncio"):
        on(Desk(workers=1, answer_seconds=0.01), scenario)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_waits_is_given_up_when_the_desk_closes(caplog: pytest.LogCaptureFixture) -> None:
    begun: list[str] = []

    async def scenario(desk: Desk, release: threading.Event) -> None:
        first = asyncio.create_task(desk.run(held(release)))
        second = asyncio.create_task(desk.run(lambda: begun.append("second")))
        await until(lambda: desk.n_inside == 2)
        desk.close()
        release.set()
        done, given_up = await asyncio.gather(first, second, return_exceptions=True)
        assert done == "done" and isinstance(given_up, asyncio.CancelledError)
        assert (begun, desk.n_inside) == ([], 0)

    on(Desk(workers=1), scenario)
    assert caplog.records == []
