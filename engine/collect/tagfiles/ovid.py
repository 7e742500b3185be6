"""Ovid's text exports ("<1. >"), with tags or with the names of fields, read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator

from engine.accessions import is_medline
from engine.collect.text.lines import Chunk, decode_head
from engine.collect.text.tagfile import Grammar, group_lines, join_wrapped, normalise_tag, split_records
from engine.collect.values.fields import build_abstract_entries, drop_repeats
from engine.collect.values.ovid import LABELS, parse_source
from engine.collect.values.rights import is_notice
from engine.collect.values.tagtable import Tagged, TagTable, list_left_tags, read_tag_fields
from engine.files import HEAD
from engine.records.abstract import Entry

_TABLE = TagTable(
    source="Ovid",
    fields={
        "title": ("TI",),
        "abstract": ("AB",),
        "authors": ("FA", "FAU", "AU"),  # the full names, if there are any
        "year": ("YR",),
        "published": ("DP", "DG", "EP"),
        "journal": ("JN", "JT", "NJ", "JA", "TA", "AS", "BT"),
        "volume": ("VI", "VO"),
        "issue": ("IP",),
        "pages": ("PG",),
        "issns": ("IS", "ES", "IL", "IB"),
        "publisher": ("PB", "PU"),
        "place": ("PL",),
        "doi": ("DO", "DI"),
        "pmid": ("PM", "PMID"),
        "pmcid": ("PMC",),
        "accession": ("UI", "AN"),
        "databases": ("DB",),
        "urls": ("XL", "JL", "IU"),
        "keywords": ("KW", "KY"),
        "languages": ("LG", "LA"),
        "vernacular_title": ("OT",),
        "affiliations": ("IN", "AD"),
        "publication_types": ("PT", "DT"),
        "cited_ids": ("RF",),
        "notes": ("NT",),
        "rights": ("CI", "CR", "RO"),
    },
    dropped=frozenset({"VN", "CA"}),
)
_MARK = re.compile(r"\s*<\s*\d+\s*\.?\s*>\s*(?:Ovid Technologies.*)?$")
_VENDOR = re.compile(r"\s*VN {1,2}- ?Ovid")
_TAG = re.compile(r"\s{0,3}(FAU|PMID|[A-Z][A-Z0-9]{1,2})(?: {1,2}-|(?<=PMID)-) ?(.*)")
_SHORT_TAG = re.compile(r"([A-Z][A-Z0-9])(?: {2,}|\t| *$)(.*)")
_LABEL = re.compile(r"\s{0,3}([A-Za-z][\w/()'& -]{1,60}?)\s*(?:\s{2,}|\t|:\s+|[:.]?\s*$)(.*)")
_COLUMN = re.compile(r"([A-Z][\w/()'-]*(?: [\w/()'-]+){0,5}):?(?:\s{2,}|\t)(\S.*)")
_SEAM = re.compile(r"(?<=\S)\ufeff?(?=<\d+\s*\.?\s*>\s*$)")  # files were joined without a line end between them
_DATABASE = re.compile(r"\s*Databases?(?:\(s\))?:\s*(.+)", re.IGNORECASE)
_LISTS = {"IS", "IB", "XL", "PT", "KW"}  # one value per line below the name of the field
_CLOSED = {"UI", "AN", "LG", "LA", "PT", "DT"}  # Ovid may end these with a full stop
_BYLINES = {"AU", "FA", "FAU", "CA"}
_QUALIFIER = re.compile(r"/.*")  # "Arthritis, Rheumatoid/dt [Drug Therapy]"
_ROLE = re.compile(r"\s*\[[^\]]*\]")  # "[Inventor, Reprint Author]"
_MARKS = " \t*+,0123456789"  # below a name: the number of an affiliation, "*"
_LONGEST = 2000  # characters of a list of names that may have roles and degrees, or of a source
_NO_PAGES = "No Pagination Specified"
_FULL_STOP = re.compile(r"(?<=[^\W\d_A-Z]{2})\.$")  # not that of initials
_DEGREES = re.compile(r"^([^,]+, [^,]*?[^,\s]),? (?:MD|M\.D|Ph\.?D|M\.?Sc|B\.?Sc|M\.?P\.?H|DO|RN|FRCP)\b.*")
_CONFERENCE = re.compile(r"\bConference: ")  # in a source: no field holds it
_NEXT_NAME = re.compile(r"(?<=[^\s.])\.\s+(?=[^\s,;.]+(?:[ -][^\s,;.]+){0,2},\s)")  # "Brandt, Otto. Moreau, Luc."


def looks_like(head: bytes) -> bool:
    """Return whether the first line counts a record or names Ovid."""
    lines = [normalise_tag(line) for line in decode_head(head)[:3]]
    if not lines:
        return False
    if _VENDOR.match(lines[0]):
        return True
    first = _split_line(lines[1]) if _MARK.match(lines[0]) and len(lines) > 1 else None
    return first is not None and first[0] != "TY"  # RIS below a number


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    database = _find_database(stream.peek(HEAD))
    for chunk in _join_marks(split_records(stream, name, _GRAMMAR)):
        yield from chunk.list_remarks()
        heading = _cut_heading(chunk)
        tagged = _read_tags(chunk)
        values = _read_values(tagged, database)
        yield from build_abstract_entries(values, name, chunk.place)
        database = _read_database(heading) if heading else database


def _find_database(head: bytes) -> list[str]:
    """Return the one database that the lines above the first record name; nothing if they name several."""
    for line in decode_head(head):
        if _MARK.match(line):
            break
        if _DATABASE.match(line):
            return _read_database(line)
    return []


def _read_database(line: str) -> list[str]:
    """Return the database that a line above records names; nothing if it names several."""
    match = _DATABASE.match(line)
    return [match[1].strip()] if match and match[1].count("<") < 2 else []


def _cut_heading(chunk: Chunk) -> str:
    """Cut what is above the next part of joined files off the end of a record; return the line with its database."""
    for place in range(1, len(chunk.lines)):
        line = chunk.lines[place]
        if _DATABASE.match(line) and not line[:1].isspace() and not chunk.lines[place - 1].strip():
            del chunk.lines[place:]
            return line
    return ""


def _join_marks(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the records; "<1. >" and "VN  - Ovid Technologies" below it start one record."""
    mark: Chunk | None = None
    for chunk in chunks:
        if mark is not None and _VENDOR.match(chunk.lines[0]):
            chunk.number = mark.number
            chunk.not_utf8, chunk.outside = mark.not_utf8 + chunk.not_utf8, mark.outside + chunk.outside
        elif mark is not None:
            yield mark
        mark = chunk if _MARK.match(chunk.lines[0]) and not any(map(str.strip, chunk.lines[1:])) else None
        if mark is None:
            yield chunk
    if mark is not None:
        yield mark


