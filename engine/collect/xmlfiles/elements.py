"""Elements shared by PubMed's articles and book chapters: text, dates, ids, authors, abstracts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from engine.collect.values.dates import YEAR, build_date, parse_date
from engine.identifiers import find_orcid, parse_doi, parse_pmid

Parts = Mapping[str, list[etree._Element]]  # the children of an element by tag, in order

_LAYOUT = re.compile(r"[ \t\r]*\n[ \t\r\n]*")  # line breaks and indentation of pretty-printed XML

# The PMIDs of the works cited, and the references without one, in the order of the list.
_find_references = etree.XPath(
    "ReferenceList//ArticleId[@IdType='pubmed']/text()"
    " | ReferenceList//Reference[not(ArticleIdList/ArticleId[@IdType='pubmed'])]",
    smart_strings=False,
)


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


def read_plain(element: etree._Element | None) -> dict[str, str]:
    """Return the text of each child of an element by tag, where the children have text alone: the parts of a date."""
    texts = {} if element is None else {child.tag: (child.text or "").strip() for child in element}
    if "\n" in "".join(texts.values()):
        texts = {tag: _LAYOUT.sub(" ", text) for tag, text in texts.items()}
    return texts


def select_texts(element: etree._Element | None, path: etree.XPath) -> tuple[str, ...]:
    """Return the texts that a path to text nodes selects below an element, without empty ones."""
    texts = [] if element is None else path(element)
    if "\n" in "".join(texts):
        texts = [_LAYOUT.sub(" ", text) for text in texts]
    return tuple(filter(None, map(str.strip, texts)))


def index_children(element: etree._Element | None) -> dict[str, etree._Element]:
    """Return the last child of an element with each tag, where no tag is repeated."""
    return {} if element is None else {child.tag: child for child in element}


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


def read_first_date(*candidates: etree._Element | None) -> tuple[int | None, str]:
    """Return the year of the first date that has one, and the most exact date of that year as ISO 8601.

    The year is in Year or else in MedlineDate ("1998 Dec-1999 Jan" is 1998). The date is "" if none has a month.
    """
    year, published = None, ""
    for candidate in candidates:
        texts = read_plain(candidate)
        match = YEAR.search(texts.get("Year", "")) or YEAR.search(texts.get("MedlineDate", ""))
        if match is None or (year and int(match[1]) != year):
            continue
        year = int(match[1])
        if "MedlineDate" in texts:
            published = parse_date(texts["MedlineDate"])
        elif len(exact := build_date(match[1], texts.get("Month"), texts.get("Day"))) > len("2019"):
            published = exact
        if published:
            break
    return year, published


def read_date(element: etree._Element | None) -> str:
    """Return Year, Month (a number or "Jan") and Day as ISO 8601, as many as are valid; "" without a year."""
    texts = read_plain(element)
    return build_date(texts.get("Year", ""), texts.get("Month"), texts.get("Day"))


def read_own_ids(id_list: etree._Element | None) -> tuple[str | None, str]:
    """Return the DOI of an ArticleIdList, or None, and the PMCID, or ""."""
    doi, pmcid = None, ""
    for article_id in () if id_list is None else id_list.iterchildren("ArticleId"):
        kind = article_id.get("IdType")
        if kind == "doi":
            doi = doi or parse_doi(read_text(article_id))
        elif kind == "pmc":
            pmcid = pmcid or read_text(article_id)
    return doi, pmcid


def list_cited(data: etree._Element | None) -> Iterator[str]:
    """Yield the works of the reference lists in order: the PMID of each, else its DOI, else its citation."""
    for item in () if data is None else _find_references(data):
        yield f"PMID:{item.strip()}" if isinstance(item, str) else _describe_reference(item)


def _describe_reference(reference: etree._Element) -> str:
    """Return the DOI of a work without a PMID, else its citation."""
    for id_list in reference.iterchildren("ArticleIdList"):
        if doi := read_own_ids(id_list)[0]:
            return f"DOI:{doi}"
    return read_text(find_child(reference, "Citation"))


def read_sections(abstract: etree._Element) -> str:
    """Return the sections of an abstract, one per line, with labels ("METHODS: …") and without the copyright notice."""
    sections = [(abstract.text or "").strip()]  # only layout in all known files, but text would be kept
    for section in abstract.iterchildren("AbstractText"):
        label, body = section.get("Label", ""), read_text(section)
        if body:
            sections.append(f"{label}: {body}" if label and label != "UNLABELLED" else body)
    return "\n".join(filter(None, sections))


@dataclass(slots=True)
class _People:
    """The authors of a work, in order."""

    names: list[str] = field(default_factory=list)
    orcids: list[str] = field(default_factory=list)  # one per name, "" where unknown
    affiliations: list[str] = field(default_factory=list)  # in order, repeated where several have the same

    def list_orcids(self) -> tuple[str, ...]:
        """Return the ORCIDs; an empty tuple if no author has one."""
        return tuple(self.orcids) if any(self.orcids) else ()

    def add(self, person: etree._Element, pieces: dict[str, str]) -> None:
        """Add a person with these texts by tag, if there is a name; "Fore Last Jr", or the name of a group."""
        get = pieces.get
        fore, last = get("ForeName"), get("LastName", "")
        if fore is None:
            fore = read_text(find_child(person, "Initials"))
        name = f"{fore} {last}" if fore and last else fore or last or get("CollectiveName", "")
        if "Suffix" in pieces:
            name = f"{name} {pieces['Suffix']}".strip()
        if name:
            self.names.append(name)
            self.orcids.append(get("Identifier", ""))


_PIECES = ("LastName", "ForeName", "Suffix", "CollectiveName", "Affiliation", "Identifier")  # Initials: where needed


def read_people(lists: Iterable[etree._Element], tag: str = "Author") -> _People:
    """Return the people in these lists.

    Editors are skipped, and so are authors with ValidYN="N", which a corrected entry follows.
    """
    people = _People()
    for group in lists:
        if group.get("Type") != "editors":
            _add_people(people, group, tag)
    return people


def _add_people(people: _People, group: etree._Element, person_tag: str) -> None:
    """Add the people of one list, in one pass."""
    person: etree._Element | None = None
    pieces: dict[str, str] = {}
    for element in group.iter(person_tag, *_PIECES):
        tag = element.tag
        if tag == person_tag:
            if person is not None:
                people.add(person, pieces)
            person, pieces = (element if element.get("ValidYN") != "N" else None), {}
        elif tag == "Affiliation":
            if person is not None:
                people.affiliations.append(read_text(element))
        elif tag == "Identifier":
            if element.get("Source", "").upper() == "ORCID" and "Identifier" not in pieces:
                pieces[tag] = find_orcid(read_text(element))
        elif tag not in pieces:
            pieces[tag] = read_text(element)
    if person is not None:
        people.add(person, pieces)
