"""BibTeX. Files are split into entries before bibtexparser reads them, so that a broken entry is one Rejection."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping

from bibtexparser.library import Library
from bibtexparser.middlewares import RemoveEnclosingMiddleware, ResolveStringReferencesMiddleware
from bibtexparser.middlewares.names import split_multiple_persons_names
from bibtexparser.model import Entry as Block
from bibtexparser.splitter import Splitter

from engine.accessions import parse_accession
from engine.collect.text.latex import decode_latex
from engine.collect.text.lines import Chunk, decode_first_line, read_text_lines
from engine.collect.text.loggers import silence_loggers
from engine.collect.values.dates import has_more_than, parse_date, read_year
from engine.collect.values.export import MARK as OWN_FIELD
from engine.collect.values.export import read_marked_record
from engine.collect.values.fields import build_abstract_entries, drop_repeats
from engine.collect.values.identity import FieldError
from engine.collect.values.tags import read_issns, read_links
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
_URL_MACRO = re.compile(r"^\\(?:url|path)\s*\{(.*)\}?$")
_NEXT_AFFILIATION = re.compile(r"\s*;\s*|(?<=\.)\s*\n\s*")  # Web of Science has each on a line of its own
_ARTICLE_NUMBERS = ("eid", "article-number", "article_number", "articleno", "art_number", "elocation-id")
_ARCHIVES = ("eprinttype", "archiveprefix")
_LABELS = ("groups", "mendeley-groups", "mendeley-tags", "labels", "tags", "usertags")
_URLS = {"url", "urls", "howpublished", "link", "links", "ee", "pdf", "fulltext"}
_OF_DATABASES = {"accession_number", "document_type", "abbrev_source_title"}  # with these, "source" is a database
_USUAL_KIND = "article"  # of nearly every entry, so it says nothing

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
                values, is_whole = _decode_values(raw | _read_opening(kind, text))
            except FieldError as err:
                yield Rejection(name, place, str(err))
                continue
            if not is_whole:
                yield Remark(_AS_IT_CAME, place)
            if marked := raw.get(OWN_FIELD):
                yield from read_marked_record(values, marked[0], name, place)
            else:
                yield from build_abstract_entries(values, name, place)


def _read_opening(kind: str, text: str) -> dict[str, list[str]]:
    """Return what stands before the fields of an entry, as fields: its kind, and the user's key for it."""
    key = _START.sub("", text.partition(",")[0]).strip()
    return {"entry type": [kind] if kind != _USUAL_KIND else [], "citation key": [key]}


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


class _Fields:
    """The values of one entry that no field of the record has taken yet, and whether all LaTeX could be converted."""

    def __init__(self, raw: Mapping[str, list[str]]) -> None:
        self.left = {name: list(dict.fromkeys(values)) for name, values in raw.items()}
        self.is_whole = True

    def _decode(self, value: str) -> str:
        """Return a value without LaTeX."""
        text, is_whole = decode_latex(value)
        self.is_whole = self.is_whole and is_whole
        return text

    def take_raw(self, *names: str) -> list[str]:
        """Take all values of all these fields."""
        return [value for name in names for value in self.left.pop(name, [])]

    def take_texts(self, *names: str) -> list[str]:
        """Take all values of all these fields, as text."""
        return list(filter(None, map(self._decode, self.take_raw(*names))))

    def take_text(self, *names: str, between: str = " ") -> str:
        """Take the values of the first of these fields that has any, as one text."""
        name = next((name for name in names if any(self.left.get(name, []))), "")
        return between.join(self.take_texts(name))

    def take_code(self, *names: str) -> str:
        """Take the first value of the first of these fields that has any: a number or a date, not words."""
        for name in names:
            values = self.left.get(name, [])
            if values and (code := _strip_code(values[0])):
                del values[0]
                return code
        return ""

    def take_people(self, name: str) -> list[str]:
        """Take the first value of a field, as a list of names."""
        people = [person for value in self.left.get(name, [])[:1] for person in split_multiple_persons_names(value)]
        self.left[name] = self.left.get(name, [])[1:]
        return [text for text in map(self._decode, people) if text != "others"]

    def take_lines(self, *names: str) -> list[str]:
        """Take the lines of all values of all these fields, as text; a line that doesn't end an item may be any."""
        lines = [line for value in self.take_raw(*names) for line in value.strip("{} \n").split("\n")]
        return list(filter(None, map(self._decode, lines)))

    def list_others(self) -> list[str]:
        """Return the values that are left, each with the name of its field."""
        texts = ((name, decode_latex(value)[0]) for name, values in self.left.items() for value in values)
        return [f"BibTeX {name}: {text}" for name, text in texts if text]


def _strip_code(value: str) -> str:
    """Return a number, a date or an address without braces around it and without escapes."""
    return _ESCAPED.sub(r"\1", value.strip("{} \n"))


def _decode_values(raw: Mapping[str, list[str]]) -> tuple[dict[str, object], bool]:
    """Return the values of one entry, and whether all LaTeX in them could be converted."""
    fields = _Fields(raw)
    values = _take_words(fields) | _take_ids(fields) | _take_details(fields) | _take_dates(fields)
    values["urls"] = _take_urls(fields)
    values["other_tags"] = fields.list_others()
    return {field: value for field, value in values.items() if value}, fields.is_whole


