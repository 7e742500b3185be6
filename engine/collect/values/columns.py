"""Mapping of table columns and object keys to fields, computed once per header."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# Accepted column names per field, best first; compared in lower case, without anything but letters and digits.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "recordid", "docid", "uid", "openalexid"),
    "pmid": ("pmid", "pubmedid", "medlinepmid", "pm", "idspmid", "entrezuid", "pubmed"),
    "identifiers": ("identifiers",),  # PubMed's of earlier years: "PMID:123 | PMCID:PMC4"
    "doi": ("doi", "doilink", "di", "digitalobjectidentifier", "idsdoi", "doiurl"),
    "accession": (
        *("embaseaccessionid", "embaseaccessionnumber", "accessionnumber", "ut", "utuniquewosid", "eid", "pui"),
        *("nctnumber", "nctid", "trialid", "trialregistrationnumber", "storeid"),
    ),
    "key": ("key",),  # Zotero's, or a table's own; the last resort for an id
    "title": (
        *("title", "articletitle", "primarytitle", "titleprimary", "documenttitle", "ti", "studytitle", "brieftitle"),
        *("publictitle", "scientifictitle", "officialtitle", "name"),
    ),
    "abstract": (
        *(
            "abstract",
            "abstracttext",
            "text",
            "body",
            "notesabstract",
            "abstractnote",
            "ab",
            "briefsummary",
            "abstracts",
        ),
        *("abstractenglish", "summary", "description"),
    ),
    "year": (
        *("year", "publicationyear", "pubyear", "py", "publishedyear", "yearpublished", "yearofpublication"),
        "publicationyears",
    ),
    "month": ("publishedmonth", "publicationmonth", "pubmonth", "month"),
    "day": ("publicationday", "day"),
    "date": (
        *("publicationdate", "pubdate", "datepublished", "dateofpublication", "publisheddate", "coverdate"),
        *("firstpublicationdate", "date", "pd", "startdate", "studyfirstposted", "firstposted", "dateregistration"),
        *("dateregistration3", "onlinedate", "publicationdateonline", "earlyaccessdate"),
    ),
    "journal": (
        *("journal", "journaltitle", "journalbook", "sourcetitle", "publicationtitle", "periodicalfull", "pubtitle"),
        *("journalname", "publication", "publicationname", "primarylocationsourcedisplayname", "containertitle"),
        *(
            "hostvenuedisplayname",
            "source",
            "so",
            "secondarytitle",
            "titlesecondary",
            "periodical",
            "venue",
            "booktitle",
        ),
        *("periodicalabbrev", "abbreviatedsourcetitle", "journalabbreviation", "j9", "ji"),
    ),
    "citation": ("details", "citation", "shortdetails"),  # "Ann Med. 2020 May 1;3(2):1-9."
    "authors": (
        *("af", "authors", "author", "authorsprimary", "authorshipsauthordisplayname", "authorfullnames"),
        *("firstauthors", "au", "authorlist", "authorstring", "creators", "creator"),
    ),
    "byline": ("authornames",),
    "closed_byline": (),  # PubMed's authors, which end with a full stop
    "mesh": ("mesh", "meshterms", "meshheadings", "meshdescriptorname"),
    "publication_types": ("publicationtypes", "documenttype", "publicationtype", "articletype", "dt", "type"),
    "retracted": ("retracted", "isretracted"),
    "keywords": ("keywords", "keyword", "authorkeywords", "manualtags", "de"),
    "orcids": ("orcids",),
    "more_keywords": (
        *("indexkeywords", "automatictags", "keywordsplus", "subjects", "subject", "subjectterms", "subjectheadings"),
        *("emtreedrugindextermsmajorfocus", "emtreedrugindexterms", "emtreemedicalindextermsmajorfocus"),
        *("emtreemedicalindexterms", "ieeeterms", "fieldsofstudy", "keywordsdisplayname", "conditions", "condition"),
        *("interventions", "intervention", "descriptors"),
    ),
    "languages": ("languages", "language", "languageoforiginaldocument", "la", "lang"),
    "vernacular_title": ("vernaculartitle", "originaltitle"),
    "other_abstracts": ("originalabstract",),
    "extra": ("extra",),  # Zotero's notes: "PMID: 123"
    "volume": ("volume", "vol", "vl", "bibliovolume", "journalvolume"),
    "issue": ("issue", "issuenumber", "journalissue", "number", "is", "biblioissue", "issueno"),
    "pages": ("pages", "pagination", "pagerange", "page", "pp", "pageinfo"),
    "first_page": ("startpage", "pagestart", "firstpage", "bibliofirstpage", "bp", "sp", "spage"),
    "last_page": ("endpage", "pageend", "lastpage", "bibliolastpage", "ep", "epage", "otherpages"),
    "article_number": ("articlenumber", "artno", "ar", "articleno"),
    "issns": (
        *("issn", "issns", "eissn", "printissn", "electronicissn", "onlineissn", "issnisbn", "isbnissn", "sn", "ei"),
        *("isbn", "isbns", "bn", "primarylocationsourceissn", "journalissn"),
    ),
    "pmcid": ("pmcid", "pmc", "pubmedcentralid", "idspmcid"),
    "urls": (
        *("url", "urls", "link", "links", "fulltexturl", "fulltextlink", "linktofulltext", "articleurl", "documenturl"),
        *("documentlink", "openurllink", "pdflink", "pdfurl", "sourceurls", "externalurl", "webaddress", "weburl"),
        *("studyurl", "permalink", "primarylocationlandingpageurl", "primarylocationpdfurl", "openaccessoaurl"),
        *("bestoalocationpdfurl", "dimensionsurl", "webofsciencerecord", "sourcelinkout", "fulltexturls"),
    ),
    "publisher": ("publisher", "publishername", "pu", "primarylocationsourcehostorganizationname"),
    "place": (
        "placeofpublication",
        "placepublished",
        "place",
        "publishercity",
        "publisherplace",
        "pi",
        "location",
        "sourcecountry",
    ),
    "affiliations": (
        *("affiliations", "affiliation", "addresses", "c1", "authoraffiliations", "authorsaffiliations"),
        *("authoraddress", "authorshipsinstitutionsdisplayname", "authoraddresses"),
    ),
    "cited_ids": ("citedids", "citedreferences", "cr", "references", "referencedworks"),
    "databases": (
        *("databases", "database", "databasename", "databaseprovider", "nameofdatabase", "sourcedatabase", "dbname"),
        *("sourceregister", "resource"),
    ),
    "database_code": ("db",),  # PubMed's of earlier years: "pubmed", "pmc"
    "labels": ("labels", "tags", "usertags", "userlabels"),
    "notes": ("notes", "note", "comments", "comment", "researchnotes", "usernotes"),
    "rights": ("rights", "copyright", "copyrightnotice", "copyrightinformation"),
    "published": ("published",),
    "accessions": ("accessions",),
    "notices": ("notices",),
}
# Fields that take the values of all their columns; any other takes the first that is filled.
_SEVERAL = frozenset(
    "keywords more_keywords issns urls affiliations databases labels notes accession citation cited_ids".split()
)
FIELDS = {name: (field, rank) for field, names in COLUMNS.items() for rank, name in enumerate(names)}
# The column that only one database writes, and its name.
_DATABASES = {
    "embaseaccessionid": "Embase",
    "embaseaccessionnumber": "Embase",
    "journalbook": "PubMed",
    "entrezuid": "PubMed",
    "eid": "Scopus",
    "utuniquewosid": "Web of Science",
    "nctnumber": "ClinicalTrials.gov",
    "lensid": "The Lens",
    "storeid": "ProQuest",
    "dimensionsurl": "Dimensions",
    "openalexid": "OpenAlex",
    "primarylocationsourcedisplayname": "OpenAlex",
    "datedaddedtoxplore": "IEEE Xplore",
    "gsrank": "Google Scholar",
}
_WEB_OF_SCIENCE = frozenset("pt au af ti so de ut ab dt py".split())  # the columns of its tab-delimited export
_IDENTITIES = ("id", "pmid", "doi", "accession", "key")
_NOTHING = {
    "",
    "na",
    "n/a",
    "#n/a",
    "nan",
    "none",
    "null",
    "-",
}  # a missing value of R, pandas, Excel or a person
_UNNAMED = re.compile(r"\s*(?:Unnamed: \d+)?\s*")  # the index column of a table that pandas wrote


@dataclass(frozen=True, slots=True)
class _Header:
    """The columns of one table."""

    fields: tuple[tuple[str, str], ...]  # (field, column), best first
    unknown: tuple[str, ...]  # columns of no field, in order
    database: str  # that the table was exported from, "" where the columns don't tell it


def _normalise_column(name: str) -> str:
    """Reduce a column name to its lower-case letters and digits, for comparison."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def match_column(name: str) -> str | None:
    """Return the name of the field that a column feeds; None for an unknown column."""
    return FIELDS.get(_normalise_column(name), (None, 0))[0]


