"""OpenAlex works as its API returns them, one JSON object per line. Abstracts are restored from the inverted index."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.collect.text.lines import decode_first_line, read_objects
from engine.collect.values.columns import choose_columns
from engine.collect.values.fields import build_abstract_entries, drop_repeats
from engine.collect.values.identity import FieldError
from engine.records.abstract import Entry, Rejection

_ADDRESS = "https://openalex.org/W"
_INVERTED = "abstract_inverted_index"


def looks_like(head: bytes) -> bool:
    """Return whether the first line is an OpenAlex work; the line may be longer than the bytes in head."""
    line = decode_first_line(head).lstrip()
    if not line.startswith("{"):
        return False
    try:
        return is_work(json.loads(line))
    except (ValueError, RecursionError):
        return f'"{_INVERTED}"' in line or line[1:].lstrip().startswith((f'"id": "{_ADDRESS}', f'"id":"{_ADDRESS}'))


def is_work(row: Any) -> bool:
    """Return whether an object is an OpenAlex work."""
    return isinstance(row, dict) and (_INVERTED in row or str(row.get("id", "")).startswith(_ADDRESS))


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the works in order; a line that can't be used gives a Rejection with its number.

    Raises:
        SourceError: a line is too long.
    """
    for item in read_objects(stream, name):
        if isinstance(item, tuple):
            yield from read_work(item[1], name, item[0])
        else:
            yield item


def read_work(work: Mapping[str, Any], name: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one work after its remarks, or one Rejection."""
    try:
        values = choose_columns({key: value for key, value in _read_values(work).items() if value})
    except FieldError as err:
        yield Rejection(name, place, str(err))
        return
    yield from build_abstract_entries(values, name, place)


def _read_values(work: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a work; fields that OpenAlex doesn't have are read from the usual keys."""
    people = [entry.get("author") or {} for entry in _get_mappings(work.get("authorships"))]
    venue = _get_mapping(_get_mapping(work.get("primary_location")).get("source")) or _get_mapping(
        work.get("host_venue")
    )
    ids = _get_mapping(work.get("ids"))
    own = {
        "title": work.get("display_name") or work.get("title"),
        "abstract": _restore_abstract(work.get(_INVERTED)) or work.get("abstract"),
        "year": work.get("publication_year"),
        "journal": venue.get("display_name"),
        "authors": [person["display_name"] for person in people if person.get("display_name")],
        "orcids": [person.get("orcid") or "" for person in people if person.get("display_name")],
        "pmid": ids.get("pmid"),
        "doi": ids.get("doi"),
        "mesh": drop_repeats(str(heading.get("descriptor_name") or "") for heading in _get_mappings(work.get("mesh"))),
        "publication_types": [work["type"]] if isinstance(work.get("type"), str) else None,
        "retracted": work.get("is_retracted"),
    }
    return {**work, **{key: value for key, value in own.items() if value}}


def _restore_abstract(inverted: Any) -> str:
    """Return the text of an inverted index (word -> positions): the words in order of position, "" without an index.

    Raises:
        FieldError: it is not such an index.
    """
    if not inverted:
        return ""
    try:
        placed = [(int(position), word) for word, positions in inverted.items() for position in positions]
    except (AttributeError, TypeError, ValueError, OverflowError) as err:
        kind = type(inverted).__name__
        raise FieldError(f"{_INVERTED} is not an object of words with lists of positions (found {kind})") from err
    return " ".join(word for _, word in sorted(placed, key=lambda item: item[0]))


def _get_mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _get_mappings(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; an empty list if the value is not one."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
