"""BibTeX. Files are split into entries before bibtexparser reads them, so that a broken entry is one Rejection."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from bibtexparser.library import Library
from bibtexparser.middlewares import RemoveEnclosingMiddleware, ResolveStringReferencesMiddleware
from bibtexparser.middlewares.names import split_multiple_persons_names
from bibtexparser.model import Entry as Block
from bibtexparser.splitter import Splitter

from engine.accessions import parse_accession
from engine.collect.text.latex import decode_latex
from engine.collect.text.lines import Chunk, decode_first_line, read_text_lines
from engine.collect.text.loggers import silence_loggers
from engine.collect.values.dates import parse_date
from engine.collect.values.export import MARK as OWN_FIELD
from engine.collect.values.export import read_marked_record
from engine.collect.values.fields import build_abstract_entries
from engine.collect.values.identity import FieldError
from engine.records.abstract import Entry, Rejection, Remark

_START = re.compile(r"\s*@\s*([A-Za-z]+)\s*([{(])")
# Before an entry that begins on the last line of another.
_BESIDE = re.compile(r"(?<=[})])[\s\ufeff]*(?=@\s*[A-Za-z]+\s*[{(][^\s,={}]*\s*,)")
_NEW_ENTRY = re.compile(r"@\s*([A-Za-z]+)\s*([{(])\s*[^\s,={}()\"]*\s*(?:,|$)")  # inside an entry that is not closed
MARK = re.compile(r"(?<!\\)[{}]|[()]")
_FIELD = re.compile(r"\s*[A-Za-z_-]+\s*=\s*\S")  # a field after an entry that an extra closing brace ended
_NO_COMMA = re.compile(r"[}\"]\s*\n\s*[A-Za-z_-]+\s*=\s*[{\"]")
_STRING_NAME = re.compile(r"@\s*string\s*[{(]\s*([^\s=]+)\s*=", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([_%&#$~])")

_AS_IT_CAME = "LaTeX that can't be converted completely, stored unchanged"


def looks_like(head: bytes) -> bool:
    """Return whether the first line begins with an entry."""
    return _START.match(decode_first_line(head)) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the entries of a BibTeX file in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or an entry is too long.
    """
    with silence_loggers("bibtexparser", "pylatexenc"):
        yield from _read_entries(stream, name)


