"""What PubMed's articles and book chapters have in common: text, dates, ids, authors, abstracts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from lxml import etree

from engine.collect.values.fields import YEAR
from engine.identifiers import find_orcid, parse_doi, parse_pmid

Parts = Mapping[str, list[etree._Element]]  # the children of an element under their tags, in order

_LAYOUT = re.compile(r"[ \t\r]*\n[ \t\r\n]*")  # line breaks and indentation of pretty-printed XML
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class PmidError(ValueError):
    """A record whose PMID is missing or can't be one."""


def group_children(element: etree._Element | None) -> Parts:
    """Sort the children of an element by tag, in one pass; an element that is not there has none."""
    found: dict[str, list[etree._Element]] = defaultdict(list)
    for part in () if element is None else element:
        found[part.tag].append(part)
    return found


def find_child(element: etree._Element, tag: str) -> etree._Element | None:
    """The first child with the tag."""
    return next(element.iterchildren(tag), None)


def read_text(element: etree._Element | None) -> str:
    """All text of an element in order, inline markup dropped, the layout of pretty-printed XML as one space."""
    if element is None:
        return ""
    found = "".join(element.itertext()) if len(element) else element.text or ""
    if "\n" in found:
        found = _LAYOUT.sub(" ", found)
    return found.strip()


def get_first(found: Parts, tag: str) -> etree._Element | None:
    """The first of the sorted children with the tag."""
    return found[tag][0] if tag in found else None


def read_first(found: Parts, tag: str) -> str:
    """Text of the first of the sorted children with the tag, "" when there is none."""
    return read_text(found[tag][0]) if tag in found else ""


def find_inside(found: Parts, group: str, tag: str) -> Iterator[etree._Element]:
    """Every element with the tag in every group of the name."""
    return (part for holder in found.get(group, ()) for part in holder.iterchildren(tag))


def read_texts(elements: Iterable[etree._Element]) -> tuple[str, ...]:
    """The text of each element that has some."""
    return tuple(filter(None, map(read_text, elements)))


def read_pmid(pmid: etree._Element | None) -> str:
    """The PMID as digits.

    Raises:
        PmidError: missing, or not one.
    """
    found = parse_pmid(read_text(pmid))
    if found is None:
        raise PmidError("the PMID is not a number from 1 to 999999999")
    return found


def read_version(pmid: etree._Element | None) -> int:
    """Version of the citation, which PubMed counts from 1."""
    given = "" if pmid is None else pmid.get("Version", "")
    return int(given) if given.isascii() and given.isdigit() and 0 < len(given) < 10 else 1


def find_first_year(*candidates: etree._Element | None) -> int | None:
    """Year of the first date that has one, in Year or else as the first of MedlineDate ("1998 Dec-1999 Jan")."""
    for candidate in candidates:
        given = group_children(candidate)
        for tag in ("Year", "MedlineDate"):
            if found := YEAR.search(read_first(given, tag)):
                return int(found.group(1))
    return None


def read_date(element: etree._Element | None) -> str:
    """Year, Month (a number or "Jan") and Day as ISO 8601, as far as they are there; "" without a year."""
    given = group_children(element)
    year, month, day = (read_first(given, tag) for tag in ("Year", "Month", "Day"))
    if month[:3].lower() in _MONTHS:
        month = str(_MONTHS.index(month[:3].lower()) + 1)
    for pieces in ((year, month, day), (year, month, "1"), (year, "1", "1")):
        try:
            found = date(*map(int, pieces)).isoformat()
        except ValueError:
            continue
        return found if pieces[2] is day else found[: 7 if pieces[1] is month else 4]
    return ""


def find_listed_doi(id_list: etree._Element | None) -> str | None:
    """The DOI of an ArticleIdList."""
    for given in () if id_list is None else id_list.iterchildren("ArticleId"):
        if given.get("IdType") == "doi" and (found := parse_doi(read_text(given))):
            return found
    return None


def read_sections(abstract: etree._Element) -> str:
    """The sections of an abstract in order, one a line, each with its label: "METHODS: …"; no copyright notice."""
    found = [(abstract.text or "").strip()]  # nothing but layout in every known file; kept should there be words
    for section in abstract.iterchildren("AbstractText"):
        label, body = section.get("Label", ""), read_text(section)
        if body:
            found.append(f"{label}: {body}" if label and label != "UNLABELLED" else body)
    return "\n".join(filter(None, found))


def read_people(lists: Iterable[etree._Element]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Authors in order, then their ORCIDs, one each or "", or none at all.

    Editors are left out, and so are authors with ValidYN="N": a corrected entry follows them.
    """
    known = [
        (name, _read_orcid(found["Identifier"]) if "Identifier" in found else "")
        for group in lists
        if group.get("Type") != "editors"
        for author in group.iterchildren("Author")
        if author.get("ValidYN") != "N" and (name := name_of(found := group_children(author)))
    ]
    orcids = tuple(orcid for _, orcid in known)
    return tuple(name for name, _ in known), orcids if any(orcids) else ()


def name_of(author: Parts) -> str:
    """One author as "Fore Last Jr", or the name of a group."""
    fore = read_first(author, "ForeName") or read_first(author, "Initials")
    pieces = (fore, read_first(author, "LastName"), read_first(author, "Suffix"))
    return " ".join(filter(None, pieces)) or read_first(author, "CollectiveName")


def _read_orcid(identifiers: Iterable[etree._Element]) -> str:
    """The ORCID as "0000-0002-1825-0097", however it is written; "" when there is none."""
    for given in identifiers:
        if given.get("Source", "").upper() == "ORCID" and (orcid := find_orcid(read_text(given))):
            return orcid
    return ""