def _take_words(fields: _Fields) -> dict[str, object]:
    """Take title, abstract, names and terms."""
    title, subtitle = fields.take_text("title"), fields.take_text("subtitle")
    if title and subtitle:
        title += f"{'' if title[-1] in '.:?!' else ':'} {subtitle}"
    terms = fields.take_texts("keywords", "keyword", "author_keywords", "keywords-plus", "index_keywords")
    return {
        "title": title or subtitle,
        "abstract": fields.take_text("abstract", between="\n"),
        "journal": fields.take_text("journal", "journaltitle", "booktitle"),
        "authors": fields.take_people("author"),
        "keywords": re.split(r"\s*[,;]\s*", "; ".join(terms)),
        "languages": fields.take_text("language", "langid"),
        "publication_types": _split_items(fields.take_texts("document_type", "type")),
        "vernacular_title": fields.take_text("original_title", "origtitle"),
        "labels": re.split(r"\s*[,;]\s*", "; ".join(fields.take_texts(*_LABELS))),
    }


def _take_ids(fields: _Fields) -> dict[str, object]:
    """Take the identifiers, and the databases that gave them."""
    is_export = not _OF_DATABASES.isdisjoint(fields.left)
    is_pubmed = bool({"pubmed", "pmid", "medline"}.intersection(_list_archives(fields)))
    pmid = fields.take_code("pmid", "pubmed_id", "pubmedid", "pubmed-id")
    eid = fields.take_code("eid")
    if eid and not parse_accession(eid):
        fields.left["eid"], eid = [eid], ""
    numbers = [fields.take_code("unique-id"), fields.take_code("accession_number", "accession-number"), eid]
    if fields.left.get("citation key") == numbers[:1]:  # Web of Science
        del fields.left["citation key"]
    databases = fields.take_texts("database", "db", *(["source"] if is_export else []))
    if numbers[0]:
        databases.append("Web of Science")
    return {
        "pmid": pmid or (fields.take_code("eprint") if is_pubmed else ""),
        "doi": [
            decode_latex(doi)[0] if re.search(r"[\\$]", doi) else doi.strip("{} \n") for doi in fields.take_raw("doi")
        ],
        "accession": list(filter(None, numbers)),
        "databases": databases,
        "pmcid": fields.take_code("pmcid", "pmc"),
    }


def _list_archives(fields: _Fields) -> list[str]:
    """Return the names of the archives that the eprint is in, in lower case; they are taken with a PubMed eprint."""
    names = [_strip_code(value).lower() for name in _ARCHIVES for value in fields.left.get(name, [])]
    if {"pubmed", "pmid", "medline"}.intersection(names):
        fields.take_raw(*_ARCHIVES)
    return names


def _take_details(fields: _Fields) -> dict[str, object]:
    """Take what citations need, and the user's own notes."""
    cited = fields.take_lines("cited-references") + [
        part for text in fields.take_texts("references") for part in text.split("; ")
    ]
    affiliations = [
        decode_latex(part)[0]
        for value in fields.take_raw("affiliation", "affiliations")
        for part in _NEXT_AFFILIATION.split(value.strip("{} \n"))
    ]
    return {
        "volume": fields.take_text("volume"),
        "issue": fields.take_text("number", "issue"),
        "pages": re.sub(r"\s*-{2,}\s*", "-", fields.take_text("pages", *_ARTICLE_NUMBERS)),
        "issns": read_issns(fields.take_texts("issn", "eissn", "isbn")),
        "publisher": fields.take_text("publisher", "institution", "school"),
        "place": fields.take_text("address", "location"),
        "affiliations": affiliations,
        "cited_ids": [text.rstrip(".") for text in cited],
        "notes": fields.take_texts("note", "notes", "annote", "annotation", "comment"),
        "rights": fields.take_text("copyright", "rights", between="\n"),
    }


def _split_items(texts: Iterable[str]) -> list[str]:
    """Return the items of texts that have semicolons between them."""
    return [part.strip() for text in texts for part in text.split(";") if part.strip()]


def _take_urls(fields: _Fields) -> tuple[str, ...]:
    """Take the addresses; what is none is left."""
    names = [name for name in fields.left if name in _URLS or name.startswith("bdsk-url")]
    found: list[str] = []
    for name in names:
        codes = [_URL_MACRO.sub(r"\1", _strip_code(value)) for value in fields.left[name]]
        found += (link for code in codes for link in read_links([code]))
        fields.left[name] = [code for code in codes if not read_links([code])]
    return drop_repeats(found)


def _take_dates(fields: _Fields) -> dict[str, object]:
    """Take year and date; a month or a date that says more than what is read of it is left, too: "Oct-Dec"."""
    year, date, month, day = (fields.take_code(name).replace("~", " ") for name in ("year", "date", "month", "day"))
    published = _join_date(year, month, day) or parse_date(date)
    known = published or str(read_year([year, date]) or "")
    if year and not read_year(year):
        fields.left["year"] = [*fields.left.get("year", []), year]
    if day and not published:
        fields.left["day"] = [*fields.left.get("day", []), day]
    if has_more_than(date, known):
        fields.left["date"] = [*fields.left.get("date", []), date]
    if has_more_than(month, known):
        fields.left["month"] = [*fields.left.get("month", []), month]
    return {"year": [text for text in (year, date) if text], "published": published}


def _join_date(year: str, month: str, day: str) -> str:
    """Return the date of these fields; a month may be a number, a name, or a name with the day: "apr # 12"."""
    return parse_date(f"{year} {month} {day}") or parse_date("-".join(filter(None, (year, month, day))))
