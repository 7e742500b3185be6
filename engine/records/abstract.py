"""Abstracts and the other entries of a source file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Notice(StrEnum):
    """What a record states about another one, or another one about it. Its own retraction is Abstract.retracted."""

    IS_RETRACTION = "is a retraction notice"
    IS_ERRATUM = "is an erratum"
    IS_CONCERN = "is an expression of concern"
    HAS_ERRATUM = "has an erratum"
    HAS_CONCERN = "has an expression of concern"
    PARTLY_RETRACTED = "partly retracted"
    REPUBLISHED = "corrected and republished"


@dataclass(frozen=True, slots=True)
class Abstract:
    """One record as its source gave it: the unit of retrieval. Empty text is "", an unknown year is None."""

    record_id: str  # "PMID:12345678", or the source's own key; unique in an index
    title: str
    abstract: str
    year: int | None = None
    journal: str = ""
    authors: tuple[str, ...] = ()
    pmid: str | None = None
    doi: str | None = None
    mesh: tuple[str, ...] = ()
    publication_types: tuple[str, ...] = ()
    retracted: bool = False
    keywords: tuple[str, ...] = ()  # the authors' or the database's own, beside MeSH
    languages: tuple[str, ...] = ()  # as the source writes them: "eng", "English"
    vernacular_title: str = ""  # the title in the language of the article
    other_abstracts: tuple[str, ...] = ()  # each led by what it is: "[fre] …", "[plain-language-summary] …"
    orcids: tuple[str, ...] = ()  # "0000-0002-1825-0097", one per author in order, "" where unknown; or none
    notices: tuple[str, ...] = ()  # of Notice, sorted
    version: int = 1  # of the citation, as PubMed counts them
    revised: str = ""  # date of the last revision, ISO 8601, "" where unknown


@dataclass(frozen=True, slots=True)
class Deletion:
    """PubMed's DeleteCitation: the record is gone."""

    record_id: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that can't be indexed; the run continues without it."""

    source: str  # file name
    place: str  # "line 12", "record 3 (PMID 0)"
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, {self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem with a record that is indexed nevertheless."""

    kind: str  # a fixed phrase, counted: "text looks wrongly decoded (mojibake)"
    place: str


Entry = Abstract | Deletion | Rejection | Remark
