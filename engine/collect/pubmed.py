"""PubMed XML (baseline, update and efetch files), streamed one article at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from lxml import etree

from engine.collect.fields import YEAR, doi_of, pmid_of, repaired
from engine.errors import SourceError
from engine.records import Abstract, Deletion, Entry, Rejection

ROOTS = (b"<PubmedArticleSet", b"<PubmedArticle>", b"<PubmedArticle ", b"<!DOCTYPE PubmedArticleSet")
RETRACTED_UI = "D016441"  # MeSH unique id of the publication type "Retracted Publication"
LAYOUT = re.compile(r"[ \t\r]*\n[ \t\r\n]*")  # line breaks and indentation of pretty-printed XML


def looks_like(head: bytes) -> bool:
    """Tell PubMed XML by its root element or document type."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and any(root in head for root in ROOTS)


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the articles and deletions of a PubMed file in order, in bounded memory.

    Raises:
        SourceError: not well-formed, or it declares entities, which PubMed's files never do.
    """
    if b"<!ENTITY" in stream.peek():
        raise SourceError(f"{name} declares XML entities, which PubMed's files never do; it is refused as unsafe")
    events = etree.iterparse(
        stream,
        events=("end",),
        tag=("PubmedArticle", "PubmedBookArticle", "DeleteCitation"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    number = 0
    try:
        for _, element in events:
            number += 1
            yield from element_entries(element, name, number)
            release(element)
    except etree.XMLSyntaxError as err:
        line, column = err.position
        raise SourceError(
            f"{name} is not well-formed XML at line {line}, column {column}, "
            f"after {number} records: {err.msg}. Download or export the file again"
        ) from err


def release(element: etree._Element) -> None:
    """Free an element and everything before it, so that memory does not grow with the file."""
    element.clear()
    while element.getprevious() is not None:
        parent = element.getparent()
        if parent is None:
            return
        del parent[0]


def element_entries(element: etree._Element, name: str, number: int) -> Iterator[Entry]:
    """Yield what one top-level element holds.

    Raises:
        SourceError: it refers to an entity of its own.
    """
    if next(element.iter(etree.Entity), None) is not None:
        raise SourceError(f"{name}, record {number}: uses an XML entity of its own; the file is refused as unsafe")
    if element.tag == "DeleteCitation":
        for pmid in element.iterfind("PMID"):
            yield Deletion(f"PMID:{(pmid.text or '').strip()}")
    elif element.tag == "PubmedBookArticle":
        yield Rejection(name, f"record {number}", "a book chapter (PubmedBookArticle); only articles are read")
    else:
        yield from article_entries(element, name, number)


def article_entries(article: etree._Element, name: str, number: int) -> Iterator[Entry]:
    """Yield the abstract of one PubmedArticle, or its Rejection."""
    given = text_at(article, "MedlineCitation/PMID")
    pmid = pmid_of(given)
    place = f"record {number} (PMID {given[:40] or 'missing'})"
    if pmid is None:
        yield Rejection(name, place, "the PMID is not a number from 1 to 999999999")
        return
    title = text_at(article, "MedlineCitation/Article/ArticleTitle")
    body = abstract_text(article)
    if not title and not body:
        yield Rejection(name, place, "neither title nor abstract, so there is nothing to search")
        return
    yield from repaired(record(article, pmid, title, body), place)


def record(article: etree._Element, pmid: str, title: str, body: str) -> Abstract:
    """Build the record of one article."""
    types = article.findall("MedlineCitation/Article/PublicationTypeList/PublicationType")
    headings = article.iterfind("MedlineCitation/MeshHeadingList/MeshHeading/DescriptorName")
    return Abstract(
        record_id=f"PMID:{pmid}",
        title=title,
        abstract=body,
        year=year(article),
        journal=text_at(article, "MedlineCitation/Article/Journal/Title"),
        authors=tuple(filter(None, map(author, article.iterfind("MedlineCitation/Article/AuthorList/Author")))),
        pmid=pmid,
        doi=doi(article),
        mesh=tuple(filter(None, map(text, headings))),
        publication_types=tuple(filter(None, map(text, types))),
        retracted=is_retracted(article, types),
    )


def is_retracted(article: etree._Element, types: list[etree._Element]) -> bool:
    """Whether PubMed marks the article as retracted, by publication type or by a link to the notice."""
    if any(kind.get("UI") == RETRACTED_UI for kind in types):
        return True
    links = article.iterfind("MedlineCitation/CommentsCorrectionsList/CommentsCorrections")
    return any(link.get("RefType") == "RetractionIn" for link in links)


def text(element: etree._Element) -> str:
    """All text of an element in order, inline markup dropped, the layout of pretty-printed XML as one space."""
    return LAYOUT.sub(" ", "".join(element.itertext())).strip()


def text_at(element: etree._Element, path: str) -> str:
    """Text of the first element at the path, "" when there is none."""
    found = element.find(path)
    return "" if found is None else text(found)


def abstract_text(article: etree._Element) -> str:
    """The sections in order, one a line, each with its label: "METHODS: …"."""
    sections = []
    for section in article.iterfind("MedlineCitation/Article/Abstract/AbstractText"):
        label, body = section.get("Label", ""), text(section)
        if body:
            sections.append(f"{label}: {body}" if label and label != "UNLABELLED" else body)
    return "\n".join(sections)


def year(article: etree._Element) -> int | None:
    """Year of the issue, from PubDate/Year or the first year in MedlineDate; else of the electronic article."""
    for path in ("Journal/JournalIssue/PubDate/Year", "Journal/JournalIssue/PubDate/MedlineDate", "ArticleDate/Year"):
        if found := YEAR.search(text_at(article, f"MedlineCitation/Article/{path}")):
            return int(found.group(1))
    return None


def doi(article: etree._Element) -> str | None:
    """The article's own DOI; ids in its reference list are those of other works."""
    for place in article.iterfind("MedlineCitation/Article/ELocationID[@EIdType='doi']"):
        if place.get("ValidYN", "Y") == "Y" and text(place):
            return doi_of(text(place))
    return doi_of(text_at(article, "PubmedData/ArticleIdList/ArticleId[@IdType='doi']"))


def author(element: etree._Element) -> str:
    """One author as "Fore Last", or the name of a group."""
    fore = text_at(element, "ForeName") or text_at(element, "Initials")
    return f"{fore} {text_at(element, 'LastName')}".strip() or text_at(element, "CollectiveName")
