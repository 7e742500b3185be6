"""Text lines of a source file and the records they form. Lines that are not UTF-8 are reported as remarks."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.errors import SourceError
from engine.files import MAX_LINE, decode, decode_lines
from engine.records.abstract import Rejection, Remark

NOT_UTF8 = "bytes that are not UTF-8, read as Windows-1252"
_UNFINISHED = "record without its last line (ER), may be incomplete"


def refuse_bare_cr(stream: io.BufferedReader, name: str) -> None:
    """Refuse a file whose lines end with CR alone: it would be read as a single line.

    Raises:
        SourceError: the first bytes contain CR but no LF.
    """
    head = stream.peek()
    if b"\r" in head and b"\n" not in head:
        raise SourceError(f"{name}: lines end with CR alone. Convert them: tr '\\r' '\\n' < {name} > new")


def decode_head(head: bytes) -> list[str]:
    """Decode the first bytes of a file and return its lines without the blank ones. UTF-16 is detected by its BOM."""
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        lines = re.split("[\r\n]+", head.decode("utf-16", "replace"))
    else:  # line by line: the last one may end in the middle of a character
        lines = [decode(raw)[0] for raw in re.split(b"[\r\n]+", head.removeprefix(codecs.BOM_UTF8))]
    return [line for line in lines if line.strip()]


def decode_first_line(head: bytes) -> str:
    """Return the first line of a file's first bytes that is not blank; "" if all are blank."""
    return next(iter(decode_head(head)), "")


def read_objects(stream: io.BufferedReader, name: str) -> Iterator[Rejection | Remark | tuple[str, dict[str, Any]]]:
    """Yield (place, object) for each line of JSON in order. Blank lines are skipped.

    A line that can't be used gives a Rejection; one that is not UTF-8 gives a Remark before its object.

    Raises:
        SourceError: as decode_lines.
    """
    for number, line, is_utf8 in decode_lines(stream, name):
        if not line.strip():
            continue
        place = f"line {number}"
        if not is_utf8:
            yield Remark(NOT_UTF8, place)
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as err:  # a number with thousands of digits raises a plain ValueError
            yield Rejection(name, place, f"not JSON ({getattr(err, 'msg', 'nested too deep, or a number too long')})")
            continue
        if isinstance(row, dict):
            yield place, row
        else:
            yield Rejection(name, place, f"a JSON {type(row).__name__}, expected an object")


@dataclass(slots=True)
class Chunk:
    """The lines of one record, without their endings."""

    number: int  # of the first line
    lines: list[str] = field(default_factory=list)
    not_utf8: list[int] = field(default_factory=list)
    source: str = ""
    n_chars: int = 0
    is_ended: bool = False  # by its own last line, not by the next record or the end of the file

    def add(self, line: str) -> None:
        """Append one line.

        Raises:
            SourceError: the record has more than MAX_LINE characters.
        """
        self.lines.append(line)
        self.n_chars += len(line)
        if self.n_chars > MAX_LINE:
            raise SourceError(f"{self.source}, line {self.number}: a record of more than {MAX_LINE:,} characters")

    @property
    def place(self) -> str:
        """The place of the record in its file."""
        return f"line {self.number}"

    def list_remarks(self, *, has_last_line: bool = False) -> Iterator[Remark]:
        """Yield a remark for each line that was not UTF-8; if the format has a last line, also one if it is missing."""
        yield from (Remark(NOT_UTF8, f"line {number}") for number in self.not_utf8)
        if has_last_line and not self.is_ended:
            yield Remark(_UNFINISHED, self.place)


def split_records(
    stream: io.BufferedReader, name: str, starts: Callable[[str], object], ends: Callable[[str], object]
) -> Iterator[Chunk]:
    """Yield the records of a file in order. A record ends with its last line, before the next start or with the file.

    Lines outside records are dropped.

    Args:
        stream: the file.
        name: name of the file, for messages.
        starts: whether a line starts a record.
        ends: whether a line is the last of its record. That line is not part of the chunk.

    Raises:
        SourceError: as decode_lines; or lines end with CR alone, or a record has more than MAX_LINE characters.
    """
    refuse_bare_cr(stream, name)
    chunk: Chunk | None = None
    for number, line, is_utf8 in decode_lines(stream, name):
        text = line.rstrip("\r\n")
        if starts(text):
            if chunk is not None:
                yield chunk
            chunk = Chunk(number, source=name)
        if chunk is None:
            continue
        if not is_utf8:
            chunk.not_utf8.append(number)
        if ends(text):
            chunk.is_ended = True
            yield chunk
            chunk = None
        else:
            chunk.add(text)
    if chunk is not None:
        yield chunk
