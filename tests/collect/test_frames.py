"""What travels between the process that reads files and the one that uses their entries."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import errors
from engine.collect import frames
from engine.collect.frames import FrameKind, Outbox, parse_entries, parse_error, read_frame, serialise_entries
from engine.errors import EngineError, MissingExtraError, SourceError
from engine.records.abstract import Abstract, Deletion, Entry, Rejection, Remark

ENTRIES = [
    Remark("odd", "line 1"),
    Abstract("PMID:1", "Gout 😀 \ud800", "", 2019, authors=("Roe R", "Öz A"), pmid="1", retracted=True, version=2),
    Deletion("PMID:2"),
    Rejection("a.ris", "line 9", "no title"),
    Abstract("b", "", "Beer."),
]
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)]


def fail_after(entries: list[Entry], error: Exception) -> Iterator[Entry]:
    yield from entries
    raise error


def test_entries_come_back_equal_and_in_order() -> None:
    (batch,) = serialise_entries(ENTRIES)
    assert list(parse_entries(batch)) == ENTRIES
    assert list(serialise_entries([])) == []


def test_a_batch_is_one_entry_larger_than_its_limit_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Deletion("x" * 100)
    (alone,) = serialise_entries([one])
    monkeypatch.setattr(frames, "_BATCH", 3 * len(alone) - 10)
    assert [len(list(parse_entries(batch))) for batch in serialise_entries([one] * 7)] == [3, 3, 1]


def test_the_entries_before_an_error_come_before_it() -> None:
    batches, found = serialise_entries(fail_after(ENTRIES[:2], SourceError("no"))), []
    with pytest.raises(SourceError, match="^no$"):
        for batch in batches:
            found += parse_entries(batch)
    assert found == ENTRIES[:2]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_engine_comes_back_with_its_message(kind: type[EngineError]) -> None:
    given = kind("lxml", "[a] or [b]") if kind is MissingExtraError else kind("a.ris, line 3: ünfit")
    found = parse_error(frames.serialise_error(given), Path("a.ris"))
    assert (type(found), str(found), found.args) == (kind, str(given), given.args)


@pytest.mark.parametrize("given", [OSError(5, "Input/output error"), FileNotFoundError(2, "No such file", "a.ris")])
def test_errors_of_the_disk_come_back_with_their_number(given: OSError) -> None:
    found = parse_error(frames.serialise_error(given), Path("a.ris"))
    assert (type(found), str(found), repr(found)) == (type(given), str(given), repr(given))  # type: ignore[comparison-overlap]


def test_any_other_error_names_the_file_and_shows_where_it_happened() -> None:
    try:
        [].pop()
    except IndexError as err:
        found = parse_error(frames.serialise_error(err), Path("a.ris"))
    assert isinstance(found, RuntimeError)
    assert str(found).startswith("a.ris could not be read") and "[].pop()" in str(found)


def read_frames(raw: bytes) -> list[tuple[FrameKind, bytes]]:
    """All frames in some bytes."""
    stream = io.BytesIO(raw)
    return list(iter(lambda: read_frame(stream), None))  # type: ignore[arg-type]


def test_a_cut_frame_is_none() -> None:
    outbox = Outbox(stream := io.BytesIO(), 100, lambda: None)
    outbox.put(FrameKind.ERROR, b"abc")
    outbox.close()
    whole = stream.getvalue()
    assert read_frames(whole) == [(FrameKind.ERROR, b"abc")]
    assert [read_frames(whole[:n]) for n in range(len(whole))] == [[]] * len(whole)


class SlowStream(io.BytesIO):
    """A stream that takes a frame only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Semaphore(0)

    def write(self, data: object) -> int:
        self.let.acquire()
        return super().write(data)  # type: ignore[arg-type]


def test_no_more_than_the_limit_waits() -> None:
    stream = SlowStream()
    outbox = Outbox(stream, 100, lambda: None)
    contents = [bytes([n]) * 25 for n in range(20)]  # of 30 bytes: three may wait
    waiting = list[int]()

    def send() -> None:
        for content in contents:
            outbox.put(FrameKind.ENTRIES, content)
            waiting.append(outbox.n_bytes)

    sender = threading.Thread(target=send)
    sender.start()
    for _ in contents:
        stream.let.release()
    sender.join()
    outbox.close()
    assert max(waiting) <= 90
    assert [content for _, content in read_frames(stream.getvalue())] == contents


def test_a_frame_above_the_limit_waits_alone() -> None:
    outbox = Outbox(stream := io.BytesIO(), 10, lambda: None)
    for _ in range(3):
        outbox.put(FrameKind.ENTRIES, b"x" * 50)
        assert outbox.n_bytes <= 55
    outbox.close()
    assert len(read_frames(stream.getvalue())) == 3


def test_a_process_that_nobody_reads_gives_up() -> None:
    class Broken(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    abandoned = threading.Event()
    Outbox(Broken(), 100, abandoned.set).put(FrameKind.READY)
    assert abandoned.wait(60)
