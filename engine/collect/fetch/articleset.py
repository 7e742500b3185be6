"""PubMed's articles as efetch sends them: taken apart record by record, and put together to one document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from engine.collect.fetch.client import Cause, TransferError
from engine.collect.fetch.service import ReportedError
from engine.identifiers import parse_pmid

_DOCTYPE = re.compile(r'<!DOCTYPE PubmedArticleSet PUBLIC "[^"<>]*" "[^"<>]*">')
_PMID_PATHS = ("MedlineCitation/PMID", "BookDocument/PMID")
END = b"</PubmedArticleSet>\n"


@dataclass(frozen=True, slots=True)
class Article:
    """One record as it came, in UTF-8."""

    pmid: int  # 0 where it has none
    content: bytes


@dataclass(frozen=True, slots=True)
class ArticleSet:
    """The records of one answer, in its order."""

    doctype: str
    articles: tuple[Article, ...]


def format_start(doctype: str) -> bytes:
    """Return the first lines of a document of articles."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', doctype, "<PubmedArticleSet>"]
    return "".join(f"{line}\n" for line in lines if line).encode()


def parse_answer(content: bytes, root_tag: str) -> etree._Element:
    """Return the root of an XML answer. No entity is resolved, and nothing is fetched.

    Raises:
        TransferError: it is not well-formed, declares entities, or is another document.
        ReportedError: it names an error.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as err:
        where = f" at line {err.position[0]}" if isinstance(err, etree.XMLSyntaxError) else ""
        raise TransferError(f"the answer is cut short or damaged: not well-formed XML{where}", Cause.CONTENT) from None
    if (declared := root.getroottree().docinfo.internalDTD) is not None and next(declared.iterentities(), None):
        raise TransferError("the answer declares XML entities, which is refused as unsafe", Cause.REFUSED)
    if (error := root.find(".//ERROR")) is not None and root.tag != "PubmedArticleSet":
        raise ReportedError(" ".join("".join(map(str, error.itertext())).split()))
    if root.tag != root_tag:
        raise TransferError(f"the answer is <{str(root.tag)[:40]}>, expected <{root_tag}>", Cause.CONTENT)
    return root


def read_articles(content: bytes) -> ArticleSet:
    """Take an answer of efetch apart.

    Raises:
        TransferError: as parse_answer.
    """
    root = parse_answer(content, "PubmedArticleSet")
    doctype = _DOCTYPE.fullmatch(root.getroottree().docinfo.doctype or "")
    articles = (_build_article(child) for child in root.iterchildren(tag=etree.Element))
    return ArticleSet(doctype[0] if doctype else "", tuple(articles))


def _build_article(element: etree._Element) -> Article:
    """Return a record with its PMID."""
    texts = (element.findtext(path) for path in _PMID_PATHS)
    pmid = parse_pmid(next(filter(None, texts), None))
    content = etree.tostring(element, encoding="utf-8", xml_declaration=False, with_tail=False)
    return Article(int(pmid or 0), content + b"\n")


def sort_articles(articles: Sequence[Article], pmids: Sequence[int]) -> list[Article]:
    """Return the records in the order of these PMIDs; others come last, in their order."""
    ranks = {pmid: rank for rank, pmid in enumerate(pmids)}
    return sorted(articles, key=lambda article: ranks.get(article.pmid, len(ranks)))
