"""Abstracts and the other entries of a source file."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
    volume: str = ""
    issue: str = ""
    pages: str = ""  # "253-258", or the number of the article: "e1003285"
    issns: tuple[str, ...] = ()  # of the journal, or ISBNs of the book
    published: str = ""  # ISO 8601, as exact as the source: "2019-05-03", "2019-05"
    publisher: str = ""
    place: str = ""  # of the publisher or the journal
    pmcid: str = ""  # "PMC1234567"
    urls: tuple[str, ...] = ()  # of the full text or the record, as the source gives them
    affiliations: tuple[str, ...] = ()  # each once, in order
    cited_ids: tuple[str, ...] = ()  # the works it cites: "PMID:1", "DOI:10.1/x", or as the source writes them
    databases: tuple[str, ...] = ()  # that the record was exported from: "Embase"
    accessions: tuple[str, ...] = ()  # its numbers there: "Embase:L603123456", "WOS:000123456700001"
    labels: tuple[str, ...] = ()  # the user's labels and tags
    notes: tuple[str, ...] = ()  # the user's, or the database's
    rights: str = ""  # copyright notices, kept out of the abstract
    other_tags: tuple[str, ...] = ()  # what no field holds: "RIS C3: European Congress"
    version: int = 1  # of the citation, as PubMed counts them
    revised: str = ""  # date of the last revision, ISO 8601, "" where unknown


# The fields that come from the source and are stored, exported and read back; not the age of one source's citation.
SOURCE_FIELDS = tuple(field.name for field in fields(Abstract) if field.name not in ("version", "revised"))
LIST_FIELDS = tuple(field.name for field in fields(Abstract) if str(field.type).startswith("tuple"))
TEXT_FIELDS = tuple(field.name for field in fields(Abstract) if field.type == "str" and field.name in SOURCE_FIELDS)


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
