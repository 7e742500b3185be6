"""RefWorks tagged files ("RT Journal Article"), read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from engine.collect.text.lines import Chunk, decode_head
from engine.collect.text.tagfile import Grammar, group_lines, join_wrapped, split_records
from engine.collect.values.fields import build_abstract_entries
from engine.collect.values.tags import join_pages
from engine.collect.values.tagtable import Tagged, TagTable, list_left_tags, read_tag_fields
from engine.records.abstract import Entry

_TABLE = TagTable(
    source="RefWorks",
    fields={
        "title": ("T1",),
        "abstract": ("AB",),
        "authors": ("A1", "AU"),
        "year": ("YR",),
        "published": ("FD",),
        "journal": ("JF", "JO", "T2"),
        "volume": ("VO",),
        "issue": ("IS",),
        "pages": ("SP", "OP"),
        "issns": ("SN",),
        "publisher": ("PB",),
        "place": ("PP",),
        "doi": ("DO",),
        "pmid": ("PMID",),
        "pmcid": ("PMCID",),
        "accession": ("AN",),
        "databases": ("DB", "DS", "SF"),
        "urls": ("UL", "LK"),
        "keywords": ("K1",),
        "languages": ("LA",),
        "vernacular_title": ("OT",),
        "affiliations": ("AD",),
        "cited_ids": ("CR",),
        "notes": ("NO",),
    },
    defaults=frozenset({("RT", "Journal Article"), ("RT", "Journal")}),
)
_OTHERS = (
    "RT SR ID A2 A3 A4 A5 A6 T3 T4 ED AV CL CN IP RD ST SL LL WT WV WP OL RP LF JA "
    "U1 U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14 U15"
).split()
_KNOWN = frozenset(_OTHERS).union(*_TABLE.fields.values())
_START = re.compile(r"\s*RT[ \t]+(?:- )?[A-Z][a-z]+[\w,/ .()-]{0,40}$")
_END = re.compile(r"ER\s*-?\s*$")
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9]{1,4})(?:[ \t]+(?:- )?|[ \t]*$)(.*)")
_SEAM = re.compile(r"(?<=\S)\ufeff?(?=RT (?:Journal|Book|Generic|Conference|Web|Dissertation|Report)\b[\w,/ ]{0,25}$)")
_TEXTS = {"AB", "T1", "NO"}  # running text, in which a line may look like a tag: "IS 5 of 6 patients"
_PAGES = {"SP", "OP"}
_NAME = re.compile(r",(?=\S)")  # "Beck,Ann" has no blank in RefWorks
_NAMES = {"A1", "A2"}
_LINKS = {"DO", "UL", "LK"}
_LISTS = {"K1", "A1", "A2", "AD", "UL"}  # one value per line below the tag
_NEED_TAGS = 3  # tagged lines at the beginning of a file without RT


def looks_like(head: bytes) -> bool:
    """Return whether the first line is a type of reference, or the first lines are tags and among them T1."""
    lines = decode_head(head)
    if lines and _START.match(lines[0]):
        return True
    tags = [_find_tag(line) for line in lines]
    return len(lines) >= _NEED_TAGS and all(tags[:_NEED_TAGS]) and "T1" in tags and not {"TI", "PT"} & set(tags)


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a RefWorks file in order; one that can't be used gives a Rejection with its first line.

    Raises:
        SourceError: a line or a record is too long.
    """
    for chunk in split_records(stream, name, _GRAMMAR):
        yield from chunk.list_remarks()
        tagged = _read_tags(chunk)
        values = read_tag_fields(tagged, _TABLE)
        first, last = (next((text for tag, text in tagged if tag == wanted), "") for wanted in ("SP", "OP"))
        values["pages"] = join_pages(first, last)
        values["other_tags"] = list_left_tags(tagged, values, _TABLE)
        yield from build_abstract_entries(values, name, chunk.place)


def _find_tag(line: str) -> str | None:
    """Return the tag of a line in capitals if RefWorks has it."""
    match = _TAG.match(line)
    return match[1].upper() if match and match[1].upper() in _KNOWN and match[2].strip() else None


_GRAMMAR = Grammar(
    heads=frozenset({"RT", "ER"}),
    starts=_START.match,
    ends=_END.match,
    find_tag=_find_tag,
    titles=frozenset({"T1"}),
    bodies=frozenset({"AB"}),
    seam_mark="RT ",
    find_seam=_SEAM.search,
)


def _read_tags(chunk: Chunk) -> Tagged:
    """Return (tag, value) in order; each line of a list is a value."""
    seen: set[str] = set()

    def split(line: str, before: str) -> tuple[str, str] | None:
        match = _TAG.match(line)
        if match is None or match[1].upper() not in _KNOWN:
            return None
        tag, text = match[1].upper(), match[2]
        if tag != match[1] and not (match[1].islower() and text[:1].isdigit()):  # CNKI writes "vo 10"
            return None
        is_text = text[:1].islower() and tag not in _LINKS and tag not in _LISTS
        if before in _TEXTS and (is_text or (tag in seen and tag not in _LISTS)):
            return None
        seen.add(tag)
        return tag, text

    tagged: list[tuple[str, str]] = []
    for tag, lines in group_lines((line for line in chunk.lines if not _END.match(line)), split):
        if tag in _LISTS:
            tagged += [(tag, _NAME.sub(", ", line) if tag in _NAMES else line) for line in lines if line]
        else:
            text = join_wrapped(lines)
            tagged.append((tag, text.strip("- ") if tag in _PAGES else text))
    return tagged
