"""JSON Lines: one object per line."""

from __future__ import annotations

import io
from collections.abc import Iterator

from engine.collect.formats import openalex
from engine.collect.text.lines import decode_first_line, read_objects
from engine.collect.values import export
from engine.collect.values.rows import build_entries
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
        if not isinstance(item, tuple):
            yield item
        elif export.is_export(item[1]):
            yield from export.read_export_object(item[1], name, item[0])
        elif openalex.is_work(item[1]):
            yield from openalex.read_work(item[1], name, item[0])
        else:
            yield from build_entries(item[1], name, item[0])
