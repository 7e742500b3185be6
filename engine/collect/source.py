"""Source files: detect the format from the content and read the records."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.collect.jsonfiles import document, jsonl, openalex
from engine.collect.tables import table, workbook
from engine.collect.tagfiles import bibtex, cochrane, medline, ovid, pubmedtext, refer, refworks, ris, webofscience
from engine.collect.text.lines import decode_first_line
from engine.collect.text.stream import open_source
from engine.collect.xmlfiles import endnote, pubmed
from engine.errors import SourceError, UnknownFormatError
from engine.files import HEAD, find_utf16
from engine.records.abstract import Entry, Remark


@dataclass(frozen=True, slots=True)
class _Format:
    """A format of source files."""

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[io.BufferedReader, str], Iterator[Entry]]
    n_before: int = 0  # lines that may stand above its first line: a database's preamble, or a comment


# Tried in this order, most specific first.
FORMATS = (
    _Format("PubMed XML", pubmed.looks_like, pubmed.read),
    _Format("EndNote XML", endnote.looks_like, endnote.read),
    _Format("Ovid", ovid.looks_like, ovid.read, n_before=200),
    _Format("MEDLINE", medline.looks_like, medline.read, n_before=50),
    _Format("RIS", ris.looks_like, ris.read, n_before=50),
    _Format("Web of Science", webofscience.looks_like, webofscience.read),
    _Format("RefWorks", refworks.looks_like, refworks.read, n_before=50),
    _Format("Refer", refer.looks_like, refer.read, n_before=50),
    _Format("Cochrane", cochrane.looks_like, cochrane.read, n_before=50),
    _Format("PubMed text", pubmedtext.looks_like, pubmedtext.read, n_before=10),
    _Format("BibTeX", bibtex.looks_like, bibtex.read, n_before=200),
    _Format("JSON", document.looks_like, document.read),
    _Format("OpenAlex", openalex.looks_like, openalex.read),
    _Format("JSONL", jsonl.looks_like, jsonl.read),
    _Format("XLSX", workbook.looks_like, workbook.read),
    _Format("CSV", table.looks_like, table.read),
)
KNOWN = f"{', '.join(known.name for known in FORMATS[:-1])} or {FORMATS[-1].name}"
_OTHER_NAMES = {
    "pubmed": "PubMed XML",
    "nbib": "MEDLINE",
    "endnote": "EndNote XML",
    "bib": "BibTeX",
    "wos": "Web of Science",
    "ciw": "Web of Science",
    "enw": "Refer",
    "bibix": "Refer",
    "ovd": "Ovid",
    "cochranelibrary": "Cochrane",
    "central": "Cochrane",
    "pubmedabstract": "PubMed text",
    "excel": "XLSX",
    "tsv": "CSV",
    "tab": "CSV",
}
_N_CONFIRMING = 50  # lines below the first of a record that a format may look at
ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)[^<>]*>")


def read_source(path: Path, format_name: str | None = None) -> Iterator[Entry]:
    """Yield the entries of one file in order.

    Without a format name, the format is detected from the content; the name of the file does not matter.

    Raises:
        SourceError: the file can't be opened, has no known format, holds no record, or is truncated.
    """
    is_empty = True
    with open_source(path) as stream:
        head = stream.peek(HEAD)
        source_format = get_format(format_name) if format_name else _detect_format(head, path)
        for entry in source_format.read(stream, name_source(path)):
            is_empty = is_empty and isinstance(entry, Remark)
            yield entry
    if is_empty:
        raise SourceError(_explain_empty(path, head, source_format))


def _explain_empty(path: Path, head: bytes, tried: _Format) -> str:
    """Return the message for a file without a record: the reader tried, and why not another."""
    start = _show_bytes(decode_first_line(head).encode()[:60])
    detected = _find_format(head)
    if detected is tried:
        why = f"its first line, {start}, is of no other format. Export the records again, or name another: --format"
    elif detected is None:
        why = f"its first line, {start}, is of no known format. Name another: --format"
    else:
        why = f"its first line, {start}, is of {detected.name}. Leave the format out to detect it from the content"
    return f"{path} holds no {tried.name} record; {why}"


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
    """Return the format with this name, ignoring case, blanks and hyphens. Some have a second name: "nbib", "TSV".

    Raises:
        SourceError: the name is unknown; the message lists the known ones.
    """
    wanted = _simplify(name)
    wanted = _simplify(_OTHER_NAMES.get(wanted, wanted))
    for known in FORMATS:
        if _simplify(known.name) == wanted:
            return known
    raise SourceError(f"unknown format {name!r}: expected {KNOWN}")


def _simplify(name: str) -> str:
    """Return the letters of a format's name in lower case."""
    return "".join(filter(str.isalnum, name.lower()))


def _detect_format(head: bytes, path: Path) -> _Format:
    """Detect the format from the first bytes.

    Raises:
        UnknownFormatError: no format matches; the message shows the start of the file.
    """
    if found := _find_format(head):
        return found
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:60]
    if start.startswith(b"<") and not start[1:2].isdigit():
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


def _find_format(head: bytes) -> _Format | None:
    """Return the format that the first line decides; None if no format matches.

    Above the first line of a record there may be a preamble, but no table: a line in a cell decides nothing.
    """
    table_format = FORMATS[-1]
    for known in FORMATS[:-1]:
        if known.looks_like(head):
            return known
    for n_lines, above, rest in _split_preamble(head):
        for known in FORMATS[:-1]:
            if n_lines <= known.n_before and known.looks_like(rest):
                return table_format if table.count_columns(above) > 1 else known
    return table_format if table_format.looks_like(head) else None


def _split_preamble(head: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (number of lines above, their bytes, the bytes below) for each line that may end a preamble.

    A line inside quotation marks is part of a cell.
    """
    if (codec := find_utf16(head)) is not None:
        head = head.decode(codec, "replace").encode()
    lines = [line for line in re.split(b"[\r\n]+", head) if line.strip()]
    if not lines or lines[0].lstrip(b"\xef\xbb\xbf \t").startswith((b"{", b"[")):
        return
    for n_lines in range(1, min(len(lines), 1 + max(known.n_before for known in FORMATS))):
        above = b"\n".join(lines[:n_lines])
        if above.count(b'"') % 2 == 0:
            yield n_lines, above, b"\n".join(lines[n_lines : n_lines + _N_CONFIRMING])


def _show_bytes(raw: bytes) -> str:
    """Format bytes of a file for a message, without control characters."""
    return repr(raw.decode("utf-8", "replace"))
