"""Record ids: the source's own id, a PMID, a DOI, an accession number or a digest of the text."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.accessions import (
    find_catalogue_link,
    find_linked_accessions,
    is_medline,
    list_unnamed,
    order_accessions,
    read_accessions,
)
from engine.identifiers import (
    MAX_ID,
    find_dois,
    find_linked_dois,
    find_linked_pmid,
    find_listed_pmid,
    find_noted_doi,
    find_noted_pmid,
    find_orcid,
    find_pmids,
    parse_pmid,
)
from engine.records.abstract import Abstract

BAD_PMID = "invalid PMID, ignored"
_BAD_ID = "invalid id, ignored"
_MISSING = {"", "na", "n/a", "n.a.", "nan", "none", "null", "-", "--", "?", "not available"}
# "Accession Number: 2020-99000-001." in EBSCO's notes.
_NUMBER_NOTE = re.compile(r"(?:^|[.;]\s)\s*Accession (?:Number|No\.?):\s*([^\s;,]*[0-9A-Za-z])", re.IGNORECASE)


class FieldError(ValueError):
    """A field that makes its record unusable."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identifiers of a record."""

    own_id: str | None  # the source's own
    pmid: str | None
    doi: str | None
    accessions: tuple[str, ...]  # all that the source gives
    number: str | None  # the accession number that names the record
    key: str | None  # of a reference manager or a table
    others: tuple[str, ...]  # further PMIDs and DOIs in the same fields: "DOI: 10.1000/x"
    remarks: tuple[str, ...]  # on what was ignored

    def build_record_id(self, title: str, body: str, details: Iterable[object]) -> str:
        """Return the id of the record: the source's own, else PMID, DOI, accession number, key or a digest of the text.

        A PMID is "PMID:n", a DOI "DOI:…" in lower case, a digest "TEXT:" with 16 hexadecimal digits. The digest is that
        of title and abstract; without an abstract, works may share a title, so it covers the details, too.

        Args:
            title: of the record.
            body: its abstract.
            details: what tells it from other works with its title: year, first author, journal.
        """
        if self.own_id:
            return self.own_id
        if self.pmid:
            return f"PMID:{self.pmid}"
        if self.doi:
            return f"DOI:{self.doi.lower()}"  # DOIs ignore case, and exports differ in it
        if known := self.number or self.key:
            return known
        parts = [title, body]
        if not body.strip():
            parts += filter(None, (" ".join(str(detail or "").casefold().split()) for detail in details))
        return "TEXT:" + hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Texts that hold accession numbers, with the databases that they are of."""

    texts: list[str]
    databases: list[str]


def find_identity(values: Mapping[str, object]) -> Identity:
    """Return the identifiers in the values of a record (field -> value).

    Fields: id, pmid, doi, accession (numbers as the source writes them, one text or a list), accessions (further
    numbers, which don't name the record), databases (what the numbers are of), urls, notes, extra and key.
    """
    urls = _list_texts(values.get("urls"))
    notes = [*_list_texts(values.get("notes")), *_list_texts(values.get("extra"))]
    numbers = _list_numbers(values, urls, notes)
    declared, in_field = find_pmids(values.get("pmid")), find_dois(values.get("doi"))
    pmids = declared or tuple(filter(None, [_find_other_pmid(numbers, urls, notes)]))
    dois = in_field or find_linked_dois(urls) or find_dois([find_noted_doi(note) for note in notes])
    given = [number for group in numbers for number in read_accessions(group.texts, group.databases)]
    named = order_accessions([*given, *find_linked_accessions([*urls, *_list_texts(values.get("doi"))])])
    unnamed = list_unnamed(numbers[0].texts, numbers[0].databases, next(iter(pmids), None))
    own_id = _parse_own_id(values.get("id"))
    return Identity(
        own_id=own_id,
        pmid=pmids[0] if pmids else None,
        doi=dois[0] if dois else None,
        accessions=tuple(dict.fromkeys([*named, *_list_texts(values.get("accessions")), *unnamed])),
        number=next(iter(named), None),
        key=_parse_own_id(values.get("key")),
        others=(
            *(f"PMID: {pmid}" for pmid in declared[1:] or _list_unread(values, "pmid", declared)),
            *(f"DOI: {doi}" for doi in in_field[1:] or _list_unread(values, "doi", in_field)),
        ),
        remarks=(
            *[_BAD_ID] * (own_id is None and not is_missing(values.get("id"))),
            *[BAD_PMID] * (not declared and not is_missing(values.get("pmid"))),
        ),
    )


def _list_unread(values: Mapping[str, object], field: str, found: Iterable[str]) -> list[str]:
    """Return the texts of a field for ids in which none was found."""
    return [] if found else [text for text in _list_texts(values.get(field)) if not is_missing(text)]


def name_record(abstract: Abstract) -> Abstract:
    """Return a record of PubMed that has no PMID under the id that its other fields give it."""
    identity = find_identity({"doi": abstract.doi, "accessions": abstract.accessions})
    details = (abstract.year, *abstract.authors[:1], abstract.journal)
    return replace(abstract, pmid=None, record_id=identity.build_record_id(abstract.title, abstract.abstract, details))


def is_missing(value: object) -> bool:
    """Return whether a value stands for none: null, NaN, an empty list, or "", "NA" and the like."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return not (value or value == 0) or (isinstance(value, str) and value.strip().lower() in _MISSING)


def _list_texts(value: object) -> list[str]:
    """Return the texts of a value: itself, or the texts and numbers in a list."""
    items = value if isinstance(value, list | tuple) else [value]
    texts = (str(item).strip() for item in items if isinstance(item, str | int) and not isinstance(item, bool))
    return [text for text in texts if text]


def _list_numbers(values: Mapping[str, object], urls: list[str], notes: list[str]) -> list[_Numbers]:
    """Return all accession numbers of a record: in their fields, in notes, and in links to catalogues."""
    databases = _list_texts(values.get("databases"))
    own = _list_texts(values.get("accession"))
    noted = [number for note in notes for number in _NUMBER_NOTE.findall(note)]
    links = [link for url in urls if (link := find_catalogue_link(url))]
    linked = [_Numbers([number], [database] if database else databases) for database, number in links]
    return [_Numbers(own, databases), _Numbers(noted, databases), *linked]


def _find_other_pmid(numbers: list[_Numbers], urls: list[str], notes: list[str]) -> str | None:
    """Return the PMID that stands elsewhere than in a field for PMIDs; None if there is none."""
    for group in numbers:
        of_medline = is_medline(group.databases)
        for text in group.texts:
            if pmid := find_listed_pmid(text) or (parse_pmid(text) if of_medline else None):
                return pmid
    if linked := next(filter(None, map(find_linked_pmid, urls)), None):
        return linked
    noted = set(filter(None, map(find_noted_pmid, notes)))
    return noted.pop() if len(noted) == 1 else None


def _parse_own_id(value: object) -> str | None:
    """Return an id of the source as text: 12, 12.0 and "12" are the same; of an OpenAlex address only the last part.

    None if it is not text or a whole number, is blank or too long, or has control characters.
    """
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip().removeprefix("https://openalex.org/")
    return text if text and len(text) <= MAX_ID and text.isprintable() else None


def normalise_orcids(value: object) -> tuple[str, ...]:
    """Return ORCIDs in their usual form, "" for an author without one; an empty tuple if no author has one."""
    if not isinstance(value, list | tuple):
        return ()
    orcids = tuple(find_orcid(str(item or "")) for item in value)
    return orcids if any(orcids) else ()
