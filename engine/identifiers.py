"""Identifiers of publications and people: how PMIDs, DOIs and ORCIDs are written, and the addresses they stand for."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

MAX_ID = 255  # characters

# Zero-width characters, soft hyphens and byte-order marks inside copied text.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")

# What a PDF prints for the hyphens and slashes of a DOI.
_PRINTED = str.maketrans("\u2010\u2011\u2012\u2013\u2212\u2044\u2215", "-----//")

_PMID = re.compile(r"[1-9][0-9]{0,8}")
_PADDED_PMID = re.compile(r"(?=[0-9]{1,10}(?![0-9]))0*([1-9][0-9]{0,8})(?:[.,]0{1,2})?")  # "030000001", "30000001.0"
_GROUPED_PMID = re.compile(  # "30,000,001", "30.000.001", "30 000 001"
    "[1-9][0-9]{0,2}(?:([,.'\u2019\u00a0\u2009\u202f]| (?=[0-9]{3} ))[0-9]{3})"
    "(?:[,.'\u2019\u00a0\u2009\u202f ][0-9]{3})*"
)
# Spreadsheets write "3.0000001E+07" and shorten it to "3.00E+07"; programs write "3.0E7" for exactly 30000000.
_SCIENTIFIC_PMID = re.compile(r"([1-9])(?:[.,]([0-9]+))?[Ee](\+?)0?([1-8])")
_PMID_LABEL = (
    r"(?:pubmed[\s_-]*(?:pmid|id|identifier|number|no\.?)?|medline[\s_-]*(?:pmid|id)?|pmid|pm|nlm|med)"
    r"(?=[\s:=#/.-]|[0-9]|nlm|$)"
)
_PMID_PREFIX = re.compile(
    rf"^(?:info:|urn:)?{_PMID_LABEL}[\s:=#/.-]*(?:nlm[\s:]*)?"
    r"|^https?://(?:www\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed)/",
    re.IGNORECASE,
)
_PMID_TAIL = re.compile(r"\s*[\[({<]\s*(?:pmid|uid|pubmed|medline|https?:).*$", re.IGNORECASE)
# In a list of several databases, the number after a name of PubMed: "PUBMED 1,EMBASE 6".
_LISTED_PMID = re.compile(
    r"(?<![A-Za-z0-9])(?:pubmed(?:\s*id)?|pmid|medline)[\s:=#-]*(?:nlm)?([1-9][0-9]{0,8})(?![0-9A-Za-z*])",
    re.IGNORECASE,
)
_PUBMED_PAGE = (
    r"(?:pubmed[.-]ncbi[.-]nlm[.-]nih[.-]gov[^/\s]*/|ncbi[.-]nlm[.-]nih[.-]gov[^/\s]*/(?:m/)?pubmed/"
    r"|pubmed\.(?:gov|com)/)"
)
_LINKED_PMID = re.compile(
    rf"(?:{_PUBMED_PAGE}(?:\?\S*?\bterm=)?|ncbi[.-]nlm[.-]nih[.-]gov\S*[?&;](?:list_uids|uid)="
    r"|europepmc[.-]org\S*/med/|(?:identifiers|bio2rdf)\.org/pubmed[:/]|info:pmid[/:])"
    r"([1-9][0-9]{0,8})(?![0-9A-Za-z*])",
    re.IGNORECASE,
)
# Between the PMIDs of a list; not the semicolon inside an old DOI, "10.1890/…2.0.CO;2".
_LIST_MARK = re.compile(r"(?<!\.[A-Z]{2});|\||,\s|,(?=[0-9]{4})")
_LINK_WORDS = ("pubmed", "pmid", "uid", "/med/")  # one of them is in every address that _LINKED_PMID matches
_NOTED = r"(?:pubmed\s+)?pm(?:id|\s?id)\s*[:=-]?\s*(?:nlm\s?)?([1-9][0-9]{0,8})(?![0-9A-Za-z*])"
# At the beginning of a line or after a semicolon; after a full stop only in a list of fields, as EBSCO writes it.
# Elsewhere, the PMID may be that of another work: "see PMID: 123".
_PMID_NOTE = re.compile(rf"(?:^|[;|])[ \t]*(?:<p>)?{_NOTED}", re.IGNORECASE | re.MULTILINE)
_PMID_FIELD = re.compile(rf"[.;|,]\s+{_NOTED}", re.IGNORECASE)
_FIELD_LIST = re.compile(
    r"\s*(?:Accession Number|Language|Entry Date|Publication Type|Date of Electronic|NLM UID)\b[^:]*:"
)

_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]+)*/\S+")
_PLAIN_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]+)*/[A-Za-z0-9_()-]+(?:[./][A-Za-z0-9][A-Za-z0-9_()-]*)*(?<![_()-])")
_PMCID = re.compile(r"PMC[1-9][0-9]{0,9}")
# With a name before it and a version after it, or in an address; not inside a word.
_WRITTEN_PMCID = re.compile(
    r"(?<![0-9A-Za-z])PMC[\s:]?([1-9][0-9]{0,9})(?:\.[0-9]{1,2})?(?![0-9A-Za-z])", re.IGNORECASE
)
_PREPRINT_ID = re.compile(r"(?<![0-9A-Za-z])PPR[\s:]?([1-9][0-9]{0,9})(?![0-9A-Za-z])", re.IGNORECASE)
_OPENALEX = re.compile(r"(?:https?://(?:api\.)?openalex\.org/(?:works/)?)?(W[1-9][0-9]{0,11})", re.IGNORECASE)
_WEB_URL = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:[/?#]|$)")
_SHORT_DOI = re.compile(r"10\.[0-9]{1,3}/\S+")  # no registrant has one, but people's own records may
# SICIs hold <, > and ;, and some exports break them at a blank: "10.1002/(SICI)1097-0258(1998)17:15 <1661::AID…".
_SICI = r"10\.[0-9]{4,9}/[^\s<>]{4,80}\s?<[^<>\s]{1,60}>\s?[0-9]\.[0-9]\.[A-Za-z]{2}\s?;\s?[0-9](?:-[0-9A-Za-z#])?"
_ANY_DOI = re.compile(rf"(?:(?<![0-9A-Za-z.])|(?<=doi))(?:{_SICI}|10\.[0-9]{{4,9}}(?:\.[0-9]+)*/\S+)", re.IGNORECASE)
_NEXT_DOI = re.compile(r"(?<![,;|+])[,;|+]++(?=\S{0,60}?\b10\.[0-9]{4,9}/)")
_GLUED_TAG = re.compile(r"(?<!\s)\s*+[A-Z][A-Z0-9] {2}-(?: |$)")  # of the RIS lines that follow: "10.1/x  LK  - https:"
_CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#[0-9]{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
# What follows a DOI without a blank: "[doi]", markup, a quotation mark, the query or fragment of an address.
_DOI_TAIL = re.compile(
    r"[\[({<](?:doi|pii|electronic|print|online)\b.*$|</?(?:br|p|a|i|b|div|span|su[bp]|doi)\b.*$|[\"\u201d].*$"
    r"|\?(?:[\w.-]+=.*)?$|&[\w.-]+=.*$|#.*$",
    re.IGNORECASE,
)
_PAGE_TAIL = re.compile(  # of publishers' addresses
    r"/(?:full|fulltext|abstract|abs|e?pdf|pdfdirect|epub|meta|summary|references|citations?|html|xml|issuetoc|figures"
    r"|metrics|tables|related)(?:[/.].*)?$|\.(?:e?pdf|html?|full|abstract)(?:\..*)?$|(?<=[0-9])v[0-9]{1,2}(?:\..*)?$",
    re.IGNORECASE,
)
_RESOLVER = re.compile(r"doi[.-]org[^/\s]*/$", re.IGNORECASE)
_DOI_ADDRESS = re.compile(r"^(?:https?://)?(?:dx\.|www\.)?doi\.org/", re.IGNORECASE)
_DOI_PREFIX = re.compile(r"^doi:?\s*", re.IGNORECASE)
_DOI_LINE = re.compile(r"^[ \t]*(?:<p>)?doi\s*[:=]\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_NO_DOI = "10.1002/central/"  # addresses of CENTRAL, which are not registered
_PAIRS = {")": "(", "]": "[", "}": "{", ">": "<"}
_MARKS = ".,;:/'`\u2019\u201d\u00bb\u2026([{<"  # that end no DOI

# Sixteen digits in fours, whatever is between them: some records lack the dashes, some have blanks or long dashes.
_ORCID = re.compile(r"(?<![0-9])([0-9]{4})\W{0,3}([0-9]{4})\W{0,3}([0-9]{4})\W{0,3}([0-9]{3}[0-9Xx])(?![0-9])")


def parse_pmid(value: object) -> str | None:
    """Return the PMID of a field for PMIDs, as digits; None if there is none. Of several, the first counts.

    Numbers are read as programs and spreadsheets write them ("30,000,001", "3.0000001E7"), with the name of PubMed
    or MEDLINE before them, as an address, or in a list of the numbers of several databases.
    """
    if isinstance(value, str) and _PMID.fullmatch(value):
        return value
    return next(_find_pmids(value), None)


def find_pmids(value: object) -> tuple[str, ...]:
    """Return all PMIDs of a field for PMIDs, in order, each once."""
    return tuple(dict.fromkeys(_find_pmids(value)))


def _find_pmids(value: object) -> Iterator[str]:
    """Yield the PMIDs of a value: a number, a text, or a list of them."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _find_pmids(item)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, float):
        if math.isfinite(value) and value == int(value):
            yield from _find_pmids(str(int(value)))
    else:
        text = _INVISIBLE.sub("", str(value)).strip()
        if pmid := _read_pmid(text):
            yield pmid
        elif listed := [*_LISTED_PMID.findall(text), *_LINKED_PMID.findall(text)]:
            yield from listed
        else:
            yield from filter(None, map(_read_pmid, _LIST_MARK.split(text)))


