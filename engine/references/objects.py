"""JSON and JSON lines, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.references.cited import Cited
from engine.references.fields import as_json, hit_fields, record_fields


def as_object(cited: Cited) -> str:
    """A hit with its record as a JSON object on one line."""
    return as_json(hit_fields(cited.hit) | record_fields(cited.record))


def json_array(cited: Sequence[Cited], title: str) -> Iterator[str]:
    """Yield the pieces of one JSON array, an object a line."""
    yield "["
    for number, one in enumerate(cited):
        yield f"{',' if number else ''}\n{as_object(one)}"
    yield "\n]\n" if cited else "]\n"


def json_lines(cited: Sequence[Cited], title: str) -> Iterator[str]:
    """Yield an object a line."""
    return (f"{as_object(one)}\n" for one in cited)
