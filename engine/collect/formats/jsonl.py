"""JSON lines: one object a line."""

from __future__ import annotations

import io
from collections.abc import Iterator

from engine.collect.formats import openalex
from engine.collect.text.lines import decode_first_line, read_objects
from engine.collect.values import export
from engine.collect.values.fields import build_entries
from engine.records.abstract import Entry


def looks_like(head: bytes) -> bool:
    """Tell JSON lines by the first character."""
    return decode_first_line(head).lstrip().startswith("{")


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a JSONL file in order; a line that can't be used is a Rejection with its number.

    Raises:
        SourceError: a line without end.
    """
    for found in read_objects(stream, name):
        if not isinstance(found, tuple):
            yield found
        elif export.is_export(found[1]):
            yield from export.read_export_object(found[1], name, found[0])
        elif openalex.is_work(found[1]):
            yield from openalex.read_work(found[1], name, found[0])
        else:
            yield from build_entries(found[1], name, found[0])
