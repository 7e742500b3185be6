"""JSON Lines: one object per line."""

from __future__ import annotations

import io
from collections.abc import Iterator

from engine.collect.jsonfiles.objects import read_object
from engine.collect.text.lines import decode_first_line, read_objects
from engine.records.abstract import Entry


def looks_like(head: bytes) -> bool:
    """Return whether the first line begins with an object."""
    return decode_first_line(head).lstrip().startswith("{")


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a JSONL file in order; a line that can't be used gives a Rejection with its number.

    Raises:
        SourceError: a line is too long.
    """
    for item in read_objects(stream, name):
        if isinstance(item, tuple):
            yield from read_object(item[1], name, item[0])
        else:
            yield item
