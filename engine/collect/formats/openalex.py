"""OpenAlex works, one JSON object a line, as its API gives them: the abstract is an index of words, turned back."""

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
    """Tell works by the first one, which may be longer than the bytes at hand."""
    line = decode_first_line(head).lstrip()
    if not line.startswith("{"):
        return False
    try:
        return is_work(json.loads(line))
    except (ValueError, RecursionError):
        return f'"{_INVERTED}"' in line or line[1:].lstrip().startswith((f'"id": "{_ADDRESS}', f'"id":"{_ADDRESS}'))


def is_work(row: Any) -> bool:
    """Whether an object is an OpenAlex work."""
    return isinstance(row, dict) and (_INVERTED in row or str(row.get("id", "")).startswith(_ADDRESS))


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the works in order; a line that can't be used is a Rejection with its number.

    Raises:
        SourceError: a line without end.
    """
    for found in read_objects(stream, name):
        if isinstance(found, tuple):
            yield from read_work(found[1], name, found[0])
        else:
            yield found


def read_work(work: Mapping[str, Any], name: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one work after its remarks, or one Rejection."""
    try:
        values = choose_columns({key: value for key, value in _read_values(work).items() if value})
    except FieldError as err:
        yield Rejection(name, place, str(err))
        return
    yield from build_abstract_entries(values, name, place)


def _read_values(work: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a work; what has no place of its own in OpenAlex is taken from the usual keys."""
    people = [entry.get("author") or {} for entry in _get_mappings(work.get("authorships"))]
    place = _get_mapping(_get_mapping(work.get("primary_location")).get("source")) or _get_mapping(
        work.get("host_venue")
    )
    ids = _get_mapping(work.get("ids"))
    own = {
        "title": work.get("display_name") or work.get("title"),
        "abstract": _restore_abstract(work.get(_INVERTED)) or work.get("abstract"),
        "year": work.get("publication_year"),
        "journal": place.get("display_name"),
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
    """The text of an inverted index, word -> positions: every word at each of its positions, gaps closed.

    Raises:
        FieldError: it is not such an index.
    """
    if not inverted:
        return ""
    try:
        placed = [(int(at), word) for word, positions in inverted.items() for at in positions]
    except (AttributeError, TypeError, ValueError, OverflowError) as err:
        found = type(inverted).__name__
        raise FieldError(f"{_INVERTED} is not an object of words with lists of positions (found {found})") from err
    return " ".join(word for _, word in sorted(placed, key=lambda item: item[0]))


def _get_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _get_mappings(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; nothing where there is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
