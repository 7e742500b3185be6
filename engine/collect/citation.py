"""One MedlineCitation, with the PubmedData beside it if there is any, into an Abstract."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

from engine.collect.elements import (
    Parts,
    child,
    doi_in,
    first,
    first_text,
    inside,
    iso_date,
    parts,
    people,
    sections,
    text,
    texts,
    version,
    year_in,
)
from engine.collect.notices import standing
from engine.identifiers import parse_doi
from engine.records.abstract import Abstract

# What NLM writes for a title that is not there, or not yet translated; only as the whole of it.
NO_TITLE = re.compile(r"[\[(]?\s*(?:not available|in process citation)\s*\.?\s*[\])]?\s*\.?", re.IGNORECASE)
LONGEST_NO_TITLE = 30  # characters
PLACEHOLDER = "Abstract available from the publisher."  # for an OtherAbstract that PubMed may not show
TRANSLATION = ("", "Publisher")  # OtherAbstract/@Type of the publisher's abstract in another language
ENGLISH = "eng"  # the DTD's default of OtherAbstract/@Language; DTDs are not loaded


def citation(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record; only what is said of the article itself, nothing of what it cites."""
    found = parts(element)
    article = parts(first(found, "Article"))
    journal = parts(first(article, "Journal"))
    vernacular = first_text(article, "VernacularTitle")
    abstract, others = abstracts(article.get("Abstract", ()), found.get("OtherAbstract", ()))
    authors, orcids = people(article.get("AuthorList", ()))
    types = list(inside(article, "PublicationTypeList", "PublicationType"))
    type_names = texts(types)
    retracted, notices = standing(types, type_names, inside(found, "CommentsCorrectionsList", "CommentsCorrections"))
    return Abstract(
        record_id=f"PMID:{pmid}",
        title=title_of(first_text(article, "ArticleTitle"), vernacular),
        abstract=abstract,
        year=year_of(journal, article),
        journal=journal_name(journal, found),
        authors=authors,
        pmid=pmid,
        doi=own_doi(article.get("ELocationID", ()), data),
        mesh=texts(
            name
            for heading in inside(found, "MeshHeadingList", "MeshHeading")
            for name in heading.iterchildren("DescriptorName")
        ),
        publication_types=type_names,
        retracted=retracted,
        keywords=texts(inside(found, "KeywordList", "Keyword")),
        languages=texts(article.get("Language", ())),
        vernacular_title=vernacular,
        other_abstracts=others,
        orcids=orcids,
        notices=notices,
        version=version(first(found, "PMID")),
        revised=iso_date(first(found, "DateRevised")),
    )


def title_of(given: str, vernacular: str) -> str:
    """The title as it came, brackets of a translated one included; without one, the vernacular title or ""."""
    missing = not given or (len(given) <= LONGEST_NO_TITLE and NO_TITLE.fullmatch(given) is not None)
    return vernacular if missing else given


def abstracts(own: Iterable[etree._Element], others: Iterable[etree._Element]) -> tuple[str, tuple[str, ...]]:
    """The abstract, then the other ones, each led by what it is.

    Where an article has no abstract but another in English (of AIDS, NASA, Publisher …), the first of those is the
    abstract and not among the others: it is the only text to search.
    """
    abstract = "\n".join(filter(None, map(sections, own)))
    known = [(part, body) for part in others if (body := sections(part))]
    if not abstract:
        english = (
            n for n, (part, body) in enumerate(known) if language(part) == ENGLISH and not body.endswith(PLACEHOLDER)
        )
        if (chosen := next(english, None)) is not None:
            abstract = known.pop(chosen)[1]
    return abstract, tuple(f"[{kind_of(part)}] {body}" for part, body in known)


def language(other: etree._Element) -> str:
    """Language of an OtherAbstract, as three letters."""
    return other.get("Language", "").strip().lower() or ENGLISH


def kind_of(other: etree._Element) -> str:
    """What an OtherAbstract is: "fre" for a translation, else "plain-language-summary", "Publisher" …, or both."""
    kind, spoken = other.get("Type", "").strip(), language(other)
    if spoken == ENGLISH:
        return kind or spoken
    return spoken if kind in TRANSLATION else f"{kind}, {spoken}"


def year_of(journal: Parts, article: Parts) -> int | None:
    """Year of the issue, else of the electronic article."""
    issues = (child(issue, "PubDate") for issue in journal.get("JournalIssue", ()))
    return year_in(*issues, *article.get("ArticleDate", ()))


def journal_name(journal: Parts, found: Parts) -> str:
    """The full title of the journal, else its abbreviation; old files may have only that of NLM."""
    name = first_text(journal, "Title") or first_text(journal, "ISOAbbreviation")
    return name or "".join(texts(inside(found, "MedlineJournalInfo", "MedlineTA"))[:1])


def own_doi(locations: Iterable[etree._Element], data: etree._Element | None) -> str | None:
    """The article's own DOI, from its location unless that is marked as wrong, else from PubMed's list of its ids.

    The lists of ids inside ReferenceList are those of other works.
    """
    for place in locations:
        if place.get("EIdType") == "doi" and place.get("ValidYN") != "N" and (found := parse_doi(text(place))):
            return found
    return None if data is None else doi_in(child(data, "ArticleIdList"))