def _read_entries(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the entries as read does, with the loggers as they are."""
    strings: dict[str, str] = {}
    for chunk in _split_entries(stream, name):
        yield from chunk.list_remarks()
        text, place = "\n".join(chunk.lines), chunk.place
        start = _START.match(text)
        kind = start[1].lower() if start else ""
        if kind == "string":
            if named := _STRING_NAME.match(text.lstrip()):
                strings[named[1].lower()] = text
        elif kind not in {"comment", "preamble"}:
            try:
                raw = _read_fields(text, chunk, strings)
                values, is_whole = _decode_values(raw)
            except FieldError as err:
                yield Rejection(name, place, str(err))
                continue
            if not is_whole:
                yield Remark(_AS_IT_CAME, place)
            if marked := raw.get(OWN_FIELD):
                yield from read_marked_record(values, marked[0], name, place)
            else:
                yield from build_abstract_entries(values, name, place)


class _Splitting:
    """An entry while its lines are collected, with the current depth of its brackets."""

    def __init__(self, number: int, opening: str, name: str) -> None:
        self.chunk = Chunk(number, source=name)
        self.opening, self.closing = opening, "}" if opening == "{" else ")"
        self.depth = 0  # of braces
        self.rounds = 0  # of parentheses outside braces, counted if they enclose the entry

    def follow(self, line: str) -> None:
        """Count the brackets of the next line and set is_ended at the end of the entry."""
        for mark in MARK.finditer(line):
            self.depth += {"{": 1, "}": -1}.get(mark[0], 0)
            if self.opening == "(" and not self.depth:
                self.rounds += {"(": 1, ")": -1}.get(mark[0], 0)
            if mark[0] == self.closing and self.depth <= 0 and self.rounds <= 0:
                self.chunk.is_ended = True
                return


def _split_entries(stream: io.BufferedReader, name: str) -> Iterator[Chunk]:
    """Yield each block from @ to its closing bracket, with fields after it, or to the next block if it is not closed.

    Raises:
        SourceError: a line or an entry is too long.
    """
    current: _Splitting | None = None
    for number, piece, is_utf8 in _split_lines(stream, name):
        is_between = current is None or current.chunk.is_ended
        if start := (_START if is_between else _NEW_ENTRY).match(piece):
            if current is not None:
                yield current.chunk
            current = _Splitting(number, start[2], name)
        elif current is None or (is_between and not _FIELD.match(piece)):
            continue
        if not is_utf8:
            current.chunk.not_utf8.append(number)
        current.chunk.add(piece)
        current.follow(piece)
    if current is not None:
        yield current.chunk


def _split_lines(stream: io.BufferedReader, name: str) -> Iterator[tuple[int, str, bool]]:
    """Yield lines as read_text_lines does, split before an entry that follows a closing bracket."""
    for number, line, is_utf8 in read_text_lines(stream, name):
        for piece in _BESIDE.split(line):
            yield number, piece, is_utf8


def _read_fields(text: str, chunk: Chunk, strings: dict[str, str]) -> dict[str, list[str]]:
    """Return the raw values of each field of one entry, names in lower case, with the @string abbreviations expanded.

    Raises:
        FieldError: the entry is not closed or not well-formed.
    """
    if not chunk.is_ended:
        raise FieldError("the entry is never closed: a closing brace is missing before the next entry")
    library = Splitter(text.strip()).split()
    blocks = [*library.entries, *(getattr(block, "ignore_error_block", None) for block in library.failed_blocks)]
    entry = next((block for block in blocks if isinstance(block, Block)), None)
    if entry is None or (library.entries and library.failed_blocks):
        reasons = [getattr(block.error, "abort_reason", str(block.error)) for block in library.failed_blocks]
        raise FieldError(f"not a BibTeX entry: {' '.join(reasons)[:200]}")
    if any(comment.comment.strip(" ,")[:1] not in {"", "%"} for comment in library.comments):
        raise FieldError("text after the end of the entry: does it have an extra closing brace?")
    for place, field in enumerate(entry.fields):
        if _NO_COMMA.search(_strip_braced(str(field.value))):
            raise FieldError(f"a comma is missing after the field {field.key[:40]!r}")
        field.key = f"{field.key.lower()} {place}"  # a field may occur twice
    values: dict[str, list[str]] = {}
    for field in _expand_strings(entry, text, strings).fields:
        values.setdefault(field.key.split(" ")[0], []).append(str(field.value))
    return values


def _strip_braced(value: str) -> str:
    """Return a raw value without the text inside its braces; line ends are kept."""
    depth, kept = 0, []
    for char in value:
        depth -= char == "}"
        if depth <= 0 or char == "\n":
            kept.append(char)
        depth += char == "{"
    return "".join(kept)


def _expand_strings(entry: Block, text: str, strings: dict[str, str]) -> Block:
    """Return the entry with its abbreviations expanded and without braces or quotation marks around the values."""
    words = set(re.findall(r"[^\s{}\",=#()]+", text.lower()))
    used = "\n".join(definition for name, definition in strings.items() if name in words)
    library = Library([*Splitter(used).split().strings, entry])
    for step in (ResolveStringReferencesMiddleware(), RemoveEnclosingMiddleware()):
        library = step.transform(library)
    return library.entries[0]


def _decode_values(raw: dict[str, list[str]]) -> tuple[dict[str, object], bool]:
    """Return the values of one entry, and whether all LaTeX in them could be converted."""
    whole: list[bool] = []

    def text(*names: str, between: str = " ") -> str:
        value = next((raw[name] for name in names if raw.get(name)), [])
        parts = [decode_latex(part) for part in dict.fromkeys(value)]
        whole.extend(is_whole for _, is_whole in parts)
        return between.join(part for part, _ in parts)

    def code(*names: str) -> str:
        return next((_ESCAPED.sub(r"\1", raw[name][0].strip("{} \n")) for name in names if raw.get(name)), "")

    people = [decode_latex(name) for value in raw.get("author", [])[:1] for name in split_multiple_persons_names(value)]
    whole.extend(is_whole for _, is_whole in people)
    is_pubmed = code("eprinttype", "archiveprefix").lower() in {"pubmed", "pmid", "medline"}
    values = {
        "title": text("title"),
        "abstract": text("abstract", between="\n"),
        "year": [code(name) for name in ("year", "date") if code(name)],
        "published": _join_date(code("year"), code("month"), code("day")),
        "journal": text("journal", "journaltitle", "booktitle"),
        "authors": [name for name, _ in people if name != "others"],
        "pmid": code("pmid", "pubmed_id", "pubmedid", "pubmed-id") or (code("eprint") if is_pubmed else ""),
        "doi": [
            decode_latex(part)[0] if re.search(r"[\\$]", part) else part.strip("{} \n") for part in raw.get("doi", [])
        ],
        "accession": [
            *filter(None, map(code, ("unique-id", "accession_number", "accession-number"))),
            *filter(parse_accession, [code("eid")]),
        ],
        "databases": text("database", "source") if raw.get("accession_number") else "",
        "urls": [code(name) for name in ("url", "howpublished", "link", "bdsk-url-1") if code(name)],
        "notes": text("note"),
        "keywords": re.split(r"\s*[,;]\s*", "; ".join(decode_latex(part)[0] for part in raw.get("keywords", []))),
        "languages": text("language", "langid"),
        "publication_types": text("document_type", "type"),
    }
    return {field: value for field, value in values.items() if value}, all(whole)


def _join_date(year: str, month: str, day: str) -> str:
    """Return the date of these fields; a month may be a number, a name, or a name with the day: "apr # 12"."""
    return parse_date(f"{year} {month} {day}") or parse_date("-".join(filter(None, (year, month, day))))
