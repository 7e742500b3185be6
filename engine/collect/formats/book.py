"""Conversion of a PubMed BookDocument (a chapter or a whole book of the NCBI Bookshelf) to an Abstract."""

from __future__ import annotations

from lxml import etree

from engine.collect.formats.citation import find_abstracts, find_title
from engine.collect.formats.elements import (
    find_child,
    find_first_year,
    find_inside,
    find_listed_doi,
    get_first,
    group_children,
    read_date,
    read_first,
    read_people,
    read_texts,
    read_version,
)
from engine.collect.values.notices import resolve_standing
from engine.records.abstract import Abstract


def build_chapter(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record, with the book as its journal.

    A document without a title or authors takes those of the book. The year is that of the book, else that of the
    contribution.
    """
    parts = group_children(element)
    book = group_children(get_first(parts, "Book"))
    book_title, vernacular = read_first(book, "BookTitle"), read_first(parts, "VernacularTitle")
    abstract, others = find_abstracts(parts.get("Abstract", ()), parts.get("OtherAbstract", ()))
    authors, orcids = read_people(parts.get("AuthorList", ()))
    if not authors:
        authors, orcids = read_people(book.get("AuthorList", ()))
    types = parts.get("PublicationType", ())
    type_names = read_texts(types)
    retracted, notices = resolve_standing(types, type_names, ())
    own_ids, more_ids = get_first(parts, "ArticleIdList"), None if data is None else find_child(data, "ArticleIdList")
    return Abstract(
        record_id=f"PMID:{pmid}",
        title=find_title(read_first(parts, "ArticleTitle"), vernacular) or book_title,
        abstract=abstract,
        year=find_first_year(*book.get("PubDate", ()), *parts.get("ContributionDate", ())),
        journal=book_title,
        authors=authors,
        pmid=pmid,
        doi=find_listed_doi(own_ids) or find_listed_doi(more_ids),
        publication_types=type_names,
        retracted=retracted,
        keywords=read_texts(find_inside(parts, "KeywordList", "Keyword")),
        languages=read_texts(parts.get("Language", ())),
        vernacular_title=vernacular,
        other_abstracts=others,
        orcids=orcids,
        notices=notices,
        version=read_version(get_first(parts, "PMID")),
        revised=read_date(get_first(parts, "DateRevised")),
    )
