"""Source files: detect the format from the content and read the records."""

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
    """A format of source files."""

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[io.BufferedReader, str], Iterator[Entry]]


# Tried in this order, most specific first.
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
    """Yield the entries of one file in order.

    Without a format name, the format is detected from the content; the name of the file does not matter.

    Raises:
        SourceError: the file can't be opened, has no known format, has no record of the named format, or is truncated.
    """
    with open_source(path) as stream:
        if format_name is None:
            yield from _detect_format(stream.peek(HEAD), path).read(stream, name_source(path))
            return
        source_format, is_empty = get_format(format_name), True
        for entry in source_format.read(stream, name_source(path)):
            is_empty = False
            yield entry
        if is_empty:  # the named format may be wrong
            raise SourceError(
                f"{path} holds no {source_format.name} record. Leave the format out to detect it from the content"
            )


def name_source(path: Path) -> str:
    """Return a source's name for messages and the database; bytes that are not UTF-8 become question marks."""
    return path.name.encode("utf-8", "replace").decode("utf-8")


def check_source(path: Path, format_name: str | None = None) -> _Format:
    """Open a file and return its format without reading a record. A named format is not checked against the content.

    Raises:
        SourceError: the file can't be opened, or has no known format.
    """
    with open_source(path) as stream:
        return get_format(format_name) if format_name else _detect_format(stream.peek(HEAD), path)


def get_format(name: str) -> _Format:
    """Return the format with this name, ignoring case.

    Raises:
        SourceError: the name is unknown; the message lists the known ones.
    """
    for known in FORMATS:
        if known.name.lower() == name.strip().lower():
            return known
    raise SourceError(f"unknown format {name!r}: expected {KNOWN}")


def _detect_format(head: bytes, path: Path) -> _Format:
    """Detect the format from the first bytes.

    Raises:
        UnknownFormatError: no format matches; the message shows the start of the file.
    """
    for known in FORMATS:
        if known.looks_like(head):
            return known
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:60]
    if start.startswith(b"["):
        advice = f"write one object per line: jq -c '.[]' {path} > records.jsonl"
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
    """Format bytes of a file for a message, without control characters."""
    return repr(raw.decode("utf-8", "replace"))
