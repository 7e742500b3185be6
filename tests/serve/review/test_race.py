"""Decisions in the shell and by a server at the same time: none is lost, doubled or out of order."""

import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from engine.review.decisions.reviews import Review
from engine.review.decisions.state import read_state
from tests.serve.review.conftest import Desk

Open = Callable[..., Desk]
Run = Callable[..., subprocess.CompletedProcess[str]]
RECORDS = [f"toy-{n:02d}" for n in range(1, 41)]


def decide_in_shell(engine: Run, place: Sequence[str], rounds: int) -> list[subprocess.CompletedProcess[str]]:
    """Decide about three records with each of some commands, one after another."""
    chosen = [RECORDS[3 * n : 3 * n + 3] for n in range(rounds)]
    return [engine("review", "decide", *names, "include", *place) for names in chosen]


def decide_on_page(desk: Desk, name: str, is_over: Callable[[], bool]) -> list[tuple[str, str, Any]]:
    """Send decisions, each one twice, until the shell is done; return key, record and answer of each."""
    token, sent = desk.form()["token"], list[tuple[str, str, Any]]()
    while not is_over() or len(sent) < 20:
        key, record = f"{name}-{len(sent)}", RECORDS[len(sent) % len(RECORDS)]
        fields = {"token": token, "key": key, "id": record, "decision": "exclude", "reason": key}
        sent += [(key, record, desk.post("/review/decide", fields, accept="application/json")) for _ in range(2)]
        time.sleep(0.02)
    return sent


@pytest.mark.parametrize(
    ("shells", "rounds", "threads"),
    [pytest.param(2, 1, 2, id="short"), pytest.param(4, 8, 6, id="long", marks=pytest.mark.slow)],
)
def test_the_shell_and_the_page_decide_at_once(
    review: Review, open_desk: Open, engine_process: Run, shells: int, rounds: int, threads: int
) -> None:
    desks = [open_desk("ann"), open_desk("bob")]
    with ThreadPoolExecutor(shells + threads) as pool:
        place = ["-i", review.folder.name, "--review", review.name, "--who"]
        running = [pool.submit(decide_in_shell, engine_process, [*place, f"shell {n}"], rounds) for n in range(shells)]
        pages = [
            pool.submit(decide_on_page, desks[n % 2], f"page {n}", lambda: all(each.done() for each in running))
            for n in range(threads)
        ]
        commands = [done for each in running for done in each.result()]
        sent = [each.result() for each in pages]
    assert [(done.returncode, done.stderr) for done in commands if done.returncode or "locked" in done.stderr] == []
    assert [answer.text for each in sent for _, _, answer in each if answer.status_code != 200] == []
    events = review.journal.read()
    assert [event.number for event in events] == list(range(1, len(events) + 1))  # none is rolled back
    check_page(events, sent)
    check_shell(events, shells, rounds)
    state = read_state(review)
    for who, desk in zip(("ann", "bob"), desks, strict=True):
        own = {each.record.ids[0]: one.reason for each in state.records for one in each.decisions if one.who == who}
        shown = desk.get("/review/records").text  # of the server that has followed all along, 50 on a page
        assert {name: reason for name, reason in own.items() if reason in shown} == own


def check_page(events: Sequence[Any], sent: Sequence[Sequence[tuple[str, str, Any]]]) -> None:
    """Each key is written once, with its record, and each page's decisions in the order in which it sent them."""
    found = {event.details["key"]: event for event in events if "key" in event.details}
    assert len(found) == sum("key" in event.details for event in events)
    assert found.keys() == {key for each in sent for key, _, _ in each}
    for each in sent:
        for key, record, answer in each:
            assert answer.json()["numbers"] == [found[key].number]
            assert (found[key].records[0].ids[0], found[key].details["reason"]) == (record, key)
        numbers = [found[key].number for key, _, _ in each[::2]]
        assert all(one < other for one, other in pairwise(numbers))


def check_shell(events: Sequence[Any], shells: int, rounds: int) -> None:
    """Each command is there whole and without another's decisions in between."""
    for n in range(shells):
        own = [event for event in events if event.who == f"shell {n}"]
        assert [event.records[0].ids[0] for event in own] == RECORDS[: 3 * rounds]
        for first in own[::3]:
            batch = [event.number for event in own if event.batch == first.batch]
            assert batch == list(range(first.number, first.number + 3))
