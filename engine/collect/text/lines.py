"""Text lines of a source, whatever its encoding, with a remark where UTF-8 was not it; and the records they make."""

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


def refuse_bare_cr(stream: io.BufferedReader, name: str) -> None:
    """Refuse the lines of old Macintoshes, which would all be one line.

    Raises:
        SourceError: the first bytes hold CR and no LF.
    """
    head = stream.peek()
    if b"\r" in head and b"\n" not in head:
        raise SourceError(f"{name}: lines end with CR alone. Convert them: tr '\\r' '\\n' < {name} > new")


def decode_head(head: bytes) -> list[str]:
    """The lines of a file's first bytes that are not blank, decoded; UTF-16 is told by its mark."""
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        found = re.split("[\r\n]+", head.decode("utf-16", "replace"))
    else:  # each by itself: the last one may end in the middle of a character
        found = [decode(raw)[0] for raw in re.split(b"[\r\n]+", head.removeprefix(codecs.BOM_UTF8))]
    return [line for line in found if line.strip()]


def decode_first_line(head: bytes) -> str:
    """The first line of a file's first bytes, decoded; "" when all of it is blank."""
    return next(iter(decode_head(head)), "")


def read_objects(stream: io.BufferedReader, name: str) -> Iterator[Rejection | Remark | tuple[str, dict[str, Any]]]:
    """Yield (place, object) for each line of JSON in order, or what is wrong with the line. Blank lines hold nothing.

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
        except (ValueError, RecursionError) as err:  # a number of thousands of digits is a plain ValueError
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
    is_ended: bool = False  # by its own last line, rather than by the next record or the end of the file

    def add(self, line: str) -> None:
        """Take one more line.

        Raises:
            SourceError: more than MAX_LINE characters, which is no record.
        """
        self.lines.append(line)
        self.n_chars += len(line)
        if self.n_chars > MAX_LINE:
            raise SourceError(f"{self.source}, line {self.number}: a record of more than {MAX_LINE:,} characters")

    def list_remarks(self) -> Iterator[Remark]:
        """Yield a remark for each line that was not UTF-8."""
        return (Remark(NOT_UTF8, f"line {number}") for number in self.not_utf8)


def split_records(
    stream: io.BufferedReader, name: str, starts: Callable[[str], object], ends: Callable[[str], object]
) -> Iterator[Chunk]:
    """Yield the records of a file in order: from a line that starts one to the line that ends it, or to the next start.

    Lines before, between and after records are dropped.

    Raises:
        SourceError: as decode_lines, lines that end with CR alone, or a record without end.
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
