"""Measure the queue of a review: learning, the round trip of a decision, and reading what is decided.

scripts/bench_review.py INDEX [--decisions 2000] [--rounds 300] [--work FOLDER]

INDEX is the folder of an index; it is copied, and the copy gets a review with that many decisions on records drawn with
a fixed seed: those with "arthritis" in the title are included, the others are excluded. Prints CPU and wall seconds. A
round trip is a decision and the next record with its reason; the one without fsync leaves out the waiting for the disk
(PRAGMA synchronous = OFF).
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
from bench_machine import machine, report, table

from engine import open_index
from engine.corpus.storage.journal import DecisionKind, Journal
from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import read_state
from engine.review.desk.queue import NextRecords, QueuedRecord, ReviewQueue
from engine.review.desk.reading import RecordReading, WordMark

CRITERIA = "Randomised trials of drugs for arthritis\nAdults\nPain or function as an outcome"
WORD = "arthritis"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--decisions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.work) as place:
        folder = IndexFolder(Path(shutil.copytree(given.index, Path(place) / given.index.name)))
        rows, n_records = list(_measure(folder, given.decisions, given.rounds)), len(open_index(folder.path))
    report(
        {"machine": machine(), "records": n_records, "decisions": given.decisions, "rounds": given.rounds},
        table(("", "CPU", "wall"), rows),
    )


def _measure(folder: IndexFolder, n_decisions: int, rounds: int) -> Iterator[Sequence[object]]:
    """Yield rows of a table: what, CPU seconds, wall seconds."""
    review = Review(folder, "bench")
    review.start("ann", ReviewSettings(CRITERIA, wanted=("trial*",), unwanted=("mice",)))
    index = open_index(folder.path)
    _decide_some(review, n_decisions)
    yield ("read_state", *_time(lambda: read_state(review)))
    started = time.process_time(), time.perf_counter()
    queue = ReviewQueue(index, review)
    yield ("the queue is open", *_since(started))
    yield ("the first order is learned", *_time(queue.wait))
    yield ("peak memory, GB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "")
    for n, record in enumerate(queue.next_records("ann", 5).records, 1):
        review.decide("ann", [record.record_id], NewLabel(DecisionKind.EXCLUDE))
        yield (f"learned again, {n}", *_time(queue.wait))
    for what, fsync, at_rest in (
        ("round trip while learning", True, False),
        ("round trip while learning, without fsync", False, False),
        ("round trip at rest, without fsync", False, True),
    ):
        with _skip_fsync(skipped=not fsync):
            times = np.array([_round_trip(queue, at_rest=at_rest) for _ in range(rounds)])
        for share in (50, 99):
            yield (f"{what}, p{share}, ms", *(1000 * np.percentile(times, share, axis=0)).round(2).tolist())
    queue.wait()
    found: NextRecords = queue.next_records("cyd", 20)
    reading = [_time(lambda one=one: _read(queue, one)) for one in found.records]  # type: ignore[misc]
    yield ("a record with its nearest sentences, p50, ms", *(1000 * np.median(reading, axis=0)).round(1).tolist())
    queue.close()


def _decide_some(review: Review, n: int) -> None:
    """Decide about records drawn with a fixed seed."""
    index = open_index(review.folder.path)
    records = list(index.abstracts())
    chosen = np.random.default_rng(0).choice(len(records), min(n, len(records)), replace=False)
    for kind in (DecisionKind.INCLUDE, DecisionKind.EXCLUDE):
        names = [
            records[at].record_id
            for at in chosen
            if (WORD in records[at].title.lower()) is (kind is DecisionKind.INCLUDE)
        ]
        review.decide("ann", names, NewLabel(kind))


def _round_trip(queue: ReviewQueue, *, at_rest: bool = False) -> tuple[float, float]:
    """Return CPU seconds of this thread, and wall seconds, of a decision and the next record.

    at_rest: whether to wait first until everything is learned, as it is when a reviewer has read a record.
    """
    first: QueuedRecord = queue.next_records("dee", 1).records[0]
    if at_rest:
        queue.wait()
    started = time.thread_time(), time.perf_counter()
    queue.decide("dee", [first.record_id], NewLabel(DecisionKind.EXCLUDE))
    queue.next_records("dee", 1)
    return time.thread_time() - started[0], time.perf_counter() - started[1]


def _read(queue: ReviewQueue, record: QueuedRecord) -> Sequence[WordMark]:
    """Read a record as a reviewer does."""
    found: RecordReading = queue.read_record(record.doc_id)
    return found.abstract_marks


@contextmanager
def _skip_fsync(*, skipped: bool) -> Iterator[None]:
    """Let the journal not wait for the disk."""
    connect = Journal.open_connection

    def open_connection(journal: Journal, *, write: bool) -> object:
        connection = connect(journal, write=write)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    with mock.patch.object(Journal, "open_connection", open_connection if skipped else connect):
        yield


def _time(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU seconds of all threads and wall seconds of some work."""
    started = time.process_time(), time.perf_counter()
    work()
    return _since(started)


def _since(started: tuple[float, float]) -> tuple[float, float]:
    """Return CPU and wall seconds since a start."""
    return round(time.process_time() - started[0], 5), round(time.perf_counter() - started[1], 5)


if __name__ == "__main__":
    main()
