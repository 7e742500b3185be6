"""Elements shared by PubMed's articles and book chapters: text, dates, ids, authors, abstracts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from lxml import etree

from engine.collect.values.dates import YEAR, build_date
from engine.identifiers import find_orcid, parse_doi, parse_pmid

Parts = Mapping[str, list[etree._Element]]  # the children of an element by tag, in order

_LAYOUT = re.compile(r"[ \t\r]*\n[ \t\r\n]*")  # line breaks and indentation of pretty-printed XML


class PmidError(ValueError):
    """A record whose PMID is missing or invalid."""


def group_children(element: etree._Element | None) -> Parts:
    """Group the children of an element by tag, in one pass; None has no children."""
    parts: dict[str, list[etree._Element]] = defaultdict(list)
    for child in () if element is None else element:
        parts[child.tag].append(child)
    return parts


def find_child(element: etree._Element, tag: str) -> etree._Element | None:
    """Return the first child with the tag, or None."""
    return next(element.iterchildren(tag), None)


def read_text(element: etree._Element | None) -> str:
    """Return all text of an element without inline markup, with the layout of pretty-printed XML as one space."""
    if element is None:
        return ""
    text = "".join(element.itertext()) if len(element) else element.text or ""
    if "\n" in text:
        text = _LAYOUT.sub(" ", text)
    return text.strip()


def get_first(parts: Parts, tag: str) -> etree._Element | None:
    """Return the first of the grouped children with the tag, or None."""
    return parts[tag][0] if tag in parts else None


def read_first(parts: Parts, tag: str) -> str:
    """Return the text of the first of the grouped children with the tag; "" if there is none."""
    return read_text(parts[tag][0]) if tag in parts else ""


def find_inside(parts: Parts, group: str, tag: str) -> Iterator[etree._Element]:
    """Return an iterator of the elements with the tag in each group element, in order."""
    return (element for parent in parts.get(group, ()) for element in parent.iterchildren(tag))


def read_texts(elements: Iterable[etree._Element]) -> tuple[str, ...]:
    """Return the text of each element that has any."""
    return tuple(filter(None, map(read_text, elements)))


def read_pmid(pmid: etree._Element | None) -> str:
    """Return the PMID as digits.

    Raises:
        PmidError: it is missing or invalid.
    """
    digits = parse_pmid(read_text(pmid))
    if digits is None:
        raise PmidError("the PMID is not a number from 1 to 999999999")
    return digits


def read_version(pmid: etree._Element | None) -> int:
    """Return the version of the citation, counted from 1; 1 if it is missing or invalid."""
    version = "" if pmid is None else pmid.get("Version", "")
    return int(version) if version.isascii() and version.isdigit() and 0 < len(version) < 10 else 1


def find_first_year(*candidates: etree._Element | None) -> int | None:
    """Return the year of the first date with one, from Year or else from MedlineDate ("1998 Dec-1999 Jan" is 1998)."""
    for candidate in candidates:
        parts = group_children(candidate)
        for tag in ("Year", "MedlineDate"):
            if match := YEAR.search(read_first(parts, tag)):
                return int(match.group(1))
    return None


def read_date(element: etree._Element | None) -> str:
    """Return Year, Month (a number or "Jan") and Day as ISO 8601, as many as are valid; "" without a year."""
    parts = group_children(element)
    return build_date(*(read_first(parts, tag) for tag in ("Year", "Month", "Day")))


def find_listed_doi(id_list: etree._Element | None) -> str | None:
    """Return the DOI of an ArticleIdList, or None."""
    for article_id in () if id_list is None else id_list.iterchildren("ArticleId"):
        if article_id.get("IdType") == "doi" and (doi := parse_doi(read_text(article_id))):
            return doi
    return None


def read_sections(abstract: etree._Element) -> str:
    """Return the sections of an abstract, one per line, with labels ("METHODS: …") and without the copyright notice."""
    sections = [(abstract.text or "").strip()]  # only layout in all known files, but text would be kept
    for section in abstract.iterchildren("AbstractText"):
        label, body = section.get("Label", ""), read_text(section)
        if body:
            sections.append(f"{label}: {body}" if label and label != "UNLABELLED" else body)
    return "\n".join(filter(None, sections))


def read_people(lists: Iterable[etree._Element]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the authors in order, and their ORCIDs: "" for an author without one, an empty tuple if no author has one.

    Editors are skipped, and so are authors with ValidYN="N", which a corrected entry follows.
    """
    people = [
        (name, _read_orcid(parts["Identifier"]) if "Identifier" in parts else "")
        for group in lists
        if group.get("Type") != "editors"
        for author in group.iterchildren("Author")
        if author.get("ValidYN") != "N" and (name := _format_name(parts := group_children(author)))
    ]
    orcids = tuple(orcid for _, orcid in people)
    return tuple(name for name, _ in people), orcids if any(orcids) else ()


def _format_name(author: Parts) -> str:
    """Return an author as "Fore Last Jr", or the name of a group."""
    fore = read_first(author, "ForeName") or read_first(author, "Initials")
    pieces = (fore, read_first(author, "LastName"), read_first(author, "Suffix"))
    return " ".join(filter(None, pieces)) or read_first(author, "CollectiveName")


def _read_orcid(identifiers: Iterable[etree._Element]) -> str:
    """Return the ORCID in the form "0000-0002-1825-0097"; "" if there is none."""
    for identifier in identifiers:
        if identifier.get("Source", "").upper() == "ORCID" and (orcid := find_orcid(read_text(identifier))):
            return orcid
    return ""
