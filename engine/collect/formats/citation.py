"""One MedlineCitation, with the PubmedData beside it if there is any, into an Abstract."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

from engine.collect.formats.elements import (
    Parts,
    find_child,
    find_first_year,
    find_inside,
    find_listed_doi,
    get_first,
    group_children,
    read_date,
    read_first,
    read_people,
    read_sections,
    read_text,
    read_texts,
    read_version,
)
from engine.collect.values.notices import resolve_standing
from engine.identifiers import parse_doi
from engine.records.abstract import Abstract

# What NLM writes for a title that is not there, or not yet translated; only as the whole of it.
_NO_TITLE = re.compile(r"[\[(]?\s*(?:not available|in process citation)\s*\.?\s*[\])]?\s*\.?", re.IGNORECASE)
_LONGEST_NO_TITLE = 30  # characters
PLACEHOLDER = "Abstract available from the publisher."  # for an OtherAbstract that PubMed may not show
TRANSLATION = ("", "Publisher")  # OtherAbstract/@Type of the publisher's abstract in another language
_ENGLISH = "eng"  # the DTD's default of OtherAbstract/@Language; DTDs are not loaded


def build_citation(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record; only what is said of the article itself, nothing of what it cites."""
    found = group_children(element)
    article = group_children(get_first(found, "Article"))
    journal = group_children(get_first(article, "Journal"))
    vernacular = read_first(article, "VernacularTitle")
    abstract, others = find_abstracts(article.get("Abstract", ()), found.get("OtherAbstract", ()))
    authors, orcids = read_people(article.get("AuthorList", ()))
    types = list(find_inside(article, "PublicationTypeList", "PublicationType"))
    type_names = read_texts(types)
    retracted, notices = resolve_standing(
        types, type_names, find_inside(found, "CommentsCorrectionsList", "CommentsCorrections")
    )
    return Abstract(
        record_id=f"PMID:{pmid}",
        title=find_title(read_first(article, "ArticleTitle"), vernacular),
        abstract=abstract,
        year=_find_year(journal, article),
        journal=_find_journal(journal, found),
        authors=authors,
        pmid=pmid,
        doi=_find_doi(article.get("ELocationID", ()), data),
        mesh=read_texts(
            name
            for heading in find_inside(found, "MeshHeadingList", "MeshHeading")
            for name in heading.iterchildren("DescriptorName")
        ),
        publication_types=type_names,
        retracted=retracted,
        keywords=read_texts(find_inside(found, "KeywordList", "Keyword")),
        languages=read_texts(article.get("Language", ())),
        vernacular_title=vernacular,
        other_abstracts=others,
        orcids=orcids,
        notices=notices,
        version=read_version(get_first(found, "PMID")),
        revised=read_date(get_first(found, "DateRevised")),
    )


def find_title(given: str, vernacular: str) -> str:
    """The title as it came, brackets of a translated one included; without one, the vernacular title or ""."""
    missing = not given or (len(given) <= _LONGEST_NO_TITLE and _NO_TITLE.fullmatch(given) is not None)
    return vernacular if missing else given


def find_abstracts(own: Iterable[etree._Element], others: Iterable[etree._Element]) -> tuple[str, tuple[str, ...]]:
    """The abstract, then the other ones, each led by what it is.

    Where an article has no abstract but another in English (of AIDS, NASA, Publisher …), the first of those is the
    abstract and not among the others: it is the only text to search.
    """
    abstract = "\n".join(filter(None, map(read_sections, own)))
    known = [(part, body) for part in others if (body := read_sections(part))]
    if not abstract:
        english = (
            n
            for n, (part, body) in enumerate(known)
            if _find_language(part) == _ENGLISH and not body.endswith(PLACEHOLDER)
        )
        if (chosen := next(english, None)) is not None:
            abstract = known.pop(chosen)[1]
    return abstract, tuple(f"[{_describe_kind(part)}] {body}" for part, body in known)


def _find_language(other: etree._Element) -> str:
    """Language of an OtherAbstract, as three letters."""
    return other.get("Language", "").strip().lower() or _ENGLISH


def _describe_kind(other: etree._Element) -> str:
    """What an OtherAbstract is: "fre" for a translation, else "plain-language-summary", "Publisher" …, or both."""
    kind, spoken = other.get("Type", "").strip(), _find_language(other)
    if spoken == _ENGLISH:
        return kind or spoken
    return spoken if kind in TRANSLATION else f"{kind}, {spoken}"


def _find_year(journal: Parts, article: Parts) -> int | None:
    """Year of the issue, else of the electronic article."""
    issues = (find_child(issue, "PubDate") for issue in journal.get("JournalIssue", ()))
    return find_first_year(*issues, *article.get("ArticleDate", ()))


def _find_journal(journal: Parts, found: Parts) -> str:
    """The full title of the journal, else its abbreviation; old files may have only that of NLM."""
    name = read_first(journal, "Title") or read_first(journal, "ISOAbbreviation")
    return name or "".join(read_texts(find_inside(found, "MedlineJournalInfo", "MedlineTA"))[:1])


def _find_doi(locations: Iterable[etree._Element], data: etree._Element | None) -> str | None:
    """The article's own DOI, from its location unless that is marked as wrong, else from PubMed's list of its ids.

    The lists of ids inside ReferenceList are those of other works.
    """
    for place in locations:
        if place.get("EIdType") == "doi" and place.get("ValidYN") != "N" and (found := parse_doi(read_text(place))):
            return found
    return None if data is None else find_listed_doi(find_child(data, "ArticleIdList"))