def _read_pmid(text: str) -> str | None:
    """Return the PMID that a text consists of; None if it is anything else."""
    bare = _PMID_TAIL.sub("", text).strip(" \t\r\n\u00a0'\"`\u2019[]()<>{},;.|/")
    bare = _PMID_PREFIX.sub("", bare).strip(" \u00a0'\"[]()")
    if match := _PADDED_PMID.fullmatch(bare):
        return match[1]
    if _GROUPED_PMID.fullmatch(bare):
        digits = re.sub(r"[^0-9]", "", bare)
        return digits if _PMID.fullmatch(digits) else None
    if match := _SCIENTIFIC_PMID.fullmatch(bare):
        decimals, exponent = match[2] or "", int(match[4])
        is_whole = len(decimals) == exponent or not (match[3] or len(decimals) > exponent)
        is_exact = len(decimals) >= exponent or decimals == "0" or not decimals.endswith("0")
        return match[1] + decimals.ljust(exponent, "0") if decimals and is_whole and is_exact else None
    return None


def find_listed_pmid(text: str) -> str | None:
    """Return the PMID that stands after a name of PubMed or MEDLINE in a text; None without one."""
    listed = _LISTED_PMID.search(text)
    return listed[1] if listed else None


def find_noted_pmid(value: object) -> str | None:
    """Return the PMID of a note that has a line or a field "PMID: 123"; None without one or with different ones."""
    if not isinstance(value, str):
        return None
    numbers = _PMID_NOTE.findall(value)
    if _FIELD_LIST.match(value):
        numbers += _PMID_FIELD.findall(value)
    return numbers[0] if len(set(numbers)) == 1 else None


