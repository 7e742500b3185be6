"""EndNote XML, read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from lxml import etree

from engine.accessions import parse_accession
from engine.collect.text.xmlstream import decode_xml_head, read_elements
from engine.collect.values.export import MARK, read_marked_record
from engine.collect.values.fields import build_abstract_entries, drop_repeats
from engine.collect.values.tags import read_issns
from engine.identifiers import find_listed_pmid, parse_pmid
from engine.records.abstract import Entry, Remark

_OPEN_XML, _OPEN_RECORDS = (rb"<(?:[\w.-]+:)?%s(?:\s[^<>]*)?>\s*" % tag for tag in (b"xml", b"records"))
ROOT = re.compile(
    rb"(?:%b|%b)(?:%b)?<(?:[\w.-]+:)?record[\s>]" % (_OPEN_XML, _OPEN_RECORDS, _OPEN_RECORDS)
    + rb"|%b<(?:[\w.-]+:)?records\s*/?>" % _OPEN_XML
)
_BREAK = re.compile(r"\s*[\r\n]+\s*")


def looks_like(head: bytes) -> bool:
    """Return whether the first elements are those of EndNote XML."""
    head = decode_xml_head(head)
    return head.startswith(b"<") and ROOT.search(head) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of an EndNote file in order, in bounded memory.

    Raises:
        SourceError: the file is not well-formed, is truncated, or declares or uses XML entities.
    """
    for item in read_elements(stream, name, ("record",), lambda _: True):
        if isinstance(item, Remark):
            yield item
            continue
        number, record = item
        values, place, marked = _read_values(record), f"record {number}", record.findtext("misc3", "")
        if marked.startswith(f"{MARK} {{"):
            yield from read_marked_record(values, marked, name, place)
        else:
            yield from build_abstract_entries(values, name, place)


def _read_values(record: etree._Element) -> dict[str, object]:
    """Return the values of one record."""
    values = {
        "title": _find_text(record, "titles/title"),
        "abstract": "\n".join(_find_lines(record, "abstract")),
        "year": _find_text(record, "dates/year"),
        "published": _find_lines(record, "dates/pub-dates/date"),
        "journal": _find_text(record, "periodical/full-title") or _find_text(record, "titles/secondary-title"),
        "authors": [_join_text(author) for author in record.iterfind("contributors/authors/author")],
        "pmid": _find_pmid(record),
        "doi": _find_text(record, "electronic-resource-num"),
        "accession": _list_numbers(record),
        "databases": _list_databases(record),
        "notes": [*_find_lines(record, "notes"), *_find_lines(record, "research-notes")],
        "labels": _find_parts(record, "label"),
        "volume": _find_text(record, "volume"),
        "issue": _find_text(record, "number"),
        "pages": _find_text(record, "pages"),
        "issns": read_issns(_find_lines(record, "isbn")),
        "publisher": _find_text(record, "publisher"),
        "place": _find_text(record, "pub-location"),
        "affiliations": _find_lines(record, "auth-address"),
        "urls": [line for element in record.iterfind("urls//url") for line in _split_lines(element)],
        "keywords": drop_repeats(line.lstrip("*") for line in _find_lines(record, "keywords/keyword")),
        "languages": _find_parts(record, "language"),
        "publication_types": _find_parts(record, "work-type"),
        "vernacular_title": _find_text(record, "orig-pub") or _find_text(record, "titles/translated-title"),
    }
    return {field: value for field, value in values.items() if value}


def _read_styled(element: etree._Element) -> str:
    """Return all text of an element, unchanged, without the layout around its styled pieces."""
    pieces = element.findall("style")
    if not pieces:
        return "".join(element.itertext())
    texts = [element.text, *(text for piece in pieces for text in ("".join(piece.itertext()), piece.tail))]
    return "".join(text for n, text in enumerate(texts) if text and (n % 2 or text.strip() or "\n" not in text))


def _split_lines(element: etree._Element) -> list[str]:
    """Return the lines of an element that are not blank; EndNote separates them with CR."""
    return [line for line in _BREAK.split(_read_styled(element).strip()) if line]


def _join_text(element: etree._Element) -> str:
    """Return the text of an element as one line."""
    return " ".join(_split_lines(element))


def _find_lines(record: etree._Element, path: str) -> list[str]:
    """Return the lines of the elements at a path."""
    return [line for element in record.iterfind(path) for line in _split_lines(element)]


def _find_text(record: etree._Element, path: str) -> str:
    """Return the text at a path as one line; "" if there is none."""
    return " ".join(_find_lines(record, path))


def _find_parts(record: etree._Element, path: str) -> tuple[str, ...]:
    """Return the values at a path, one per line or with semicolons between them."""
    return drop_repeats(part.strip() for line in _find_lines(record, path) for part in line.split(";"))


def _find_pmid(record: etree._Element) -> str | None:
    """Return the PMID in Embase's custom field. Other places are the same in all formats."""
    database = _find_text(record, "remote-database-name")
    number = _find_text(record, "custom5") if re.search("medline", database, re.IGNORECASE) else ""
    listed = find_listed_pmid(" ".join(_find_text(record, name) for name in ("accession-num", "custom3", "custom5")))
    return parse_pmid(number) or listed


def _list_databases(record: etree._Element) -> list[str]:
    """Return the databases that the record is from; PubMed also names its library."""
    names = [*_find_lines(record, "remote-database-name"), *_find_lines(record, "remote-database-provider")]
    return names


def _list_numbers(record: etree._Element) -> list[str]:
    """Return the texts that hold accession numbers: their own element, or the first line of the notes (Embase)."""
    noted = [line for line in _find_lines(record, "notes")[:1] if parse_accession(line)]
    return [*_find_lines(record, "accession-num"), *noted]
