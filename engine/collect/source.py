"""Tell the format of a file from its content and read its records."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.collect import jsonl, pubmed, table
from engine.collect.lines import first_line
from engine.collect.opening import HEAD, open_source
from engine.errors import SourceError
from engine.records import Entry


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of source file."""

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[io.BufferedReader, str], Iterator[Entry]]


# Asked in this order, most specific first.
FORMATS = (
    Format("PubMed XML", pubmed.looks_like, pubmed.read),
    Format("JSONL", jsonl.looks_like, jsonl.read),
    Format("CSV", table.looks_like, table.read),
)


def read_source(path: Path) -> Iterator[Entry]:
    """Yield the entries of one file in order. The name of the file does not matter, its content does.

    Raises:
        SourceError: the file can't be opened, is of no known format, or breaks off in the middle.
    """
    with open_source(path) as stream:
        found = format_of(stream.peek(HEAD), path)
        yield from found.read(stream, source_name(path))


def source_name(path: Path) -> str:
    """Name of a source for messages and for the database; bytes that are not UTF-8 become question marks."""
    return path.name.encode("utf-8", "replace").decode("utf-8")


def check_source(path: Path) -> None:
    """Open a file and tell its format, reading no record.

    Raises:
        SourceError: the file can't be opened, or is of no known format.
    """
    with open_source(path) as stream:
        format_of(stream.peek(HEAD), path)


def format_of(head: bytes, path: Path) -> Format:
    """Pick the format that the first bytes show.

    Raises:
        SourceError: none does; says what was seen.
    """
    for known in FORMATS:
        if known.looks_like(head):
            return known
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:60]
    if start.startswith(b"["):
        raise SourceError(f"{path} is one JSON array; write one object a line: jq -c '.[]' {path} > records.jsonl")
    if start.startswith(b"<"):
        raise SourceError(f"{path} is XML but not PubMed's: expected <PubmedArticleSet>, found {shown(start)}")
    header = first_line(head)
    raise SourceError(
        f"{path} is not PubMed XML, JSONL or CSV: its first line is {shown(header.encode()[:60])}. "
        "A CSV needs a header with a title or abstract column"
    )


def shown(raw: bytes) -> str:
    """Bytes of a file for a message, without control characters."""
    return repr(raw.decode("utf-8", "replace"))
