"""Text exports of the Cochrane Library ("Record #1 of 12"), read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from engine.collect.text.lines import Chunk, decode_head
from engine.collect.text.tagfile import Grammar, group_lines, join_wrapped, split_records
from engine.collect.values.fields import build_abstract_entries
from engine.collect.values.tags import read_links
from engine.collect.values.tagtable import Tagged, TagTable, list_left_tags, read_tag_fields
from engine.records.abstract import Entry

_TABLE = TagTable(
    source="Cochrane",
    fields={
        "title": ("TI",),
        "abstract": ("AB",),
        "authors": ("AU",),
        "year": ("YR",),
        "published": ("DA", "PD"),
        "journal": ("SO", "JN"),
        "volume": ("VL",),
        "issue": ("NO", "IS"),
        "pages": ("PG",),
        "issns": ("SN",),
        "publisher": ("PB",),
        "place": ("PP",),
        "doi": ("DOI", "DO"),
        "pmid": ("PM",),
        "accession": ("ID", "AN", "XR"),
        "urls": ("US", "UR", "SO"),  # the source of a trial register is its address
        "keywords": ("KY", "KW", "MH"),
        "languages": ("LA",),
        "vernacular_title": ("OT",),
        "affiliations": ("AD",),
        "publication_types": ("PT",),
        "notes": ("NT",),
    },
)
_KNOWN = frozenset({"CC", "ST", "DB", "TT"}).union(*_TABLE.fields.values())
_START = re.compile(r"\s*Record #\d+ of \d+\s*$", re.IGNORECASE)
_SEAM = re.compile(r"(?<=\S)\ufeff?(?=Record #\d+ of \d+\s*$)")  # files were joined without a line end between them
_TAG = re.compile(r"\s*([A-Z][A-Z0-9]{1,3}): ?(.*)")
_TEXTS = {"AB", "TI"}  # running text, in which only known tags count


def looks_like(head: bytes) -> bool:
    """Return whether the first line counts the records, with a tag below it; or is the id of a record."""
    lines = decode_head(head)
    if len(lines) > 1 and _START.match(lines[0]):
        return _TAG.match(lines[1]) is not None
    return bool(lines) and re.match(r"ID: (?:CN-\d|CD\d{6})", lines[0]) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in split_records(stream, name, _GRAMMAR):
        yield from chunk.list_remarks()
        tagged = _read_tags(chunk)
        values = read_tag_fields(tagged, _TABLE)
        if read_links([str(values.get("journal", ""))]):
            del values["journal"]
        values["other_tags"] = list_left_tags(tagged, values, _TABLE)
        yield from build_abstract_entries(values, name, chunk.place)


def _find_tag(line: str) -> str | None:
    """Return the tag of a line if the Cochrane Library has it."""
    match = _TAG.match(line)
    return match[1] if match and match[1] in _KNOWN else None


_GRAMMAR = Grammar(
    heads=frozenset({"Re", "RE", "re"}),
    starts=_START.match,
    find_tag=_find_tag,
    titles=frozenset({"TI"}),
    bodies=frozenset({"AB"}),
    seam_mark="Record #",
    find_seam=_SEAM.search,
)


def _split_tag(line: str, before: str) -> tuple[str, str] | None:
    """Return (tag, value) of a line; None for a line without a tag."""
    match = _TAG.match(line)
    if match is None or (before in _TEXTS and match[1] not in _KNOWN):
        return None
    return match[1], match[2]


def _read_tags(chunk: Chunk) -> Tagged:
    """Return (tag, value) in order."""
    lines = (line for line in chunk.lines if not _START.match(line))
    return [(tag, join_wrapped(texts)) for tag, texts in group_lines(lines, _split_tag)]
