"""Refer tagged files (EndNote's .enw, BibIX, "%0 Journal Article"), read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from engine.collect.text.lines import Chunk, decode_head, read_text_lines
from engine.collect.text.tagfile import group_lines, join_wrapped
from engine.collect.values.fields import build_abstract_entries
from engine.collect.values.tagtable import Tagged, TagTable, list_left_tags, read_tag_fields
from engine.records.abstract import Entry

_TAG = re.compile(r"\s*%([0-9A-Za-z!#$&()*+<=>?@\[\]^~|])(?:[ \t]+|$)(.*)", re.DOTALL)
_SEAM = re.compile(r"(?<=\S)\ufeff?(?=%0 [A-Z][A-Za-z ]{2,40}$)")  # files were joined without a line end between them
_TITLE, _TYPE = "T", "0"
_LISTS = {"K", "A", "U", "@", "+", "Z", "E"}  # EndNote writes one value per line below the tag
# https://docs.endnote.com: "Tagged EndNote import format".
_TABLE = TagTable(
    source="Refer",
    fields={
        "title": ("T",),
        "abstract": ("X",),
        "authors": ("A",),
        "year": ("D",),
        "published": ("8",),
        "journal": ("J", "B"),
        "volume": ("V",),
        "issue": ("N",),
        "pages": ("P",),
        "issns": ("@",),
        "publisher": ("I",),
        "place": ("C",),
        "doi": ("R",),
        "accession": ("M",),
        "databases": ("~", "W"),
        "urls": ("U", ">"),
        "keywords": ("K",),
        "languages": ("G",),
        "affiliations": ("+",),
        "vernacular_title": ("(", "Q"),
        "labels": ("F",),
        "notes": ("Z", "<"),
        "publication_types": ("9",),
        "pmcid": ("2",),
    },
    defaults=frozenset({("0", "Journal Article")}),
)
_PMCID = re.compile(r"PMC\d+")


def looks_like(head: bytes) -> bool:
    """Return whether the first line is a type of reference, or the first two lines are tags of Refer."""
    lines = decode_head(head)
    if not lines:
        return False
    tags = [match[1] if (match := _TAG.match(line)) and match[2].strip() else "" for line in lines[:2]]
    return tags[0] == _TYPE or (len(tags) == 2 and all(tags))


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a Refer file in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in _split_records(stream, name):
        yield from chunk.list_remarks()
        tagged = _read_tags(chunk)
        values = read_tag_fields(tagged, _TABLE)
        if not _PMCID.fullmatch(str(values.get("pmcid", ""))):
            values.pop("pmcid", None)
        values["other_tags"] = list_left_tags(tagged, values, _TABLE)
        yield from build_abstract_entries(values, name, chunk.place)


def _split_records(stream: io.BufferedReader, name: str) -> Iterator[Chunk]:
    """Yield the records of a file: each starts with its type, or with any tag below a blank line.

    Where the first record starts with its type, a blank line may be inside a record. Lines above the first tag are
    dropped.

    Raises:
        SourceError: as read_text_lines; or a record is too long.
    """
    chunk: Chunk | None = None
    tags: set[str] = set()  # of the current record
    is_typed = is_parted = False  # whether records start with their type; whether a blank line is above this one
    for number, line, is_utf8 in read_text_lines(stream, name):
        for text in _SEAM.split(line):
            match = _TAG.match(text)
            tag = match[1] if match else None
            if tag is not None and (chunk is None or _is_start(tag, tags, is_parted and not is_typed)):
                if chunk is not None:
                    yield chunk
                is_typed = tag == _TYPE if chunk is None else is_typed
                chunk, tags = Chunk(number, source=name), set()
            if chunk is not None:
                chunk.add(text)
                chunk.not_utf8 += [number] * (not is_utf8)
            tags |= {tag} if tag else set()
            is_parted = not text.strip()
    if chunk is not None:
        yield chunk


def _is_start(tag: str, tags: set[str], is_parted: bool) -> bool:
    """Return whether a tag starts another record, below one with these tags."""
    if tag == _TYPE:
        return _TYPE in tags or (is_parted and _TITLE in tags)
    if tag == _TITLE:
        return _TITLE in tags
    return is_parted and _TITLE in tags


def _split_tag(line: str, _before: str) -> tuple[str, str] | None:
    """Return (tag, value) of a line; None for a line without a tag."""
    match = _TAG.match(line)
    return (match[1], match[2]) if match else None


def _read_tags(chunk: Chunk) -> Tagged:
    """Return (tag, value) in order; each line of a list is a value."""
    tagged: list[tuple[str, str]] = []
    for tag, lines in group_lines(chunk.lines, _split_tag):
        if tag in _LISTS:
            tagged += [(tag, line) for line in lines if line]
        else:
            tagged.append((tag, join_wrapped(lines)))
    return tagged
