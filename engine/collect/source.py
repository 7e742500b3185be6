"""Tell the format of a file from its content and read its records."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.collect.formats import bibtex, endnote, jsonl, medline, openalex, pubmed, ris, table, webofscience
from engine.collect.text.lines import decode_first_line
from engine.collect.text.stream import open_source
from engine.errors import SourceError, UnknownFormatError
from engine.files import HEAD
from engine.records.abstract import Entry


@dataclass(frozen=True, slots=True)
class _Format:
    """A kind of source file."""

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[io.BufferedReader, str], Iterator[Entry]]


# Asked in this order, most specific first.
FORMATS = (
    _Format("PubMed XML", pubmed.looks_like, pubmed.read),
    _Format("EndNote XML", endnote.looks_like, endnote.read),
    _Format("MEDLINE", medline.looks_like, medline.read),
    _Format("RIS", ris.looks_like, ris.read),
    _Format("Web of Science", webofscience.looks_like, webofscience.read),
    _Format("BibTeX", bibtex.looks_like, bibtex.read),
    _Format("OpenAlex", openalex.looks_like, openalex.read),
    _Format("JSONL", jsonl.looks_like, jsonl.read),
    _Format("CSV", table.looks_like, table.read),
)
KNOWN = f"{', '.join(known.name for known in FORMATS[:-1])} or {FORMATS[-1].name}"
ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)[^<>]*>")


def read_source(path: Path, format_name: str | None = None) -> Iterator[Entry]:
    """Yield the entries of one file in order. The name of the file does not matter, its content does.

    Raises:
        SourceError: the file can't be opened, is of no known format, or breaks off in the middle.
    """
    with open_source(path) as stream:
        if format_name is None:
            yield from _format_of(stream.peek(HEAD), path).read(stream, name_source(path))
            return
        found, is_empty = format_named(format_name), True
        for entry in found.read(stream, name_source(path)):
            is_empty = False
            yield entry
        if is_empty:  # the format was not told by the content, so it may be another one
            raise SourceError(f"{path} holds no {found.name} record. Leave the format out, and its content tells it")


def name_source(path: Path) -> str:
    """Name of a source for messages and for the database; bytes that are not UTF-8 become question marks."""
    return path.name.encode("utf-8", "replace").decode("utf-8")


def check_source(path: Path, format_name: str | None = None) -> _Format:
    """Open a file and tell its format, reading no record. A format that is named is not doubted.

    Raises:
        SourceError: the file can't be opened, or is of no known format.
    """
    with open_source(path) as stream:
        return format_named(format_name) if format_name else _format_of(stream.peek(HEAD), path)


def format_named(name: str) -> _Format:
    """The format of that name, whatever its case.

    Raises:
        SourceError: there is none; lists them all.
    """
    for known in FORMATS:
        if known.name.lower() == name.strip().lower():
            return known
    raise SourceError(f"no format is called {name!r}: expected {KNOWN}")


def _format_of(head: bytes, path: Path) -> _Format:
    """Pick the format that the first bytes show.

    Raises:
        UnknownFormatError: none does; says what was seen.
    """
    for known in FORMATS:
        if known.looks_like(head):
            return known
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:60]
    if start.startswith(b"["):
        advice = f"write one object a line: jq -c '.[]' {path} > records.jsonl"
        raise UnknownFormatError(f"{path} is one JSON array; {advice}")
    if start.startswith(b"<"):
        root = ROOT.search(head)
        raise UnknownFormatError(
            f"{path} is XML, but neither PubMed's (<PubmedArticleSet>) nor EndNote's (<xml><records>): "
            f"found {_show_bytes(root[0][:60] if root else start)}. Export the records as {KNOWN}"
        )
    header = decode_first_line(head)
    raise UnknownFormatError(
        f"{path} is not {KNOWN}: its first line is {_show_bytes(header.encode()[:60])}. "
        "A CSV needs a header with a title or abstract column"
    )


def _show_bytes(raw: bytes) -> str:
    """Bytes of a file for a message, without control characters."""
    return repr(raw.decode("utf-8", "replace"))
