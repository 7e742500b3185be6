"""Ovid's names of fields, and its sources on one line: "Ann Rheum Dis. 78(3):328-335, 2019 Mar."."""

from __future__ import annotations

import re

from engine.collect.values.citations import parse_citation
from engine.collect.values.dates import parse_date

# The long names of fields, in lower case, and their tags. Products differ in the names.
LABELS = {
    label: tag
    for tag, labels in {
        "VN": ("ovid technologies",),
        "DB": ("database", "database name"),
        "UI": ("unique identifier", "ovid unique identifier"),
        "AN": ("accession number", "embase accession number", "an"),
        "PM": ("pmid", "pubmed id", "pubmed identifier", "pubmed/medline id"),
        "PMC": ("pmc identifier", "pmcid", "pmc"),
        "ST": ("status", "record status"),
        "RO": ("record owner",),
        "TI": ("title", "article title", "document title"),
        "OT": ("original title", "foreign title", "vernacular title"),
        "AU": ("authors", "author", "author/s", "author(s)", "personal author"),
        "FA": ("authors full name", "author full name", "authors full names", "full author names", "author names"),
        "CA": ("corporate author", "corporate authors", "group author", "collaborative name"),
        "ED": ("editor", "editors"),
        "IR": ("investigator", "investigators", "investigators full name"),
        "IN": ("institution", "author institution", "affiliation", "author affiliation", "author address", "address"),
        "AD": ("correspondence address", "corresponding author", "author nla"),
        "SO": ("source", "source information"),
        "JN": ("journal name", "journal", "journal title", "nlm journal name", "publication name"),
        "AS": ("abbreviated source", "journal abbreviation", "journal title abbreviation"),
        "BT": ("book title", "publication title"),
        "AB": ("abstract",),
        "MH": ("mesh subject headings", "subject headings", "mesh headings", "emtree heading", "descriptors", "emtree"),
        "KW": ("keyword heading", "keywords", "author keywords", "key concepts", "keyword", "identifiers"),
        "PT": ("publication type", "document type", "article type"),
        "LG": ("language", "languages", "article language", "language of publication"),
        "IS": ("issn", "issn print", "issn electronic", "issn linking", "print issn", "electronic issn"),
        "IB": ("isbn",),
        "VI": ("volume",),
        "IP": ("issue", "issue/part", "issue number"),
        "PG": ("page", "pages", "page numbers", "pagination"),
        "DO": ("digital object identifier", "doi", "doi number"),
        "DP": ("date of publication", "publication date", "date published"),
        "YR": ("year of publication", "publication year", "year"),
        "EP": ("electronic date of publication", "electronic publication date"),
        "PB": ("publisher", "publisher name", "publisher information"),
        "CP": ("country of publication", "country", "publisher country"),
        "CI": ("copyright", "copyright information", "copyright statement"),
        "XL": ("url", "link to the ovid full text or citation", "link to the external link resolver", "ovid link"),
        "CM": ("comments", "comment"),
        "NT": ("general note", "notes", "note"),
        "RN": ("cas registry/ec number/name of substance", "registry number/name of substance", "cas registry number"),
        "NO": ("grant number", "grant information", "grant", "grants"),
        "CN": ("clinical trial number", "trial registration number"),
        "UP": ("update date", "update code", "entry week", "date created", "entry date", "update"),
    }.items()
    for label in labels
}

_MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Spring|Summer|Autumn|Fall|Winter)[a-z]*"
_YEAR = r"(?:1[5-9]|20)\d\d"
_VOLUME = r"(?P<volume>[A-Za-z]{0,5}\d[\w/-]*)"
_ISSUE = r"(?:\s*\((?P<issue>[^()]*(?:\([^()]*\)[^()]*)?)\))?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        # PsycINFO: "Behavior. Vol.43(5), Sep 2015, pp. 562-577."
        rf"(?P<journal>.+?)\.\s+Vol\.?\s*{_VOLUME}{_ISSUE}\s*,\s*(?P<date>[^,]*?{_YEAR})"
        r"(?:\s*,\s*(?:pp?\.\s*|Art(?:icle)?\s?ID\s*)(?P<pages>No Pagination Specified|[^\s,]+?))?\.?$",
        # MEDLINE, BIOSIS: "Ann Rheum Dis. 78(3):328-335, 2019 Mar 05."
        rf"(?P<journal>.+?)\.\s+{_VOLUME}{_ISSUE}\s*:\s*(?P<pages>[^\s,:;]+(?:,\s*\w*\d+-\w+)*)\s*,\s*(?P<date>.*{_YEAR}.*)",
        # "Annals. 78(3), 2019 Mar." and "Annals. 78, 2019."
        rf"(?P<journal>.+?)\.\s+{_VOLUME}{_ISSUE}\s*,\s*(?!.*(?:Date of Publ|Article Num))(?P<date>.*{_YEAR}.*)",
        # Embase: "BMC Proceedings. 12 (3) (pp 12-19), 2018. Article Number: 4. Date of Publication: 01 May 2018."
        rf"(?P<journal>.+?)\.\s+(?:Conference: .*?\.\s+)?{_VOLUME}{_ISSUE}(?:\s*\((?:pp\s*(?P<pages>[^()]+)|[^()]*)\))*"
        rf"\s*,\s*(?P<year>{_YEAR})\.?(?:.*?Article Number: (?P<number>[^\s.]+)\.)?"
        r"(?:.*?Date of Publication: (?P<date>[^.]*))?",
        # Journals@Ovid: "Acta Chirurgica Belgica November/December 2010;6(2):611-613"
        rf"(?P<journal>.+?)\.?\s+(?P<date>(?:\d{{1,2}}\s+)?{_MONTHS}[\w/, -]*?\s{_YEAR})\s*;\s*{_VOLUME}{_ISSUE}"
        r"\s*(?::\s*(?P<pages>[^\s.;]+))?",
    )
)
_DATED = re.compile(rf"(?P<journal>.+?)\.\s+(?P<date>[^.]*{_YEAR}[^.]*)\.?$")


def parse_source(text: str) -> dict[str, str]:
    """Return journal, volume, issue, pages, year and published of Ovid's source; an empty dict for other texts.

    >>> parse_source("Made Up Ann. 78(3):328-335, 2019 Mar.")["pages"]
    '328-335'
    """
    text = " ".join(text.split())
    for form in _FORMS:
        if match := form.match(text):
            return _read_match(match)
    if cited := parse_citation(text):
        return cited
    return _read_match(match) if (match := _DATED.match(text)) else {}


def _read_match(match: re.Match[str]) -> dict[str, str]:
    """Return the fields of a source."""
    values = {field: (value or "").strip() for field, value in match.groupdict().items()}
    number, date = values.pop("number", ""), values.pop("date", "")
    values["pages"] = values.get("pages") or number
    if values["pages"].startswith("No "):
        values["pages"] = ""
    values["published"] = parse_date(date)
    if not values.get("year") and (year := re.search(_YEAR, date)):
        values["year"] = year[0]
    return {field: value for field, value in values.items() if value}
