"""Conversion of a PubMed BookDocument (a chapter or a whole book of the NCBI Bookshelf) to an Abstract."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from engine.collect.formats.citation import build_shared
from engine.collect.formats.elements import (
    find_child,
    find_first_year,
    find_listed_doi,
    get_first,
    group_children,
    read_first,
    read_people,
)
from engine.records.abstract import Abstract


def build_chapter(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record, with the book as its journal.

    A document without a title or authors takes those of the book. The year is that of the book, else that of the
    contribution.
    """
    parts = group_children(element)
    book = group_children(get_first(parts, "Book"))
    chapter = build_shared(parts, parts, parts.get("PublicationType", ()), pmid)
    book_title = read_first(book, "BookTitle")
    authors, orcids = chapter.authors, chapter.orcids
    if not authors:
        authors, orcids = read_people(book.get("AuthorList", ()))
    own_ids, more_ids = get_first(parts, "ArticleIdList"), None if data is None else find_child(data, "ArticleIdList")
    return replace(
        chapter,
        title=chapter.title or book_title,
        year=find_first_year(*book.get("PubDate", ()), *parts.get("ContributionDate", ())),
        journal=book_title,
        authors=authors,
        orcids=orcids,
        doi=find_listed_doi(own_ids) or find_listed_doi(more_ids),
    )
