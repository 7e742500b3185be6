"""PubMed XML (baseline, update and efetch files, current and old DTDs), read record by record."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from lxml import etree

from engine.collect.text.xmlstream import decode_xml_head, read_elements
from engine.collect.values.fields import DAMAGED, MOJIBAKE
from engine.collect.values.identity import BAD_PMID, name_record
from engine.collect.xmlfiles.book import build_chapter
from engine.collect.xmlfiles.citation import build_citation
from engine.collect.xmlfiles.elements import PmidError, find_child, read_pmid, read_text
from engine.identifiers import parse_pmid
from engine.records.abstract import Abstract, Deletion, Entry, Rejection, Remark

# PubmedArticleSet is the current root, MedlineCitationSet that of baselines up to 2016; single records are read, too.
ROOT = re.compile(rb"<(?:!DOCTYPE\s+)?(?:[\w.-]+:)?(?:Pubmed(?:Book)?Article|MedlineCitation)(?:Set)?[\s>/\[]")
_DELETIONS = ("DeleteCitation", "DeleteDocument")  # of articles, of book documents
_RECORDS = ("PubmedArticle", "MedlineCitation", "PubmedBookArticle", *_DELETIONS)


def looks_like(head: bytes) -> bool:
    """Return whether the root element or document type is one of PubMed."""
    head = decode_xml_head(head)
    return head.startswith(b"<") and ROOT.search(head) is not None


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the articles, book chapters and deletions of a PubMed file in order, in bounded memory.

    A Remark on a record comes before it; a record that can't be used gives a Rejection in its place.

    Raises:
        SourceError: the file is not well-formed, is truncated, or declares or uses XML entities.
    """
    for item in read_elements(stream, name, _RECORDS, _is_record, root_end=b"Set>"):
        if isinstance(item, Remark):
            yield item
        else:
            yield from _read_element(item[1], name, item[0])


def _is_record(element: etree._Element) -> bool:
    """Return whether an element is a record of its own, not the MedlineCitation inside a PubmedArticle."""
    parent = element.getparent()
    if parent is None or not element.tag.endswith("MedlineCitation"):
        return True
    return str(parent.tag).rpartition("}")[2] != "PubmedArticle"


def _read_element(element: etree._Element, name: str, number: int) -> Iterator[Entry]:
    """Yield the entries of one record element."""
    if element.tag in _DELETIONS:
        yield from _read_deletions(element, name, number)
    else:
        yield from _read_record(element, name, number)


def _read_deletions(element: etree._Element, name: str, number: int) -> Iterator[Entry]:
    """Yield a Deletion for each PMID, or a Rejection for an invalid one."""
    for pmid in element.iterchildren("PMID"):
        try:
            yield Deletion(f"PMID:{read_pmid(pmid)}")
        except PmidError as err:
            yield Rejection(name, f"record {number} (deletion of PMID {read_text(pmid)[:40] or 'missing'})", str(err))


def _read_record(element: etree._Element, name: str, number: int) -> Iterator[Entry]:
    """Yield the abstract of one article or book chapter after its remarks, or one Rejection."""
    if element.tag == "PubmedBookArticle":
        main, data, build = find_child(element, "BookDocument"), find_child(element, "PubmedBookData"), build_chapter
    elif element.tag == "PubmedArticle":
        main, data, build = find_child(element, "MedlineCitation"), find_child(element, "PubmedData"), build_citation
    else:
        main, data, build = element, None, build_citation
    pmid = None if main is None else find_child(main, "PMID")
    place = f"record {number} (PMID {read_text(pmid)[:40] or 'missing'})"
    if main is None:
        yield Rejection(name, place, "neither title nor abstract, so there is nothing to search")
        return
    digits = parse_pmid(read_text(pmid)) or ""
    abstract = build(main, data, digits)
    if not abstract.title and not abstract.abstract:
        yield Rejection(name, place, "neither title nor abstract, so there is nothing to search")
        return
    if not digits:
        yield Remark(BAD_PMID, place)
        abstract = name_record(abstract)
    if _is_damaged(abstract):
        yield Remark(DAMAGED, place)
    yield abstract


def _is_damaged(abstract: Abstract) -> bool:
    """Return whether the text looks wrongly decoded. XML can't hold lone surrogates, so nothing else is checked."""
    return any(not words.isascii() and MOJIBAKE.search(words) for words in (abstract.title, abstract.abstract))
