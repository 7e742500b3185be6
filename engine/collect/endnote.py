"""EndNote XML, streamed one record at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from lxml import etree

from engine.collect.fields import entries_of, unique
from engine.collect.identity import accession_of
from engine.collect.xmlstream import elements
from engine.identifiers import find_noted_pmid, parse_doi, parse_pmid
from engine.records.abstract import Entry

ROOT = re.compile(rb"<(?:xml|records)\s*>\s*(?:<records\s*>\s*)?<record[\s>]|<xml\s*>\s*<records\s*/?>")
BREAK = re.compile(r"\s*[\r\n]+\s*")


def looks_like(head: bytes) -> bool:
    """Tell EndNote's XML by its first elements."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and ROOT.search(head) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of an EndNote file in order, in bounded memory.

    Raises:
        SourceError: not well-formed, cut short, or it has entities of its own, which no export ever has.
    """
    for number, record in elements(stream, name, ("record",), lambda _: True):
        yield from entries_of(values_of(record), name, f"record {number}")


def values_of(record: etree._Element) -> dict[str, object]:
    """The fields of one record."""
    given = {
        "title": text_at(record, "titles/title"),
        "abstract": "\n".join(lines_at(record, "abstract")),
        "year": text_at(record, "dates/year"),
        "journal": text_at(record, "periodical/full-title") or text_at(record, "titles/secondary-title"),
        "authors": [joined(author) for author in record.iterfind("contributors/authors/author")],
        "pmid": pmid(record),
        "doi": parse_doi(text_at(record, "electronic-resource-num")),
        "accession": accession(record),
        "keywords": unique(line.lstrip("*") for line in lines_at(record, "keywords/keyword")),
        "languages": parts_at(record, "language"),
        "publication_types": parts_at(record, "work-type"),
        "vernacular_title": text_at(record, "orig-pub") or text_at(record, "titles/translated-title"),
    }
    return {field: value for field, value in given.items() if value}


def written(element: etree._Element) -> str:
    """All text of an element in order, as it came. Layout between its styled pieces is no text."""
    pieces = element.findall("style")
    if not pieces:
        return "".join(element.itertext())
    return "".join("".join(piece.itertext()) + (piece.tail if (piece.tail or "").strip() else "") for piece in pieces)


def lines_of(element: etree._Element) -> list[str]:
    """Lines of an element that are not blank; EndNote separates them by CR."""
    return [line for line in BREAK.split(written(element).strip()) if line]


def joined(element: etree._Element) -> str:
    """Text of an element as one line."""
    return " ".join(lines_of(element))


def lines_at(record: etree._Element, path: str) -> list[str]:
    """Lines of the elements at a path."""
    return [line for element in record.iterfind(path) for line in lines_of(element)]


def text_at(record: etree._Element, path: str) -> str:
    """Text at a path as one line, "" when there is none."""
    return " ".join(lines_at(record, path))


def parts_at(record: etree._Element, path: str) -> tuple[str, ...]:
    """Values at a path, one a line or with semicolons between them."""
    return unique(part.strip() for line in lines_at(record, path) for part in line.split(";"))


def pmid(record: etree._Element) -> str | None:
    """The PMID: PubMed's accession number, Embase's custom field, or a line in the notes."""
    database, number = text_at(record, "remote-database-name"), text_at(record, "accession-num")
    if text_at(record, "remote-database-provider") == "NLM" or re.search("medline|pubmed", database, re.IGNORECASE):
        if found := parse_pmid(number or None):
            return found
    if re.search("medline", database, re.IGNORECASE) and (found := parse_pmid(text_at(record, "custom5") or None)):
        return found
    return find_noted_pmid("\n".join(lines_at(record, "notes")))


def accession(record: etree._Element) -> str | None:
    """The number of a database: in its own element, or Embase's as the first line of the notes."""
    candidates = [text_at(record, "accession-num"), *lines_at(record, "notes")[:1]]
    return next((number for number in candidates if accession_of(number)), None)
