"""JSON and JSON lines, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.references.values.citation import Cited
from engine.references.values.fields import dump_line, list_cited_fields


def _dump_record(cited: Cited) -> str:
    """Return a record as a JSON object on one line."""
    return dump_line(list_cited_fields(cited))


def write_json_array(cited: Iterable[Cited], title: str) -> Iterator[str]:
    """Yield the pieces of one JSON array, an object a line."""
    yield from write_array(map(_dump_record, cited))


def write_json_lines(cited: Iterable[Cited], title: str) -> Iterator[str]:
    """Yield an object a line."""
    return (f"{_dump_record(one)}\n" for one in cited)


def write_array(objects: Iterable[str]) -> Iterator[str]:
    """Yield the pieces of a JSON array from objects that are JSON already, one a line."""
    before = "["
    for one in objects:
        yield f"{before}\n{one}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"
