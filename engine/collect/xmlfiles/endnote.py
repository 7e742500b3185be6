"""EndNote XML, read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping

from lxml import etree

from engine.accessions import parse_accession
from engine.collect.text.xmlstream import decode_xml_head, read_elements
from engine.collect.values.dates import choose_published, has_more_than, read_year
from engine.collect.values.export import MARK, read_marked_record
from engine.collect.values.fields import build_abstract_entries, drop_repeats
from engine.collect.values.omissions import list_omitted
from engine.collect.values.rights import is_notice
from engine.collect.values.tags import list_other_tags, read_issns, split_cited
from engine.identifiers import find_listed_pmid, parse_pmid
from engine.records.abstract import Entry, Remark

_OPEN_XML, _OPEN_RECORDS = (rb"<(?:[\w.-]+:)?%s(?:\s[^<>]*)?>\s*" % tag for tag in (b"xml", b"records"))
ROOT = re.compile(
    rb"(?:%b|%b)(?:%b)?<(?:[\w.-]+:)?record[\s>]" % (_OPEN_XML, _OPEN_RECORDS, _OPEN_RECORDS)
    + rb"|%b<(?:[\w.-]+:)?records\s*/?>" % _OPEN_XML
)
_BREAK = re.compile(r"\s*[\r\n]+\s*")
_PMCID = re.compile(r"PMC\d+")
_ITEMS = {"author", "keyword", "url", "date", "key"}  # of lists, which have names themselves
# Elements whose values are all in fields.
_READ = frozenset(
    "titles/title abstract contributors/authors accession-num remote-database-name remote-database-provider notes "
    "research-notes label volume number pages isbn publisher pub-location auth-address urls/web-urls urls/pdf-urls "
    "urls/text-urls urls/related-urls urls/image-urls keywords language work-type orig-pub ref-type misc3".split()
)
_CHECKED = {
    **dict.fromkeys(("periodical/full-title", "titles/secondary-title", "periodical/abbr-1"), ("journal",)),
    "dates/year": ("published",),
    **dict.fromkeys(("custom3", "custom5"), ("pmid",)),
    "titles/translated-title": ("vernacular_title",),
    "electronic-resource-num": ("doi",),
    "custom1": ("rights",),
    "custom2": ("pmcid",),
}
_OMITTED = list_omitted("EndNote XML")
_USUAL_TYPE = "Journal Article"  # of nearly every reference, so it says nothing


def looks_like(head: bytes) -> bool:
    """Return whether the first elements are those of EndNote XML."""
    head = decode_xml_head(head)
    return head.startswith(b"<") and ROOT.search(head) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of an EndNote file in order, in bounded memory.

    Raises:
        SourceError: the file is not well-formed, is truncated, or declares or uses XML entities.
    """
    for item in read_elements(stream, name, ("record",), lambda _: True, root_end=b"/xml>"):
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
    notes, cited = split_cited([*_find_lines(record, "notes"), *_find_lines(record, "research-notes")])
    values = {
        "title": _find_text(record, "titles/title"),
        "abstract": "\n".join(_find_lines(record, "abstract")),
        "year": _find_text(record, "dates/year"),
        "published": choose_published(
            _find_lines(record, "dates/pub-dates/date"), read_year(_find_text(record, "dates/year"))
        ),
        "journal": _find_text(record, "periodical/full-title") or _find_text(record, "titles/secondary-title"),
        "authors": [_join_text(author) for author in record.iterfind("contributors/authors/author")],
        "pmid": _find_pmid(record),
        "doi": _find_text(record, "electronic-resource-num"),
        "accession": _list_numbers(record),
        "databases": _list_databases(record),
        "notes": notes,
        "cited_ids": cited,
        "labels": _find_parts(record, "label"),
        "volume": _find_text(record, "volume"),
        "issue": _find_text(record, "number"),
        "pages": _find_text(record, "pages"),
        "issns": read_issns(_find_lines(record, "isbn")),
        "publisher": _find_text(record, "publisher"),
        "place": _find_text(record, "pub-location"),
        "pmcid": next(filter(_PMCID.fullmatch, _find_lines(record, "custom2")), ""),
        "rights": "\n".join(filter(is_notice, _find_lines(record, "custom1"))),
        "affiliations": _find_lines(record, "auth-address"),
        "urls": [line for element in record.iterfind("urls//url") for line in _split_lines(element)],
        "keywords": drop_repeats(line.lstrip("*") for line in _find_lines(record, "keywords/keyword")),
        "languages": _find_parts(record, "language"),
        "publication_types": _find_parts(record, "work-type"),
        "vernacular_title": _find_text(record, "orig-pub") or _find_text(record, "titles/translated-title"),
    }
    values["other_tags"] = _list_others(record, values)
    return {field: value for field, value in values.items() if value}


def _list_others(record: etree._Element, values: Mapping[str, object]) -> list[str]:
    """Return what no field holds of a record: "EndNote edition: 2018/04/10"."""
    known, journal = str(values["published"] or values["year"]), str(values["journal"]).casefold()
    tags = (
        (path, line)
        for path, line in _list_tags(record, "")
        if (path != "dates/pub-dates" or has_more_than(line, known)) and line.casefold() != journal
    )
    others = list_other_tags(tags, values, source="EndNote", read=_READ | _OMITTED, checked=_CHECKED)
    kind = record.find("ref-type")
    if kind is not None and (name := kind.get("name", "")) not in ("", _USUAL_TYPE):
        others.append(f"EndNote ref-type: {name}")
    return others


def _list_tags(element: etree._Element, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, line) of each element that holds text; an item of a list has the path of its list."""
    for child in element.iterchildren("*"):
        inside = path if child.tag in _ITEMS else f"{path}/{child.tag}".lstrip("/")
        if all(piece.tag == "style" for piece in child.iterchildren("*")):
            yield from ((inside, line) for line in _split_lines(child))
        else:
            yield from _list_tags(child, inside)


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
