"""RIS, which every reference manager and screening tool reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.identifiers import build_doi_url, build_pubmed_url
from engine.records.abstract import Abstract
from engine.references.beside import Keeps, describe_standing, find_left_over, format_extra, join_lines, mark_own_id
from engine.references.citation import Cited
from engine.references.names import parse_names

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
WORD = re.compile(r"[^\W\d][^\d\[\]]*")  # a type that M3 can hold; other databases put numbers and links there
_KEEPS: Keeps = {
    "title": lambda items: True,
    "journal": lambda items: True,
    "vernacular_title": lambda items: True,
    "mesh": lambda items: not any(item.startswith("*") for item in items),
    "keywords": lambda items: not any(item.startswith("*") for item in items),
    "languages": lambda items: not any(re.search("[;,]", item) for item in items),
    "publication_types": lambda items: all(map(WORD.fullmatch, items)),
}


def write_ris(cited: Sequence[Cited], title: str) -> Iterator[str]:
    r"""Yield each hit as a RIS record: UTF-8, a line for each value, lines ending with \r\n.

    C8 holds for the engine's own reader what RIS has no tag for and what its one-line values lose, so that a record is
    read back with all its fields.
    """
    for one in cited:
        yield "".join(f"{tag}  - {value}\r\n" for tag, value in [*_list_tags(one), ("ER", "")]) + "\r\n"


def _list_tags(cited: Cited) -> list[tuple[str, str]]:
    """List (tag, value) of one record in order, without empty values."""
    record, names = cited.record, parse_names(cited.record.authors)
    left = find_left_over(record, _KEEPS, names) | _count_marks(record)
    lines = [
        ("TY", _choose_reference_type(record)),
        ("TI", record.title),
        *(("AU", name.written) for name in names),
        ("PY", str(record.year or "")),
        ("T2", record.journal),
        ("AB", record.abstract),
        ("DO", record.doi or ""),
        *_find_accession_number(record),
        ("UR", _build_link(record)),
        *(("KW", term) for term in [*record.mesh, *record.keywords]),
        ("LA", "; ".join(record.languages)),
        *(("M3", kind) for kind in record.publication_types if WORD.fullmatch(kind)),
        ("TT", record.vernacular_title),
        ("N1", "RETRACTED" if record.retracted else ""),
        ("N1", describe_standing(cited)),
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


def _find_accession_number(record: Abstract) -> list[tuple[str, str]]:
    """Return the PMID as PubMed's accession number."""
    return [("AN", record.pmid), ("DB", "PubMed")] if record.pmid else []


def _build_link(record: Abstract) -> str:
    """Return the PubMed page of a record, or else its DOI page."""
    return build_pubmed_url(record.pmid) or build_doi_url(record.doi)
