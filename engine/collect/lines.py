"""Text lines of a source, whatever its encoding, with a remark where UTF-8 was not it."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator

from engine.collect.opening import MAX_LINE
from engine.errors import SourceError

NOT_UTF8 = "bytes that are not UTF-8, read as Windows-1252"


def lines(stream: io.BufferedReader, name: str) -> Iterator[tuple[int, str, bool]]:
    r"""Yield (line number from 1, line with its ending, whether it was UTF-8).

    A byte-order mark is dropped. Lines end at \n. UTF-16 is told by its mark; otherwise each line is UTF-8,
    or Windows-1252 where it is not valid UTF-8.

    Raises:
        SourceError: a line longer than MAX_LINE.
    """
    if stream.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        decoded = io.TextIOWrapper(stream, "utf-16", errors="replace", newline="")
        try:
            yield from ((number, text, True) for number, text in enumerate(decoded, 1))
        finally:
            decoded.detach()  # the stream is closed by who opened it
        return
    number = 0
    while raw := stream.readline(MAX_LINE):
        number += 1
        if len(raw) == MAX_LINE:
            raise SourceError(f"{name}, line {number}: longer than {MAX_LINE:,} bytes, so not a record")
        yield number, *decode(raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw)


def first_line(head: bytes) -> str:
    """The first line of a file's first bytes, decoded; UTF-16 is told by its mark."""
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        text = head.decode("utf-16", "replace")
    else:
        text = decode(head.removeprefix(codecs.BOM_UTF8))[0]
    return next((line for line in re.split("[\r\n]+", text) if line.strip()), "")


def decode(raw: bytes) -> tuple[str, bool]:
    """Decode one line: (text, whether it was UTF-8). The five bytes that Windows-1252 lacks become Latin-1."""
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        try:
            return raw.decode("cp1252"), False
        except UnicodeDecodeError:
            return raw.decode("latin-1"), False
