"""Conversion of a MedlineCitation, with its PubmedData if there is one, to an Abstract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

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

# What NLM writes for a missing or not yet translated title; only if it is the whole title.
_NO_TITLE = re.compile(r"[\[(]?\s*(?:not available|in process citation)\s*\.?\s*[\])]?\s*\.?", re.IGNORECASE)
_LONGEST_NO_TITLE = 30  # characters
PLACEHOLDER = "Abstract available from the publisher."  # stands for an OtherAbstract that PubMed may not show
_TRANSLATION = ("", "Publisher")  # OtherAbstract/@Type of the publisher's abstract in another language
ENGLISH = "eng"  # the DTD's default of OtherAbstract/@Language; DTDs are not loaded


def build_citation(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record from the article itself, without anything about the works it cites."""
    parts = group_children(element)
    article = group_children(get_first(parts, "Article"))
    journal = group_children(get_first(article, "Journal"))
    return replace(
        build_shared(parts, article, list(find_inside(article, "PublicationTypeList", "PublicationType")), pmid),
        year=_find_year(journal, article),
        journal=_find_journal(journal, parts),
        doi=_find_doi(article.get("ELocationID", ()), data),
        mesh=read_texts(
            name
            for heading in find_inside(parts, "MeshHeadingList", "MeshHeading")
            for name in heading.iterchildren("DescriptorName")
        ),
    )


def build_shared(parts: Parts, article: Parts, types: Sequence[etree._Element], pmid: str) -> Abstract:
    """Build the fields that articles and book documents have in the same elements.

    Args:
        parts: children of the MedlineCitation or BookDocument.
        article: children of the Article; of a book document, the same parts.
        types: its PublicationType elements.
        pmid: its PMID.
    """
    vernacular = read_first(article, "VernacularTitle")
    abstract, others = _find_abstracts(article.get("Abstract", ()), parts.get("OtherAbstract", ()))
    authors, orcids = read_people(article.get("AuthorList", ()))
    type_names = read_texts(types)
    links = find_inside(parts, "CommentsCorrectionsList", "CommentsCorrections")
    retracted, notices = resolve_standing(types, type_names, links)
    return Abstract(
        record_id=f"PMID:{pmid}",
        title=find_title(read_first(article, "ArticleTitle"), vernacular),
        abstract=abstract,
        authors=authors,
        pmid=pmid,
        publication_types=type_names,
        retracted=retracted,
        keywords=read_texts(find_inside(parts, "KeywordList", "Keyword")),
        languages=read_texts(article.get("Language", ())),
        vernacular_title=vernacular,
        other_abstracts=others,
        orcids=orcids,
        notices=notices,
        version=read_version(get_first(parts, "PMID")),
        revised=read_date(get_first(parts, "DateRevised")),
    )


def find_title(title: str, vernacular: str) -> str:
    """Return the title unchanged, with the brackets of a translated one; without a title, the vernacular one or ""."""
    missing = not title or (len(title) <= _LONGEST_NO_TITLE and _NO_TITLE.fullmatch(title) is not None)
    return vernacular if missing else title


def _find_abstracts(own: Iterable[etree._Element], others: Iterable[etree._Element]) -> tuple[str, tuple[str, ...]]:
    """Return the abstract and the other abstracts, each of these with its kind before it: "[fre] …".

    If an article has only other abstracts, the first English one (of AIDS, NASA, Publisher …) becomes the abstract and
    is left out of the others, so that there is a text to search.
    """
    abstract = "\n".join(filter(None, map(read_sections, own)))
    labelled = [(part, body) for part in others if (body := read_sections(part))]
    if not abstract:
        english = (
            n
            for n, (part, body) in enumerate(labelled)
            if _find_language(part) == ENGLISH and not body.endswith(PLACEHOLDER)
        )
        if (index := next(english, None)) is not None:
            abstract = labelled.pop(index)[1]
    return abstract, tuple(
        f"[{describe_kind(part.get('Type', '').strip(), _find_language(part))}] {body}" for part, body in labelled
    )


def _find_language(other: etree._Element) -> str:
    """Return the language of an OtherAbstract, as three letters."""
    return other.get("Language", "").strip().lower() or ENGLISH


def describe_kind(kind: str, language: str) -> str:
    """Return the label of an other abstract: its type if it is English, its language if a translation, else both."""
    if language == ENGLISH:
        return kind or language
    return language if kind in _TRANSLATION else f"{kind}, {language}"


def _find_year(journal: Parts, article: Parts) -> int | None:
    """Return the year of the issue, else of the electronic article."""
    issues = (find_child(issue, "PubDate") for issue in journal.get("JournalIssue", ()))
    return find_first_year(*issues, *article.get("ArticleDate", ()))


def _find_journal(journal: Parts, citation: Parts) -> str:
    """Return the full title of the journal, else its abbreviation, else that of NLM (in old files)."""
    name = read_first(journal, "Title") or read_first(journal, "ISOAbbreviation")
    return name or "".join(read_texts(find_inside(citation, "MedlineJournalInfo", "MedlineTA"))[:1])


def _find_doi(locations: Iterable[etree._Element], data: etree._Element | None) -> str | None:
    """Return the article's own DOI, from a location that is not marked as invalid, else from PubMed's list of its ids.

    The id lists inside ReferenceList belong to other works.
    """
    for location in locations:
        if (
            location.get("EIdType") == "doi"
            and location.get("ValidYN") != "N"
            and (doi := parse_doi(read_text(location)))
        ):
            return doi
    return None if data is None else find_listed_doi(find_child(data, "ArticleIdList"))