def find_linked_pmid(value: object) -> str | None:
    """Return the PMID of the first address of a record in PubMed, MEDLINE or Europe PMC in a text; None without one."""
    if not isinstance(value, str) or not any(map(value.lower().__contains__, _LINK_WORDS)):
        return None
    linked = _LINKED_PMID.search(value)
    return linked[1] if linked else None


def find_printed_id(text: str) -> str:
    r"""Return an id as it was printed where a copy has full-width characters, or other hyphens; "" if it has none.

    A DOI is joined at the ends of lines. Numbers are not: they may be two.

    >>> find_printed_id("10.1000/a\u20101\n23"), find_printed_id("\uff11\uff12"), find_printed_id("12")
    ('10.1000/a-123', '12', '')
    """
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text).replace("\r\n", "\n")).translate(_PRINTED)
    if "10." in plain:
        plain = "".join(line.strip() for line in plain.split("\n"))
    return plain if plain != text else ""


def strip_pmid(text: str) -> str:
    """Return a PMID, or a pattern of PMIDs, without "PMID:" or the address of its page before it."""
    return parse_pmid(text) or _PMID_PREFIX.sub("", text.strip()).removesuffix("/").strip()


def parse_doi(value: object) -> str | None:
    """Return the DOI of a field for DOIs, without the address or anything else around it; of several, the first.

    None for what can't be one.
    """
    if isinstance(value, str) and len(value) < MAX_ID - len("DOI:") and _PLAIN_DOI.fullmatch(value):
        return value
    return next(iter(find_dois(value)), None)


