"""Work that is no longer wanted ends."""

import contextvars
import math
import threading
import time

import pytest

from engine.deadline import _NEVER, CURRENT, Deadline, limit_time
from engine.errors import BusyError


def test_work_is_wanted_until_a_deadline_and_then_given_up() -> None:
    CURRENT.get().check()
    with limit_time(Deadline(time.monotonic() + 60)):
        CURRENT.get().check()
        with limit_time(Deadline(time.monotonic() - 0.001)):
            assert CURRENT.get().is_over
            with pytest.raises(
                BusyError, match=r"^the time for this answer is over\. Ask for less at once, or again later$"
            ):
                CURRENT.get().check()
        CURRENT.get().check()
    assert CURRENT.get() is _NEVER and _NEVER.latest == math.inf


def test_a_deadline_can_be_brought_forward_by_another_thread() -> None:
    deadline = Deadline(time.monotonic() + 60)
    with limit_time(deadline):
        thread = threading.Thread(target=setattr, args=(deadline, "latest", 0.0))
        thread.start()
        thread.join()
        assert CURRENT.get().is_over


def test_a_thread_has_the_deadline_of_another_only_with_its_context() -> None:
    seen: list[Deadline] = []
    deadline = Deadline(1.0)
    with limit_time(deadline):
        for run in (lambda work: work(), contextvars.copy_context().run):
            thread = threading.Thread(target=run, args=(lambda: seen.append(CURRENT.get()),))
            thread.start()
            thread.join()
    assert seen[0] is _NEVER and seen[1] is deadline
