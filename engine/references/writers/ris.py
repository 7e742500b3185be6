"""RIS, which every reference manager and screening tool reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.identifiers import build_doi_url, build_pubmed_url
from engine.records.abstract import Abstract
from engine.references.values.beside import (
    KEEPS_CITATION,
    Keeps,
    describe_standing,
    find_left_over,
    format_extra,
    is_date,
    is_unique,
    join_lines,
    list_other_tags,
    mark_own_id,
    split_pages,
)
from engine.references.values.citation import Cited
from engine.references.values.names import parse_cited_names

# Types of publication, in lower case, that are not articles.
KINDS = {
    "book": "BOOK",
    "book chapter": "CHAP",
    "book-chapter": "CHAP",
    "conference paper": "CPAPER",
    "proceedings paper": "CPAPER",
    "academic dissertation": "THES",
    "dissertation": "THES",
    "thesis": "THES",
}
# Tags that nothing else is written to. What came in one of them is written to it again.
_OTHER_TAGS = frozenset("A2 A3 A4 C3 C4 C6 C7 CA CN ED ET M1 M2 NV RI RN RP SE ST U1 U3 U4 U5".split())
WORD = re.compile(r"[^\W\d][^\d\[\]]*")  # a type that M3 can hold; other databases put numbers and links there
_KEEPS: Keeps = {
    **KEEPS_CITATION,
    "labels": is_unique,
    "title": lambda items: True,
    "journal": lambda items: True,
    "mesh": lambda items: not any(item.startswith("*") for item in items),
    "keywords": lambda items: not any(item.startswith("*") for item in items),
    "languages": lambda items: not any(re.search("[;,]", item) for item in items),
    "publication_types": lambda items: all(map(WORD.fullmatch, items)),
}


def write_ris(cited: Iterable[Cited], title: str) -> Iterator[str]:
    r"""Yield each hit as a RIS record: UTF-8, a line for each value, lines ending with \r\n.

    C8 holds for the engine's own reader what RIS has no tag for and what its one-line values lose, so that a record is
    read back with all its fields.
    """
    for one in cited:
        yield "".join(f"{tag}  - {value}\r\n" for tag, value in [*_list_tags(one), ("ER", "")]) + "\r\n"


def _list_tags(cited: Cited) -> list[tuple[str, str]]:
    """List (tag, value) of one record in order, without empty values."""
    record, names = cited.record, parse_cited_names(cited.record.authors)
    left = find_left_over(record, _KEEPS, names) | _count_marks(record)
    lines = [
        ("TY", _choose_reference_type(record)),
        ("TI", record.title),
        *(("AU", name.written) for name in names),
        ("PY", str(record.year or "")),
        ("DA", _format_date(record.published)),
        ("T2", record.journal),
        ("VL", record.volume),
        ("IS", record.issue),
        *zip(("SP", "EP"), split_pages(record.pages), strict=False),
        *(("SN", number) for number in record.issns),
        ("PB", record.publisher),
        ("CY", record.place),
        ("AB", record.abstract),
        ("DO", record.doi or ""),
        *_list_accession_numbers(record),
        ("C2", record.pmcid),
        *_list_links(record),
        *(("KW", term) for term in [*record.mesh, *record.keywords]),
        ("LA", "; ".join(record.languages)),
        *(("M3", kind) for kind in record.publication_types if WORD.fullmatch(kind)),
        ("OP", record.vernacular_title),  # not TT, which some programs take for the title
        *(("AD", affiliation) for affiliation in record.affiliations),
        *(("LB", label) for label in record.labels),
        ("N1", "RETRACTED" if record.retracted else ""),
        ("N1", describe_standing(cited)),
        *(("N1", note) for note in record.notes),
        ("C1", record.rights),
        *list_other_tags(record, "RIS", _OTHER_TAGS),
        ("ID", mark_own_id(record)),
        ("C8", format_extra(left) if left else ""),
    ]
    return [(tag, text) for tag, value in lines if (text := join_lines(value))]


def _choose_reference_type(record: Abstract) -> str:
    """Return the type of reference: an article unless the record says otherwise."""
    kinds = (KINDS.get(kind.lower()) for kind in record.publication_types)
    return next(filter(None, kinds), "JOUR")


def _count_marks(record: Abstract) -> dict[str, object]:
    """Return the number of MeSH headings among the keywords, and retraction: RIS has no tags for them."""
    found: dict[str, object] = {"n_mesh": len(record.mesh)} if record.mesh else {}
    return found | ({"retracted": True} if record.retracted else {})


def _list_accession_numbers(record: Abstract) -> list[tuple[str, str]]:
    """Return the PMID as PubMed's accession number; without one, the first number of another database."""
    if record.pmid:
        return [("AN", record.pmid), ("DB", "PubMed")]
    number = next(iter(record.accessions), "")
    own, _, rest = number.partition(":")
    return [("AN", rest if own in record.databases else number), ("DB", "; ".join(record.databases))]


def _list_links(record: Abstract) -> Iterator[tuple[str, str]]:
    """Yield the PubMed page of a record, or else its DOI page, then its own links; one to a PDF as its full text."""
    built = build_pubmed_url(record.pmid) or build_doi_url(record.doi)
    if built not in record.urls:
        yield "UR", built
    for url in record.urls:
        yield ("L1" if url.lower().endswith(".pdf") else "UR"), url


def _format_date(published: str) -> str:
    """Format an ISO date as RIS does; return "" for anything else.

    >>> _format_date("2019-05-03"), _format_date("2019-05")
    ('2019/05/03/', '2019/05//')
    """
    parts = published.split("-") if is_date(published) else []
    return "/".join([*parts, *[""] * (4 - len(parts))]) if parts else ""
