"""Text lines of a source file, and the JSON objects in them. Lines that are not UTF-8 are reported as remarks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from engine.errors import SourceError
from engine.files import MAX_LINE, decode, decode_lines, find_utf16
from engine.records.abstract import Rejection, Remark

NOT_UTF8 = "bytes that are not UTF-8, read as Windows-1252"
_OUTSIDE = "tagged lines outside records, ignored"
_DECODER = json.JSONDecoder()
_UNFINISHED = "record without its last line (ER), may be incomplete"


def refuse_bare_cr(stream: io.BufferedReader, name: str) -> None:
    """Refuse a file whose lines end with CR alone: it would be read as a single line.

    Raises:
        SourceError: the first bytes contain CR but no LF.
    """
    head = stream.peek()
    if b"\r" in head and b"\n" not in head:
        raise SourceError(f"{name}: lines end with CR alone. Convert them: tr '\\r' '\\n' < {name} > new")


@lru_cache(4)  # each format looks at the same bytes
def decode_head(head: bytes) -> tuple[str, ...]:
    """Decode the first bytes of a file and return its lines without the blank ones and without byte-order marks."""
    if codec := find_utf16(head):
        lines = head.decode(codec, "replace").replace("\r", "\n").split("\n")
    else:  # line by line: the last one may end in the middle of a character
        lines = [decode(raw)[0] for raw in head.replace(b"\r", b"\n").split(b"\n")]
    return tuple(line.lstrip("\ufeff") for line in lines if line.strip("\ufeff \t"))


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
        yield from _read_line_objects(line, name, place)


def _read_line_objects(line: str, name: str, place: str) -> Iterator[Rejection | tuple[str, dict[str, Any]]]:
    """Yield (place, object) for each JSON value of one line: joined files may have two where they meet."""
    rest = line
    while rest := rest.lstrip("\ufeff \t\r\n"):
        try:
            row, end = _DECODER.raw_decode(rest)
        except (ValueError, RecursionError) as err:  # a number with thousands of digits raises a plain ValueError
            yield Rejection(name, place, f"not JSON ({getattr(err, 'msg', 'nested too deep, or a number too long')})")
            return
        if not isinstance(row, dict):
            yield Rejection(name, place, f"a JSON {type(row).__name__}, expected an object")
            return
        rest = rest[end:]
        if rest.strip() and not rest.lstrip("\ufeff \t\r\n").startswith("{"):
            yield Rejection(name, place, "not JSON (Extra data)")
            return
        yield place, row


@dataclass(slots=True)
class Chunk:
    """The lines of one record, without their endings."""

    number: int  # of the first line
    lines: list[str] = field(default_factory=list)
    not_utf8: list[int] = field(default_factory=list)
    source: str = ""
    n_chars: int = 0
    is_ended: bool = False  # by its own last line, not by the next record or the end of the file
    outside: list[int] = field(default_factory=list)  # tagged lines near it that belong to no record

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
        yield from (Remark(_OUTSIDE, f"line {number}") for number in self.outside)
        if has_last_line and not self.is_ended:
            yield Remark(_UNFINISHED, self.place)


def read_text_lines(stream: io.BufferedReader, name: str) -> Iterator[tuple[int, str, bool]]:
    r"""Yield lines as decode_lines does, without their endings. \r alone ends a line, too.

    Raises:
        SourceError: as decode_lines.
    """
    number = 0
    for _, line, is_utf8 in decode_lines(stream, name):
        text = line.rstrip("\r\n")
        if "\r" not in text:
            number += 1
            yield number, text, is_utf8
            continue
        for piece in text.split("\r"):
            number += 1
            yield number, piece.lstrip("\ufeff"), is_utf8
