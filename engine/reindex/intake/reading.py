"""The files of a run in order, with their receipts and entries; large ones are read ahead in other processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from engine.collect.readers import Readers, count_readers
from engine.receipts import FileReceipt
from engine.records.abstract import Entry
from engine.reindex.intake.sources import Source


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is read."""

    source: Source
    receipt: FileReceipt  # taken before the first byte was read as an entry
    entries: Iterator[Entry]  # to be taken to its end, before the next file


def read_files(sources: Sequence[Source]) -> Generator[OpenFile]:
    """Yield the files in order. Close the iterator if it is not used to its end: it ends the processes.

    Raises:
        OSError: a file can't be hashed, when its turn comes. Errors of the entries are those of read_source.
    """
    ahead: deque[OpenFile | OSError] = deque()
    with Readers(count_readers([source.path for source in sources])) as readers:
        for source in sources:
            ahead.append(_open(source, readers))
            if len(ahead) > readers.n_ahead:
                yield _take(ahead)
        while ahead:
            yield _take(ahead)


def _open(source: Source, readers: Readers) -> OpenFile | OSError:
    """Take the receipt of a file, unless it was hashed before, and begin to read it."""
    try:
        receipt = source.receipt or FileReceipt.of(source.path)
    except OSError as err:
        return err
    return OpenFile(source, receipt, readers.read(source.path, source.format))


def _take(ahead: deque[OpenFile | OSError]) -> OpenFile:
    """Return the first file.

    Raises:
        OSError: it could not be hashed.
    """
    first = ahead.popleft()
    if isinstance(first, OSError):
        raise first
    return first