def find_dois(value: object) -> tuple[str, ...]:
    """Return all DOIs of a field for DOIs, in order, each once however its letters are written."""
    if isinstance(value, list | tuple):
        found = [doi for item in value for doi in find_dois(item)]
    elif not value or not isinstance(value, str):
        return ()
    elif len(value) < MAX_ID - len("DOI:") and _PLAIN_DOI.fullmatch(value):
        return (value,)
    else:
        text = _decode_address(_GLUED_TAG.split(_INVISIBLE.sub("", value).strip())[0])
        short = _strip_doi_prefix(text)
        found = [match[0]] if (match := _SHORT_DOI.match(short)) else list(_find_dois(text))
    usable = [doi for doi in found if doi.isprintable() and len(doi) < MAX_ID - len("DOI:")]
    first: dict[str, str] = {}
    for doi in usable:
        first.setdefault(doi.lower(), doi)
    return tuple(first.values())


def find_linked_dois(value: object) -> tuple[str, ...]:
    """Return the DOIs that stand inside addresses, or after "doi:", in a text or a list of texts."""
    texts = value if isinstance(value, list | tuple) else [value]
    return find_dois(
        [
            text
            for text in texts
            if isinstance(text, str) and ("/10." in text or re.search("doi[:/=]|%2f10", text, re.IGNORECASE))
        ]
    )


def find_noted_doi(value: object) -> str | None:
    """Return the DOI of a note that has a line "DOI: 10.…"; None where there is none."""
    noted = _DOI_LINE.search(value) if isinstance(value, str) else None
    return parse_doi(noted[1]) if noted else None


def _decode_address(text: str) -> str:
    """Return a text without the escapes of HTML and of addresses, which proxies may apply twice."""
    if "&" in text:
        text = _CHARACTER.sub(lambda match: html.unescape(match[0]), text)
    for _ in range(3):
        decoded = unquote(text) if _ESCAPED.search(text) else text
        if decoded == text or "\ufffd" in decoded:
            break
        text = decoded
    return text


def _find_dois(text: str) -> Iterator[str]:
    """Yield the DOIs of a text, each without what follows it."""
    for match in _ANY_DOI.finditer(_NEXT_DOI.sub(" ", text)):
        before = match.string[: match.start()].rsplit(maxsplit=1)[-1:] if match.start() else []
        address = before[0] if before and not match.string[match.start() - 1].isspace() else ""
        doi = _strip_doi_tail("".join(match[0].split()), is_page="/" in address and not _RESOLVER.search(address))
        if _DOI.fullmatch(doi) and not doi.lower().startswith(_NO_DOI):
            yield doi


