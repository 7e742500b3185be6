"""One BookDocument of PubMed (a chapter, or a whole book of the NCBI Bookshelf) into an Abstract."""

from __future__ import annotations

from lxml import etree

from engine.collect.citation import abstracts, title_of
from engine.collect.elements import (
    child,
    doi_in,
    first,
    first_text,
    inside,
    iso_date,
    parts,
    people,
    texts,
    version,
    year_in,
)
from engine.collect.notices import standing
from engine.records.abstract import Abstract


def chapter(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record, with the book as its journal.

    A document without a title of its own is the whole book: it has that title, and the authors of the book.
    The year is that of the book, as PubMed dates it; of the contribution where the book has none.
    """
    found = parts(element)
    book = parts(first(found, "Book"))
    book_title, vernacular = first_text(book, "BookTitle"), first_text(found, "VernacularTitle")
    abstract, others = abstracts(found.get("Abstract", ()), found.get("OtherAbstract", ()))
    authors, orcids = people(found.get("AuthorList", ()))
    if not authors:
        authors, orcids = people(book.get("AuthorList", ()))
    types = found.get("PublicationType", ())
    type_names = texts(types)
    retracted, notices = standing(types, type_names, ())
    own_ids, more_ids = first(found, "ArticleIdList"), None if data is None else child(data, "ArticleIdList")
    return Abstract(
        record_id=f"PMID:{pmid}",
        title=title_of(first_text(found, "ArticleTitle"), vernacular) or book_title,
        abstract=abstract,
        year=year_in(*book.get("PubDate", ()), *found.get("ContributionDate", ())),
        journal=book_title,
        authors=authors,
        pmid=pmid,
        doi=doi_in(own_ids) or doi_in(more_ids),
        publication_types=type_names,
        retracted=retracted,
        keywords=texts(inside(found, "KeywordList", "Keyword")),
        languages=texts(found.get("Language", ())),
        vernacular_title=vernacular,
        other_abstracts=others,
        orcids=orcids,
        notices=notices,
        version=version(first(found, "PMID")),
        revised=iso_date(first(found, "DateRevised")),
    )
