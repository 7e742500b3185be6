"""Conversion of a MedlineCitation, with its PubmedData if there is one, to an Abstract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lxml import etree

from engine.collect.values.dates import has_more_than
from engine.collect.values.fields import drop_repeats
from engine.collect.values.notices import resolve_standing
from engine.collect.values.rights import split_rights
from engine.collect.values.tags import join_pages
from engine.collect.xmlfiles.elements import (
    Parts,
    find_child,
    find_inside,
    get_first,
    group_children,
    index_children,
    list_cited,
    read_date,
    read_first,
    read_first_date,
    read_own_ids,
    read_people,
    read_plain,
    read_sections,
    read_text,
    read_texts,
    read_version,
    select_texts,
)
from engine.identifiers import parse_doi
from engine.records.abstract import Abstract

# What NLM writes for a missing or not yet translated title; only if it is the whole title.
_NO_TITLE = re.compile(r"[\[(]?\s*(?:not available|in process citation)\s*\.?\s*[\])]?\s*\.?", re.IGNORECASE)
_LONGEST_NO_TITLE = 30  # characters
PLACEHOLDER = "Abstract available from the publisher."  # stands for an OtherAbstract that PubMed may not show
_TRANSLATION = ("", "Publisher")  # OtherAbstract/@Type of the publisher's abstract in another language
# What no field holds: lists of the citation and of the article, with the paths of their texts.
_GROUPS = {
    "ChemicalList": etree.XPath("Chemical/NameOfSubstance/text()", smart_strings=False),
    "SupplMeshList": etree.XPath("SupplMeshName/text()", smart_strings=False),
    "GeneSymbolList": etree.XPath("GeneSymbol/text()", smart_strings=False),
}
_ARTICLE_GROUPS = {
    "GrantList": etree.XPath("Grant/GrantID/text()", smart_strings=False),
    "DataBankList": etree.XPath("DataBank/AccessionNumberList/AccessionNumber/text()", smart_strings=False),
}
_TEXTS = ("OtherID", "CoiStatement")
_DATABASES = ("PubMed",)
_DESCRIPTORS = etree.XPath("MeshHeading/DescriptorName/text()", smart_strings=False)
_CITES = etree.XPath("CommentsCorrections[@RefType='Cites']/PMID/text()", smart_strings=False)
_NOT_CITES = etree.XPath("CommentsCorrections[not(@RefType='Cites' and PMID)]")
ENGLISH = "eng"  # the DTD's default of OtherAbstract/@Language; DTDs are not loaded


def build_citation(element: etree._Element, data: etree._Element | None, pmid: str) -> Abstract:
    """Build the record of an article."""
    parts = group_children(element)
    article = group_children(get_first(parts, "Article"))
    journal = index_children(get_first(article, "Journal")).get
    issue = index_children(journal("JournalIssue")).get
    registered = read_plain(get_first(parts, "MedlineJournalInfo")).get
    year, published = read_first_date(issue("PubDate"), *article.get("ArticleDate", ()))
    listed_doi, pmcid = read_own_ids(None if data is None else find_child(data, "ArticleIdList"))
    types = list(find_inside(article, "PublicationTypeList", "PublicationType"))
    shared = build_shared(parts, article, types, pmid)
    shared["other_tags"] += tuple(_list_date(issue("PubDate"), published or str(year or "")))
    return Abstract(
        **shared,
        year=year,
        journal=read_text(journal("Title")) or read_text(journal("ISOAbbreviation")) or registered("MedlineTA", ""),
        doi=_find_doi(article.get("ELocationID", ())) or listed_doi,
        mesh=select_texts(get_first(parts, "MeshHeadingList"), _DESCRIPTORS),
        volume=read_text(issue("Volume")),
        issue=read_text(issue("Issue")),
        pages=_read_pages(get_first(article, "Pagination")),
        issns=drop_repeats((read_text(journal("ISSN")), registered("ISSNLinking", ""))),
        published=published,
        place=registered("Country", ""),
        pmcid=pmcid,
        cited_ids=_list_cited(parts, data),
    )


def build_shared(parts: Parts, article: Parts, types: Sequence[etree._Element], pmid: str) -> dict[str, Any]:
    """Return the values of the fields that articles and book documents have in the same elements.

    Args:
        parts: children of the MedlineCitation or BookDocument.
        article: children of the Article; of a book document, the same parts.
        types: its PublicationType elements.
        pmid: its PMID.
    """
    vernacular = read_first(article, "VernacularTitle")
    abstract, others = _find_abstracts(article.get("Abstract", ()), parts.get("OtherAbstract", ()))
    abstract, notice = split_rights(abstract)
    people = read_people(article.get("AuthorList", ()))
    if not people.names and "InvestigatorList" in parts:
        people = read_people(parts["InvestigatorList"], "Investigator")
    type_names = read_texts(types)
    links = _NOT_CITES(parts["CommentsCorrectionsList"][0]) if "CommentsCorrectionsList" in parts else []
    retracted, notices = resolve_standing(types, type_names, links)
    return {
        "record_id": f"PMID:{pmid}",
        "title": find_title(read_first(article, "ArticleTitle"), vernacular),
        "abstract": abstract,
        "authors": tuple(people.names),
        "pmid": pmid,
        "publication_types": type_names,
        "retracted": retracted,
        "keywords": tuple(filter(None, [read_text(word) for words in parts.get("KeywordList", ()) for word in words])),
        "languages": read_texts(article["Language"]) if "Language" in article else (),
        "vernacular_title": vernacular,
        "other_abstracts": others,
        "orcids": people.list_orcids(),
        "notices": notices,
        "affiliations": drop_repeats(people.affiliations),
        "databases": _DATABASES,
        "notes": read_texts(parts["GeneralNote"]) if "GeneralNote" in parts else (),
        "rights": _join_rights(article.get("Abstract", ()), notice),
        "other_tags": tuple(_list_others(parts, article, links)),
        "version": read_version(get_first(parts, "PMID")),
        "revised": read_date(get_first(parts, "DateRevised")),
    }


def _join_rights(abstracts: Iterable[etree._Element], notice: str) -> str:
    """Return the copyright notices, one a line: those in elements of their own, then that of the text."""
    marked = [text for part in abstracts for text in read_texts(part.iterchildren("CopyrightInformation"))]
    return "\n".join(drop_repeats([*marked, notice])) if marked else notice


def _read_pages(pagination: etree._Element | None) -> str:
    """Return the pages of an article as PubMed writes them: "335-9"."""
    pages = read_plain(pagination)
    return pages.get("MedlinePgn") or join_pages(pages.get("StartPage", ""), pages.get("EndPage", ""))


def _list_cited(parts: Parts, data: etree._Element | None) -> tuple[str, ...]:
    """Return the works cited, each once; files from before 2018 list them beside comments and corrections."""
    has_references = data is not None and find_child(data, "ReferenceList") is not None
    if not has_references and "CommentsCorrectionsList" not in parts:
        return ()
    before = select_texts(get_first(parts, "CommentsCorrectionsList"), _CITES)
    return drop_repeats([*map("PMID:{}".format, before), *list_cited(data)])


def _list_date(date: etree._Element | None, known: str) -> Iterator[str]:
    """Yield a date that says more than what was read of it: "PubMed MedlineDate: 1998 Dec-1999 Jan"."""
    if date is None or not len(date) or (date[0].tag != "MedlineDate" and date[-1].tag != "Season"):
        return
    part = date[0] if date[0].tag == "MedlineDate" else date[-1]
    if has_more_than(text := read_text(part), known):
        yield f"PubMed {part.tag}: {text}"


def _list_others(parts: Parts, article: Parts, links: Iterable[etree._Element]) -> Iterator[str]:
    """Yield what no field holds of an article or a book document: "PubMed Chemical: 64-17-5, Ethanol"."""
    for location in article.get("ELocationID", ()):
        if location.get("EIdType") != "doi":
            yield f"PubMed ELocationID: {read_text(location)}"
    for some, groups in ((article, _ARTICLE_GROUPS), (parts, _GROUPS)):
        for group, find in groups.items():
            if group in some:
                kind = group.removesuffix("List")
                yield from (f"PubMed {kind}: {text}" for element in some[group] for text in select_texts(element, find))
    for person in find_inside(parts, "PersonalNameSubjectList", "PersonalNameSubject"):
        yield f"PubMed PersonalNameSubject: {', '.join(read_texts(person.iterchildren('LastName', 'ForeName')))}"
    for tag in [tag for tag in _TEXTS if tag in parts]:
        for text in read_texts(parts[tag]):
            yield f"PubMed {tag}: {text}"
    for link in links:
        text = " PMID: ".join(read_texts(link.iterchildren("RefSource", "PMID")))
        yield f"PubMed {link.get('RefType')}: {text}"


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


def _find_doi(locations: Iterable[etree._Element]) -> str | None:
    """Return the DOI of the first location that has one and is not marked as invalid."""
    for location in locations:
        if (
            location.get("EIdType") == "doi"
            and location.get("ValidYN") != "N"
            and (doi := parse_doi(read_text(location)))
        ):
            return doi
    return None