def _strip_doi_tail(doi: str, *, is_page: bool) -> str:
    """Return a DOI without the marks, markup and parts of addresses after it."""
    doi = _DOI_TAIL.sub("", doi) if not re.search(";[0-9]-#$", doi) else doi
    if is_page:
        doi = _PAGE_TAIL.sub("", doi.rstrip("/"))
    while doi and (doi[-1] in _MARKS or doi.count(doi[-1]) > doi.count(_PAIRS.get(doi[-1], doi[-1]))):
        doi = doi[:-1]
    return doi


def parse_pmcid(text: str) -> str | None:
    """Return the first id of PubMed Central in a text; None where there is none.

    >>> parse_pmcid("https://pmc.ncbi.nlm.nih.gov/articles/PMC4740857/"), parse_pmcid("pmcid: pmc4740857.2")
    ('PMC4740857', 'PMC4740857')
    """
    match = _WRITTEN_PMCID.search(_INVISIBLE.sub("", text))
    return f"PMC{match[1]}" if match else None


def parse_preprint_id(text: str) -> str | None:
    """Return the first id that Europe PMC gives a preprint in a text; None where there is none.

    >>> parse_preprint_id("https://europepmc.org/article/PPR/PPR158972"), parse_preprint_id("PPR")
    ('PPR158972', None)
    """
    match = _PREPRINT_ID.search(_INVISIBLE.sub("", text))
    return f"PPR{match[1]}" if match else None


def parse_openalex_id(text: str) -> str | None:
    """Return the id of a work in OpenAlex, without the address before it; None for anything else.

    >>> parse_openalex_id("https://openalex.org/W2741809807"), parse_openalex_id("W. Smith, 2001")
    ('W2741809807', None)
    """
    match = _OPENALEX.fullmatch(text.strip())
    return match[1].upper() if match else None


def strip_doi(text: str) -> str:
    """Return a DOI, or a pattern of DOIs, without the address or "doi:" before it."""
    return parse_doi(text) or _strip_doi_prefix(text)


def _strip_doi_prefix(text: str) -> str:
    """Return a text without the address of doi.org or "doi:" before it."""
    return _DOI_PREFIX.sub("", strip_doi_address(text))


def strip_doi_address(text: str) -> str:
    """Return an id without the address of doi.org before it."""
    return _DOI_ADDRESS.sub("", text.strip())


def find_orcid(text: str) -> str:
    """Return the first ORCID of a text as "0000-0002-1825-0097", however it is written; "" where there is none."""
    digits = _ORCID.search(text)
    return "-".join(digits.groups()).upper() if digits else ""


def build_pubmed_url(pmid: str | None) -> str:
    """Return the address of a record in PubMed; "" for what is no PMID."""
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if pmid and _PMID.fullmatch(pmid) else ""


def build_pmc_url(pmcid: str) -> str:
    """Return the address of a full text in PubMed Central; "" for what is no PMCID."""
    return f"https://pmc.ncbi.nlm.nih.gov/articles/{pmcid}/" if _PMCID.fullmatch(pmcid) else ""


def find_web_url(urls: Iterable[str]) -> str:
    """Return the first address of the web, safe in HTML and Markdown; "" without one.

    >>> find_web_url(["javascript:alert(1)", "https://example.org/a b.pdf"])
    'https://example.org/a%20b.pdf'
    """
    found = next((url for url in urls if _WEB_URL.match(url)), "")
    return quote(found, safe=":/?#@!$&+,;=%~", errors="replace")


def build_doi_url(doi: str | None) -> str:
    """Return the address that a DOI stands for, safe in HTML and Markdown; "" for what is no DOI."""
    if not doi or not _DOI.fullmatch(doi):
        return ""
    return f"https://doi.org/{quote(doi, safe='/:;', errors='replace')}"
