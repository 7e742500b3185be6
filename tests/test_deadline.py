"""Work that is no longer wanted ends."""

import math
import threading
import time

import pytest

from engine.deadline import LATEST, check_wanted, wanted_until
from engine.errors import BusyError


def test_work_is_wanted_until_a_time_and_then_given_up() -> None:
    check_wanted()
    with wanted_until(time.monotonic() + 60):
        check_wanted()
        with pytest.raises(
            BusyError, match=r"^the time for this answer is over\. Ask for less at once, or again later$"
        ):
            with wanted_until(time.monotonic() - 0.001):
                check_wanted()
        check_wanted()
    assert LATEST.get() == math.inf


def test_each_thread_has_its_own_time() -> None:
    seen: list[float] = []
    with wanted_until(1.0):
        thread = threading.Thread(target=lambda: seen.append(LATEST.get()))
        thread.start()
        thread.join()
    assert seen == [math.inf]