def _split_line(line: str) -> tuple[str, str] | None:
    """Return (tag, value) of a line with a tag, or with the name of a known field."""
    if match := _TAG.match(line):
        return match[1], match[2]
    match = _LABEL.match(line)
    if match and match[1].lower() in LABELS:
        return LABELS[match[1].lower()], match[2]
    return (match[1], match[2]) if (match := _SHORT_TAG.match(line)) and match[1] in _KNOWN else None


_KNOWN = frozenset({"VN", "MH", "CA", "ST", "RN", "SO", "NO", "UP", "CP", "CM"}).union(*_TABLE.fields.values())
_GRAMMAR = Grammar(
    heads=frozenset({"VN", "< ", *(f"<{digit}" for digit in range(10))}),
    starts=lambda line: _MARK.match(line) or _VENDOR.match(line),
    find_tag=lambda line: (_split_line(line) or (None,))[0],
    titles=frozenset({"TI"}),
    bodies=frozenset({"AB"}),
    between=_DATABASE.match,
    seam_mark=">",
    find_seam=_SEAM.search,
)


def _read_tags(chunk: Chunk) -> Tagged:
    """Return (tag, value) in order; a field without a known tag has its name."""
    lines = [line for line in chunk.lines if not _MARK.match(line)]
    if any(map(_TAG.match, lines)):
        groups = group_lines(lines, _split_tag)
    elif any(match[1] in ("TI", "AB") for line in lines if (match := _SHORT_TAG.match(line))):
        groups = group_lines(lines, _split_short_tag)
    else:
        groups = group_lines(lines, _choose_label_split(lines))
    return [(tag, text) for tag, group in groups for text in _list_values(tag, group) if text]


