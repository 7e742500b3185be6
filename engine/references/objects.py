"""JSON and JSON lines, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.references.citation import Cited
from engine.references.fields import dump_line, list_hit_fields, list_record_fields


def _dump_hit(cited: Cited) -> str:
    """Return a hit with its record as a JSON object on one line."""
    return dump_line(list_hit_fields(cited.hit) | list_record_fields(cited.record))


def write_json_array(cited: Sequence[Cited], title: str) -> Iterator[str]:
    """Yield the pieces of one JSON array, an object a line."""
    yield "["
    for number, one in enumerate(cited):
        yield f"{',' if number else ''}\n{_dump_hit(one)}"
    yield "\n]\n" if cited else "]\n"


def write_json_lines(cited: Sequence[Cited], title: str) -> Iterator[str]:
    """Yield an object a line."""
    return (f"{_dump_hit(one)}\n" for one in cited)
