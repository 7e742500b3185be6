"""Conversion of a PubMed BookDocument (a chapter or a whole book of the NCBI Bookshelf) to an Abstract."""

from __future__ import annotations

from lxml import etree

from engine.collect.values.fields import drop_repeats
from engine.collect.xmlfiles.citation import build_shared
from engine.collect.xmlfiles.elements import (
    find_child,
    get_first,
    group_children,
    list_cited,
    read_first,
    read_first_date,
    read_own_ids,
    read_people,
    read_texts,
)
from engine.records.abstract import Abstract


def build_chapter(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record, with the book as its journal.

    A document without a title or authors takes those of the book. The year is that of the book, else that of the
    contribution.
    """
    parts = group_children(element)
    book = group_children(get_first(parts, "Book"))
    publisher = group_children(get_first(book, "Publisher"))
    book_title = read_first(book, "BookTitle")
    shared = build_shared(parts, parts, parts.get("PublicationType", ()), pmid)
    if not shared["authors"]:
        people = read_people(book.get("AuthorList", ()))
        shared |= {"authors": tuple(people.names), "orcids": people.list_orcids()}
        shared["affiliations"] = drop_repeats(people.affiliations)
    year, published = read_first_date(*book.get("PubDate", ()), *parts.get("ContributionDate", ()))
    own_ids, more_ids = get_first(parts, "ArticleIdList"), None if data is None else find_child(data, "ArticleIdList")
    (own_doi, own_pmcid), (more_doi, more_pmcid) = read_own_ids(own_ids), read_own_ids(more_ids)
    shared["title"] = shared["title"] or book_title
    return Abstract(
        **shared,
        year=year,
        journal=book_title,
        doi=own_doi or more_doi,
        volume=read_first(book, "Volume"),
        pages=read_first(group_children(get_first(parts, "Pagination")), "MedlinePgn"),
        issns=read_texts(book.get("Isbn", ())),
        published=published,
        publisher=read_first(publisher, "PublisherName"),
        place=read_first(publisher, "PublisherLocation"),
        pmcid=own_pmcid or more_pmcid,
        cited_ids=drop_repeats(list_cited(data)),
    )
