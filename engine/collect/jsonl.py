"""JSON lines: one object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from engine.collect.fields import entries
from engine.collect.lines import NOT_UTF8, first_line, lines
from engine.records import Entry, Rejection, Remark


def looks_like(head: bytes) -> bool:
    """Tell JSON lines by the first character."""
    return first_line(head).lstrip().startswith("{")


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a JSONL file in order; a line that can't be used is a Rejection with its number."""
    for number, line, is_utf8 in lines(stream, name):
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
        if not isinstance(row, dict):
            yield Rejection(name, place, f"a JSON {type(row).__name__}, expected an object")
            continue
        yield from entries(row, name, place)
