"""Web of Science's tagged files ("FN Clarivate …"), split here into records and read by rispy."""

from __future__ import annotations

import io
import re
import string
from collections.abc import Iterator

import rispy  # type: ignore[import-untyped]

from engine.collect.fields import entries_of
from engine.collect.lines import chunks, first_line
from engine.records import Entry, Remark

ALL = [first + second for first in string.ascii_uppercase for second in string.ascii_uppercase + string.digits]
PARSER = rispy.WokParser(mapping={tag: tag for tag in ALL}, list_tags=ALL, ignore=[])  # every line of a value is kept

START = re.compile("PT ")
END = re.compile(r"ER\s*$")
MAGIC = re.compile(r"FN (?:Clarivate|ISI|Thomson)", re.IGNORECASE)
LINE = re.compile(r"[A-Z][A-Z0-9] |[A-Z][A-Z0-9]$|  ")

UNFINISHED = "a record without its last line (ER), read as far as it goes"


def looks_like(head: bytes) -> bool:
    """Tell the file by its first line."""
    return MAGIC.match(first_line(head)) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records in order; one that can't be used is a Rejection with the line where it begins.

    Raises:
        SourceError: lines that end with CR alone, or a line or a record without end.
    """
    for chunk in chunks(stream, name, START.match, END.match):
        yield from chunk.remarks()
        place = f"line {chunk.number}"
        if not chunk.is_ended:
            yield Remark(UNFINISHED, place)
        lines = [line if LINE.match(line) else f"   {line}" for line in chunk.lines if line.strip()]
        (found,) = PARSER.parse_lines(iter([*lines, "ER"]))
        yield from entries_of(values_of(found), name, place)


def values_of(tags: dict[str, list[str]]) -> dict[str, object]:
    """The fields of one record."""

    def joined(tag: str) -> str:
        return " ".join(tags.get(tag, []))

    given = {
        "title": joined("TI"),
        "abstract": joined("AB"),
        "year": joined("PY"),
        "journal": joined("SO"),
        "authors": tags.get("AF") or tags.get("AU"),
        "pmid": joined("PM"),
        "doi": joined("DI"),
        "accession": joined("UT"),
        "keywords": f"{joined('DE')};{joined('ID')}",
        "languages": joined("LA"),
        "publication_types": joined("DT"),
    }
    return {field: value for field, value in given.items() if value}
