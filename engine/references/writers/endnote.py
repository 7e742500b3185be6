"""EndNote XML, which EndNote, Mendeley and Zotero read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from engine.identifiers import build_doi_url, build_pubmed_url
from engine.records.abstract import Abstract
from engine.references.values.beside import (
    Keeps,
    describe_standing,
    find_left_over,
    format_marked,
    join_lines,
)
from engine.references.values.citation import Cited
from engine.references.values.names import parse_cited_names

_TYPES = {
    "book": ("Book", 6),
    "book chapter": ("Book Section", 5),
    "book-chapter": ("Book Section", 5),
    "conference paper": ("Conference Paper", 47),
    "proceedings paper": ("Conference Paper", 47),
    "academic dissertation": ("Thesis", 32),
    "dissertation": ("Thesis", 32),
    "thesis": ("Thesis", 32),
}
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 can't hold
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<xml><records>\n'
_SPECIAL = re.compile("[^ -~\xa1-\ud7ff\ue000-\ufefe]")  # control characters, odd blanks and what XML can't hold


def _is_plain(text: str) -> bool:
    """Return whether an XML reader gives a text back unchanged."""
    return text == " ".join(text.split()) and not _SPECIAL.search(text)


_KEEPS: Keeps = {
    "title": lambda items: _is_plain(items[0]),
    "journal": lambda items: _is_plain(items[0]),
}


def write_endnote(cited: Iterable[Cited], title: str) -> Iterator[str]:
    """Yield the pieces of one EndNote XML file, a record a line.

    misc3 holds for the engine's own reader what EndNote has no element for and what its one-line values lose, so that a
    record is read back with all its fields.
    """
    yield _HEAD
    for number, one in enumerate(cited, 1):
        yield f"<record>{_write_record(one, number)}</record>\n"
    yield "</records></xml>\n"


def _write_record(cited: Cited, number: int) -> str:
    """Return the elements of one record."""
    record = cited.record
    name, code = _choose_type(record)
    names = parse_cited_names(record.authors)
    notes = ["RETRACTED" if record.retracted else "", describe_standing(cited), *record.notes]
    parts = [
        '<source-app name="abstract-engine" version="1">abstract-engine</source-app>',
        _write_element("rec-number", str(number)),
        f'<ref-type name="{name}">{code}</ref-type>',
        _write_group("contributors", _write_list("authors", "author", [name.written for name in names])),
        _write_element("auth-address", "; ".join(record.affiliations)),
        _write_group("titles", "".join(_write_titles(record))),
        _write_group("periodical", _write_element("full-title", record.journal)),
        _write_element("pages", record.pages),
        _write_element("volume", record.volume),
        _write_element("number", record.issue),
        _write_list("keywords", "keyword", [*record.mesh, *record.keywords]),
        _write_dates(record),
        _write_element("pub-location", record.place),
        _write_element("publisher", record.publisher),
        _write_element("isbn", "; ".join(record.issns)),
        *_write_numbers(record),
        _write_element("orig-pub", record.vernacular_title),
        _write_element("label", "; ".join(record.labels)),
        _write_element("abstract", record.abstract),
        _write_element("notes", "\r".join(filter(None, map(join_lines, notes))), lines=True),
        _write_element("work-type", "; ".join(record.publication_types)),
        _write_urls(record),
        _write_element("language", "; ".join(record.languages)),
        _write_element("custom1", record.rights),
        _write_element("custom2", record.pmcid),
        _write_element("misc3", _find_marked(record)),
    ]
    return "".join(parts)


def _write_titles(record: Abstract) -> Iterator[str]:
    """Yield the title of the record and the one of its journal or book."""
    yield _write_element("title", record.title)
    yield _write_element("secondary-title", record.journal)


def _choose_type(record: Abstract) -> tuple[str, int]:
    """Return name and number of the type of reference: an article unless the record says otherwise."""
    kinds = (_TYPES.get(kind.lower()) for kind in record.publication_types)
    return next(filter(None, kinds), ("Journal Article", 17))


def _write_numbers(record: Abstract) -> Iterator[str]:
    """Yield accession number, DOI and database: PubMed's number, else the first one of another database."""
    number = record.pmid or next(iter(record.accessions), "")
    database = "PubMed" if record.pmid else "; ".join(record.databases)
    yield _write_element("accession-num", number)
    yield _write_element("electronic-resource-num", record.doi or "")
    yield _write_element("remote-database-name", database)


def _write_dates(record: Abstract) -> str:
    """Return year and date of publication."""
    dates = _write_list("pub-dates", "date", [record.published] if record.published else [])
    return _write_group("dates", _write_element("year", str(record.year or "")) + dates)


def _write_urls(record: Abstract) -> str:
    """Return the PubMed page of a record, or else its DOI page, and its own links; a PDF as such."""
    built = build_pubmed_url(record.pmid) or build_doi_url(record.doi)
    pdfs = [url for url in record.urls if url.lower().endswith(".pdf")]
    pages = [url for url in dict.fromkeys([built, *record.urls]) if url and url not in pdfs]
    return _write_group("urls", _write_list("related-urls", "url", pages) + _write_list("pdf-urls", "url", pdfs))


def _write_element(name: str, text: str, *, lines: bool = False) -> str:
    """Return an element with a text on one line, or with its lines; "" for an empty text."""
    clean = _NO_XML.sub("", text if lines else join_lines(text))
    return f"<{name}>{escape(clean, {chr(13): '&#xD;'})}</{name}>" if clean else ""


def _write_group(name: str, content: str) -> str:
    """Return an element around others; "" where there are none."""
    return f"<{name}>{content}</{name}>" if content else ""


def _write_list(name: str, item: str, texts: Iterable[str]) -> str:
    """Return an element with one element for each text; "" where there are none."""
    return _write_group(name, "".join(_write_element(item, text) for text in texts))


def _find_marked(record: Abstract) -> str:
    """Return the marked line with what the other elements lose, in characters that XML can hold."""
    left = find_left_over(record, _KEEPS, parse_cited_names(record.authors))
    if not all(map(_is_plain, record.authors)):
        left = {**left, "authors": list(record.authors)}
    if not _is_plain(join_lines(record.abstract)):
        left = {**left, "abstract": record.abstract}
    line = format_marked(record, left)
    return _SPECIAL.sub(lambda match: f"\\u{ord(match[0]):04x}" if ord(match[0]) < 0x10000 else match[0], line)