def _split_tag(line: str, _before: str) -> tuple[str, str] | None:
    """Return (tag, value) of a line "TI  - …"; None for a line without a tag."""
    match = _TAG.match(line)
    return (match[1], match[2]) if match else None


def _split_short_tag(line: str, _before: str) -> tuple[str, str] | None:
    """Return (tag, value) of a line "TI  …"; None for a line without a known tag."""
    match = _SHORT_TAG.match(line)
    return (match[1], match[2]) if match and match[1] in _KNOWN else None


def _choose_label_split(lines: list[str]) -> Callable[[str, str], tuple[str, str] | None]:
    """Return the function that splits lines of a record with the names of fields.

    Where values are indented below their names, any other line that is not indented is a name.
    """
    pairs = zip(lines, [line for line in lines[1:] if line.strip()], strict=False)
    is_indented = any(line[:1].isalpha() and below[:1].isspace() for line, below in pairs)

    def split(line: str, _before: str) -> tuple[str, str] | None:
        if is_indented and line[:1].isspace():
            return None
        match = _LABEL.match(line)
        if match and match[1].lower() in LABELS:
            return LABELS[match[1].lower()], match[2]
        if column := _COLUMN.match(line):
            return column[1], column[2]
        return (match[1], "") if is_indented and match and not match[2] else None

    return split


def _list_values(tag: str, lines: list[str]) -> list[str]:
    """Return the values in the lines of one field."""
    filled = [line for line in lines if line]
    if tag in _BYLINES and sum(map(len, filled)) <= _LONGEST:
        filled = [_ROLE.sub("", line) for line in filled]
        names = re.split(r"\s*;\s*", " ".join(filled)) if any(";" in line for line in filled) else filled
        return [_clean_name(part) for name in names for part in _NEXT_NAME.split(name)]
    if tag == "RF":
        return join_wrapped(lines).split("\n")
    if tag == "MH":
        return [part for line in filled for part in re.split(r"\s*;\s*", line)]
    is_list = tag in _LISTS or (tag == "IN" and filled[:1] and filled[0].startswith("("))
    values = filled if is_list else [join_wrapped(lines)]
    return [value.rstrip(". ") for value in values] if tag in _CLOSED else values


def _clean_name(name: str) -> str:
    """Return a name without the marks, roles and degrees after it: "Gazic, Barbara MD, PhD *"."""
    bare = _FULL_STOP.sub("", name.strip().rstrip(_MARKS))
    return _DEGREES.sub(r"\1", bare)


def _read_values(tagged: Tagged, database: list[str]) -> dict[str, object]:
    """Return the values of one record; its database is that of the file if the record names none."""
    tagged = [(tag, text) for tag, text in tagged if text != _NO_PAGES]
    values = read_tag_fields(tagged, _TABLE)
    databases = [text for tag, text in tagged if tag == "DB"] or database
    values["databases"] = databases
    sources = [text for tag, text in tagged if tag == "SO"]
    cited = parse_source(sources[0]) if sources and len(sources[0]) <= _LONGEST else {}
    values = {**cited, **values}
    values["published"] = max(str(cited.get("published", "")), str(values.get("published", "")), key=len)
    values["authors"] = (*values.get("authors", ()), *(text for tag, text in tagged if tag == "CA"))  # type: ignore[misc]
    values["rights"] = "\n".join(filter(is_notice, str(values.get("rights", "")).split("\n")))
    headings = drop_repeats(_QUALIFIER.sub("", text).strip("* ") for tag, text in tagged if tag == "MH")
    field = "mesh" if is_medline(databases) else "keywords"
    values[field] = drop_repeats((*headings, *values.get(field, ())))  # type: ignore[misc]
    is_held = bool(cited) and not any(map(_CONFERENCE.search, sources))
    held = {("MH", heading) for heading in headings} | {("MH", f"*{heading}") for heading in headings}
    left = [one for one in tagged if one not in held and not (one[0] == "SO" and is_held)]
    values["other_tags"] = list_left_tags(left, values, _TABLE)
    return {field: value for field, value in values.items() if value}
