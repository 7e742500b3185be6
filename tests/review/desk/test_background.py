"""A task that runs for the newest request."""

import threading

from engine.errors import UsageError
from engine.review.desk.background import BackgroundTask


def test_requests_during_a_run_are_served_by_one_more() -> None:
    begun, may_go, runs = threading.Semaphore(0), threading.Semaphore(0), [0]

    def run() -> None:
        runs[0] += 1
        begun.release()
        may_go.acquire()

    task = BackgroundTask("test", run)
    task.ask()
    assert not task.wait(0)
    task.start()
    begun.acquire()
    for _ in range(5):
        task.ask()
    may_go.release()
    begun.acquire()
    assert not task.wait(0)
    may_go.release()
    assert task.wait(60) and runs == [2]
    task.end()


def test_a_failed_run_says_why_and_the_next_one_goes_on() -> None:
    errors: list[Exception] = [ZeroDivisionError("x"), UsageError("too many")]

    def run() -> None:
        if errors:
            raise errors.pop()

    task = BackgroundTask("test", run)
    task.start()
    found = []
    for _ in range(3):
        task.ask()
        assert task.wait(60)
        found.append(task.trouble)
    assert found == ["too many", "ZeroDivisionError: x", ""]
    task.end()


def test_a_task_that_was_ended_before_it_started_never_runs() -> None:
    runs: list[int] = []
    task = BackgroundTask("test", lambda: runs.append(1))
    task.ask()
    task.end()
    assert task.wait(0), "who waits for an ended task must not wait for ever"
    task.start()
    task.end()
    assert runs == [] and task.trouble == ""