@functools.lru_cache(maxsize=1024)
def match_columns(names: tuple[str, ...]) -> _Header:
    """Return the fields of the columns of one header. The cache is bounded: keys of objects differ by line."""
    normalised = {name: _normalise_column(name) for name in names}
    known = set(normalised.values())
    ranked = sorted(
        ((*_match_special(normal, known), name) for name, normal in normalised.items() if normal in FIELDS),
        key=lambda item: item[1],
    )
    return _Header(
        fields=tuple((field, name) for field, _, name in ranked),
        unknown=tuple(n for n, normal in normalised.items() if normal not in FIELDS and not _UNNAMED.fullmatch(n)),
        database=_name_database(known),
    )


def _name_database(known: Collection[str]) -> str:
    """Return the database whose export has these columns; "" where they don't tell it."""
    if len(_WEB_OF_SCIENCE.intersection(known)) > 5:
        return "Web of Science"
    if "authornames" in known and "source" in known:
        return "Embase"
    return next((name for column, name in _DATABASES.items() if column in known), "")


def _match_special(name: str, known: set[str]) -> tuple[str, int]:
    """Return the field of a column and its rank, given all columns: some names mean several things."""
    field, rank = FIELDS[name]
    if name == "authors" and "journalbook" in known:  # PubMed
        return "closed_byline", rank
    if name == "description" and "entrezuid" in known:  # PubMed of earlier years
        return "closed_byline", rank
    if name == "source" and "authornames" in known:  # Embase
        return "citation", rank
    if name == "source" and "sourcetitle" in known:  # Scopus
        return "databases", rank
    if name == "authorfullnames" and "utuniquewosid" in known:  # Web of Science
        return field, -1
    if name == "id" and len(_WEB_OF_SCIENCE.intersection(known)) > 3:  # keywords there
        return "more_keywords", rank
    return field, rank


def choose_columns(row: Mapping[str, object]) -> tuple[dict[str, object], list[tuple[str, object]]]:
    """Return (field -> value, each from the best column that has one; the filled columns that no field takes).

    The value of a field that takes several columns is the list of their values.
    """
    header, values = match_columns(tuple(row)), dict[str, object]()
    left: list[tuple[str, object]] = []
    for field, column in header.fields:
        if _is_missing(value := row[column], is_id=field in _IDENTITIES):
            continue
        if field in _SEVERAL:
            values[field] = [*values.get(field, ()), value]  # type: ignore[misc]
        elif field not in values:
            values[field] = value
        elif value != values[field]:
            left.append((column, value))
    left += [(column, row[column]) for column in header.unknown if not _is_missing(row[column], is_id=True)]
    return values, left


def _is_missing(value: object, *, is_id: bool) -> bool:
    """Return whether a value is missing: null, empty text or NaN; for an id also blanks, "NA" and the like."""
    if isinstance(value, str):
        return not value.strip() or (is_id and value.strip().lower() in _NOTHING)
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None
