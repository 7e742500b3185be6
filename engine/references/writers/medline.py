"""MEDLINE tagged text (.nbib) as PubMed writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from engine.collect.values.export import MARK
from engine.records.abstract import Abstract, Notice
from engine.references.values.beside import (
    KEEPS_CITATION,
    Keeps,
    describe_standing,
    find_left_over,
    format_extra,
    is_date,
    is_issn,
    is_unique,
    join_lines,
    list_other_tags,
    mark_own_id,
)
from engine.references.values.citation import Cited
from engine.references.values.names import is_group, parse_names

_WIDTH = 80  # columns
_CONTINUED = " " * 5  # as wide as a tag with its dash
_BREAK = re.compile(r"(?<=\S) (?=\S)")  # where a line may end, so that joining the lines by a blank gives the text back
_NO_TITLE = re.compile(r"not available|in process citation", re.IGNORECASE)  # what NLM writes for a missing title
# "[fre] …", "[KIE] …", "[KIE, fre] …"
_OTHER = re.compile(r"\[(?:([a-z]{3})|([^\[\],]+?)(?:, ([a-z]{3}))?)\] (.*)", re.DOTALL)
KINDS = {"AAMC", "AIDS", "KIE", "NASA", "PIP", "Publisher", "plain-language-summary"}
_NOTICES = {
    Notice.IS_RETRACTION: "ROF",
    Notice.IS_ERRATUM: "EFR",
    Notice.IS_CONCERN: "ECF",
    Notice.HAS_ERRATUM: "EIN",
    Notice.HAS_CONCERN: "ECI",
    Notice.PARTLY_RETRACTED: "PRIN",
    Notice.REPUBLISHED: "CRI",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Tags that nothing else is written to. What came in one of them is written to it again.
_OTHER_TAGS = frozenset("CDAT COIS CRDT CTDT DCOM EDAT ED EN FED FIR GR GS IR IRAD JID MHDA MID NM OTO".split())
_ISBN = re.compile(r"[\d-]{9,16}[\dX]", re.ASCII)
_UNKNOWN = "not recorded"  # the other work that a notice refers to


def _is_heading(items: Sequence[str]) -> bool:
    """Return whether MH keeps these MeSH headings: / starts a qualifier in it, and * is a mark."""
    return is_unique(items) and not any("/" in item or item.startswith("*") for item in items)


_KEEPS: Keeps = {
    **KEEPS_CITATION,
    "title": lambda items: not _NO_TITLE.search(items[0]),
    "journal": lambda items: True,
    "vernacular_title": lambda items: True,
    "mesh": _is_heading,
    "keywords": lambda items: is_unique(items) and not any(item.startswith("*") for item in items),
    "languages": is_unique,
    "publication_types": is_unique,
    "notices": lambda items: True,
}


def write_medline(cited: Iterable[Cited], title: str) -> Iterator[str]:
    r"""Yield each hit as a MEDLINE record: UTF-8, wrapped at 80 columns, lines ending with \r\n.

    GN holds for the engine's own reader what has no tag and what wrapping loses, so that a record is read back with all
    its fields. A record that is not PubMed's begins with OWN, since other
    programs fail at an empty PMID; its id is in OID.
    """
    for one in cited:
        yield "".join(_wrap_tag(tag, value) for tag, value in _list_tags(one)) + "\r\n"


def _list_tags(cited: Cited) -> list[tuple[str, str]]:
    """List (tag, value) of one record in order: the PMID first, or else the owner, which is the engine."""
    record, standing = cited.record, describe_standing(cited)
    left = _find_medline_left_over(record)
    lines = [
        ("OID", mark_own_id(record)),
        ("GN", f"{MARK}: {standing}" if standing else ""),
        *_list_serial_numbers(record),
        ("VI", record.volume),
        ("IP", record.issue),
        ("LR", record.revised.replace("-", "") if len(record.revised) == len("2020-01-31") else ""),
        ("DP", _format_date(record)),
        ("TI", record.title),
        ("PG", record.pages),
        ("LID", f"{record.doi} [doi]" if record.doi else ""),
        ("AB", record.abstract),
        *(_list_other_abstracts(record) if record.abstract.strip() else []),
        ("CI", record.rights),
        *(("AD", affiliation) for affiliation in record.affiliations),
        *_list_authors(record),
        *(("LA", language) for language in record.languages),
        *(("PT", kind) for kind in record.publication_types),
        ("TT", record.vernacular_title),
        ("PL", record.place),
        ("PB", record.publisher),
        ("JT", record.journal),
        *(("MH", heading) for heading in record.mesh),
        *(("OT", keyword) for keyword in record.keywords),
        ("RIN", _UNKNOWN if record.retracted else ""),
        *((_NOTICES[Notice(notice)], _UNKNOWN) for notice in record.notices),
        ("PMC", record.pmcid if re.fullmatch(r"PMC\d+", record.pmcid) else ""),
        ("AID", f"{record.doi} [doi]" if record.doi else ""),
        *(("GN", note) for note in record.notes),
        *list_other_tags(record, "MEDLINE", _OTHER_TAGS),
        ("GN", format_extra(left).replace("PMID-", r"PMID\u002d") if left else ""),  # at a line end it begins a record
    ]
    first = ("PMID", record.pmid) if record.pmid else ("OWN", MARK)
    return [first, *((tag, text) for tag, value in lines if (text := join_lines(value)))]


def _format_date(record: Abstract) -> str:
    """Return the date of publication as PubMed writes it, "2019 May 3"; the year alone where it says another year."""
    year, *rest = record.published.split("-")
    if not is_date(record.published) or (record.year and str(record.year) != year):
        return str(record.year or "")
    month = _MONTHS[int(rest[0]) - 1 : int(rest[0])] if rest else ()
    return " ".join([year, *month, *(str(int(day)) for day in rest[1:] if month)])


def _list_serial_numbers(record: Abstract) -> Iterator[tuple[str, str]]:
    """Yield the lines of ISSNs, whose medium the engine does not know, and ISBNs. Programs fail at other numbers."""
    for number in record.issns:
        if is_issn(number):
            yield "IS", f"{number} (Undetermined)"
        elif _ISBN.fullmatch(number):
            yield "ISBN", number


def _find_medline_left_over(record: Abstract) -> dict[str, object]:
    """Return the fields that the tagged lines lose."""
    keeps = {**_KEEPS, "other_abstracts": lambda items: _can_hold_others(record)}
    if len(record.orcids) == len(record.authors):
        keeps["orcids"] = lambda items: True
    found = find_left_over(record, keeps, parse_names(record.authors))
    if "orcids" in keeps:
        found.pop("orcids", None)  # blanks among them are fine
    return found | ({"title": ""} if record.vernacular_title and not record.title else {})


def _can_hold_others(record: Abstract) -> bool:
    """Whether OAB gives the other abstracts back; where there is no abstract, one in English would be taken for it."""
    return bool(record.abstract.strip()) and all(map(_is_kept, record.other_abstracts))


def _is_kept(other: str) -> bool:
    """Return whether OAB and OABL keep another abstract: its label is one of theirs, and its text begins like none."""
    part = _OTHER.fullmatch(other)
    if part is None or part[4] != part[4].strip() or part[4].startswith(tuple(f"{kind}: " for kind in KINDS)):
        return False
    return bool(part[1]) or (part[2] in KINDS and part[3] != "eng" and not (part[2] == "Publisher" and part[3]))


def _list_other_abstracts(record: Abstract) -> Iterator[tuple[str, str]]:
    """Yield the lines of the other abstracts, each with its language."""
    for other in record.other_abstracts:
        part = _OTHER.fullmatch(other)
        kind, language, body = (part[2] or "", part[1] or part[3] or "eng", part[4]) if part else ("", "und", other)
        yield "OAB", f"{kind}: {body}" if kind in KINDS else body
        yield "OABL", language


def _list_authors(record: Abstract) -> Iterator[tuple[str, str]]:
    """Yield the lines of each author: full name and short one, ORCID; or the name of a group."""
    for number, (author, name) in enumerate(zip(record.authors, parse_names(record.authors), strict=True)):
        if is_group(author):
            yield "CN", author
        else:
            yield "FAU", name.written
            yield "AU", name.short
        if len(record.orcids) == len(record.authors) and record.orcids[number]:
            yield "AUID", f"ORCID: {record.orcids[number]}"


def _wrap_tag(tag: str, value: str) -> str:
    """Wrap a tag with its value; a word longer than a line is not cut."""
    lines, words = [], [f"{tag:<4}-"]
    width = len(words[0])
    for word in _BREAK.split(value):
        if width + 1 + len(word) > _WIDTH and len(words) > 1:
            lines.append(" ".join(words))
            words, width = [_CONTINUED], len(_CONTINUED)
        words.append(word)
        width += 1 + len(word)
    return "".join(f"{line}\r\n" for line in (*lines, " ".join(words)))
