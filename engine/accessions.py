"""Accession numbers: the numbers that databases and trial registers give their records, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.identifiers import find_listed_pmid, parse_pmid

# The forms of numbers that tell their database by themselves, each with the prefix that it gets.
_FORMS = tuple(
    (re.compile(form, re.IGNORECASE), prefix)
    for form, prefix in (
        (r"L\d{5,12}", "Embase:"),
        (r"CN-\d{6,10}", "CENTRAL:"),
        (r"2-s2\.0-\d{6,14}", "Scopus:"),
        (r"\d{4}-\d{5}-\d{3}", "PsycINFO:"),
        (r"E[JD]\d{6,8}", "ERIC:"),
        (r"ProQuest:\d{6,12}", ""),
    )
)
# The collections of Web of Science.
_COLLECTIONS = "WOS|BIOSIS|BCI|ZOOREC|CCC|KJD|SCIELO|RSCI|CSCD|CABI|FSTA|INSPEC|PQDT|DIIDW|PPRN|DRCI|ARCI|GRANTS|ISI"
_WEB_OF_SCIENCE = re.compile(rf"({_COLLECTIONS}):([0-9A-Z][0-9A-Z./-]{{5,30}})", re.IGNORECASE)
_BARE_WOS = re.compile(r"(?:000|001|A19)[0-9A-Z]{12}")
_REGISTERS = re.compile(
    r"NCT\d{8}|ISRCTN\d{6,8}|ACTRN\d{14}p?|ChiCTR[-A-Z]{0,8}\d{4,12}|CTRI/\d{4}/\d{2,3}/\d{6}|DRKS\d{8}|IRCT\d{8,}N\d+"
    r"|(?:JPRN-)?(?:UMIN(?:CTR)?\d{9}|C\d{9}|JapicCTI-?\d{6}|jRCTs?\d{8,10}|JMA-IIA\d{5})|KCT\d{7}|NTR\d{3,5}|NL\d{3,5}"
    r"|NL-OMON\d{4,6}|PACTR\d{12,16}|RBR-?[0-9a-z]{5,8}|RPCEC\d{8}|SLCTR/\d{4}/\d{3}|TCTR\d{11}|PER-\d{3}-\d{2}"
    r"|HKUCTR-\d{2,5}|LBCTR\d{6,12}|ITMCTR\d{8,12}|CRD42\d{9}",
    re.IGNORECASE,
)
_EUROPEAN = re.compile(r"(?:EU-?CTR|EudraCT)?[\s:#]*(20\d\d|19\d\d)-(\d{6})-(\d\d)(?:-[A-Z]{2,3})?", re.IGNORECASE)
_CTIS = re.compile(r"(?:CTIS|EU\s?CT)?[\s:#]*(20\d\d-5\d{5}-\d\d)(-\d\d)?", re.IGNORECASE)

# Names of databases in lower case, or the codes that Ovid and EBSCO have for them, and the prefix of their numbers.
_DATABASES = tuple(
    (re.compile(form), name)
    for form, name in (
        (r"embase|\bo?em(?:ed|ez|cz|ex|cr)[a-z0-9]{0,3}\b", "Embase"),
        (r"cinahl|\b(?:ccm|cin20|c8h|rzh|jlh|cul)\b", "CINAHL"),
        (r"psyc\w*\s?info|\bpsyc\d*\b|\bpsyh\b|psychological abstracts", "PsycINFO"),
        (r"psyc\w*\s?articles|\bpdh\b", "PsycARTICLES"),
        (r"\beric\b|education resources information", "ERIC"),
        (r"cochrane|^central$|controlled trials|\bcctr\b", "CENTRAL"),
        (r"biosis", "BIOSIS"),
        (r"zoological record|zoorec", "ZOOREC"),
        (r"web of science|web of knowledge|\bwos\b|science citation index|\bisi\b|sci-expanded", "WOS"),
        (r"scopus", "Scopus"),
        (r"\bamed\b|allied and complementary", "AMED"),
        (r"lilacs", "LILACS"),
        (r"global health|\bcagh\b", "GlobalHealth"),
        (r"cab abstracts|\bcaba\b", "CAB"),
        (r"sport\s?discus|\bs3h\b", "SPORTDiscus"),
        (r"pubmed central|\bpmc\b", ""),
        (r"ctgov|clinicaltrials\.gov|ictrp", ""),
    )
)
# MEDLINE under its names and the codes of Ovid and EBSCO. PubMed Central is none: its numbers are PMCIDs.
_MEDLINE = re.compile(
    r"medline|pubmed(?!\s*central)|\bnlm\b|\b(?:cmedm|mnh|mdc|mdl|mmh)\b"
    r"|\b(?:med(?:[0-9]{1,2}|[clpf]|all)|mesz|mesx|prem[a-z]?|ppez[a-z]?|pmnm[a-z]?|omez[a-z])\b"
)
_NUMBER = re.compile(r"[A-Za-z]{0,8}[-.]?\d[0-9A-Za-z./-]{4,24}")
_LABELLED = re.compile(r"([A-Za-z][A-Za-z .()-]{2,30}?)\s*(?::|\s|#|(?<=[a-z])(?=\d))\s*(\S*\d\S*)")
# A name of a database that is not listed above; hosts and publishers are none.
_OTHER_NAME = re.compile(
    r"(?!.*(?:ebsco|ovid|elsevier|wiley|springer|google|zotero|direct|\.[a-z]{2}))[a-z][a-z0-9 &-]{1,39}", re.I
)

_LINKS = tuple(
    (re.compile(form, re.IGNORECASE), prefix)
    for form, prefix in (
        (r"\b(2-s2\.0-\d{6,14})\b", "Scopus:"),
        (r"proquest\.com/(?:\S*?/)?docview/(\d{6,12})", "ProQuest:"),
        (r"embase\.com/\S*?[?&]id=(L\d{5,12})", "Embase:"),
        (r"\bU2 {2}- (L\d{5,12})", "Embase:"),  # Rayyan joins the lines of Embase's RIS to one cell
        (r"\b(CN-\d{6,10})\b", "CENTRAL:"),
        (rf"\b((?:{_COLLECTIONS})(?::|%3A)[0-9A-Z]{{6,30}})\b", ""),
        (r"eric\.ed\.gov/\S*?(E[JD]\d{6,8})", "ERIC:"),
        (r"clinicaltrials\.gov/\S*?(NCT\d{8})", ""),
        (r"isrctn\.com/(ISRCTN\d{6,8})", ""),
        (r"anzctr\.org\.au/\S*?(ACTRN\d{14})", ""),
        (r"drks\.de/\S*?(DRKS\d{8})", ""),
    )
)
# One of these is in every address that _LINKS match, or the name of a collection before a colon.
_LINK_WORDS = ("2-s2", "docview", "embase", "u2  -", "cn-", "eric.ed", "clinicaltrials", "isrctn", "anzctr", "drks")
_LINK_COLLECTION = re.compile(rf"(?:{_COLLECTIONS})(?::|%3A)", re.IGNORECASE)
# Ovid's and EBSCO's links name the database and the number: "…ovidweb.cgi?…&D=medp&…&AN=30000103".
_CATALOGUE_HOST = re.compile(r"ovid|ebsco", re.IGNORECASE)
_CATALOGUE_NUMBER = re.compile(r"[?&](?:AN|an)(?:=|%3D)([^&\s%]+)")
_CATALOGUE_NAME = re.compile(r"[?&](?:D|db)(?:=|%3D)([A-Za-z0-9]+)")


def is_medline(databases: Iterable[str]) -> bool:
    """Return whether the numbers of these databases are PMIDs: MEDLINE or PubMed, and not Embase with them."""
    names = " ".join(databases).lower()
    return _MEDLINE.search(names) is not None and "embase" not in names


def find_catalogue_link(text: str) -> tuple[str, str] | None:
    """Return (code of the database, number) of a link to Ovid or EBSCO; None for any other text.

    The code is "" where the link has none.
    """
    number = _CATALOGUE_NUMBER.search(text)
    if number is None or not _CATALOGUE_HOST.search(text):
        return None
    database = _CATALOGUE_NAME.search(text)
    return database[1] if database else "", number[1]


def parse_accession(value: object) -> str | None:
    """Return an accession number with the name of its database; None if its form is that of no known database.

    Numbers that bear the name of their database or register are kept ("WOS:000…", "NCT01234567"); "ISI:000…" is the
    older name of "WOS:000…".
    """
    text = str(value).strip().strip(".;,'\"<>[]()")
    if match := _WEB_OF_SCIENCE.fullmatch(text):
        return f"{match[1].upper().replace('ISI', 'WOS')}:{match[2].upper()}"
    if known := next((prefix + text for form, prefix in _FORMS if form.fullmatch(text)), None):
        return known
    if _REGISTERS.fullmatch(text):
        return text
    if match := _CTIS.fullmatch(text):
        return f"CTIS:{match[1]}{match[2] or ''}"
    return f"EudraCT:{'-'.join(match.groups())}" if (match := _EUROPEAN.fullmatch(text)) else None


def name_accession(text: str) -> str:
    """Return an accession number as record ids have it ("Embase:L620123456"), any other text unchanged."""
    return next(iter(read_accessions([text])), text.strip())


def read_accessions(values: Iterable[object], databases: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the accession numbers in fields for them, each once, numbers of trial registers last.

    Args:
        values: texts, each with one number or several, with or without the names of their databases.
        databases: that the record comes from: they name numbers that don't tell by themselves whose they are.
    """
    names = list(databases)
    found = [
        number
        for value in values
        for part in re.split(r"\s*[;,|\n]\s*", str(value).strip())
        if (number := _read_accession(part, names))
    ]
    return order_accessions(found)


def _read_accession(text: str, databases: list[str]) -> str | None:
    """Return one accession number; None for a PMID, or a number of which the database is not known."""
    if known := parse_accession(text):
        return known
    if match := _LABELLED.fullmatch(text):
        if known := parse_accession(match[2]):
            return known
        name = next((name for form, name in _DATABASES if form.search(match[1].lower())), "")
        return _name_number(name, match[2]) if name else None
    if not databases or is_medline(databases) or not _NUMBER.fullmatch(text):
        return None
    return _name_number(_choose_name(databases), text)


def _choose_name(databases: list[str]) -> str:
    """Return the prefix for numbers of these databases; "" if the name of none can be one."""
    known = [name for text in databases for form, name in _DATABASES if form.search(text.lower())]
    if known:
        return known[0]
    others = (re.split(r"\s*[<(\[;,]", text.strip())[0] for text in databases if not _MEDLINE.search(text.lower()))
    return next(("".join(other.split()) for other in others if _OTHER_NAME.fullmatch(other)), "")


def _name_number(database: str, number: str) -> str | None:
    """Return a number with its database before it, as the database itself writes it."""
    if database == "Embase" and number.isdigit() and len(number) < 10:
        number = f"L{number}"  # Ovid leaves the letter out; its numbers of ten digits are others
    if database == "Scopus" and number.isdigit():
        number = f"2-s2.0-{number}"
    if database == "WOS" and not _BARE_WOS.fullmatch(number):
        return None
    return f"{database}:{number}" if database and _NUMBER.fullmatch(number) else None


def list_unnamed(values: Iterable[str], databases: Iterable[str], pmid: str | None) -> list[str]:
    """Return the accession numbers of which the database is not known, as they came, without the PMID."""
    names = list(databases)
    return [
        value
        for value in values
        if not read_accessions([value], names)
        and (not pmid or pmid not in (parse_pmid(value), find_listed_pmid(value)))
    ]


def find_linked_accessions(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the accession numbers in addresses of records, each once, numbers of trial registers last."""
    texts = list(urls)
    if not _may_name_accession("\n".join(texts).lower(), len(texts)):
        return ()
    return order_accessions(
        parse_accession(f"{prefix}{match[1]}".replace("%3A", ":").replace("%3a", ":")) or f"{prefix}{match[1]}"
        for url in texts
        if _may_name_accession(url.lower(), 1)
        for form, prefix in _LINKS
        for match in form.finditer(url)
    )


def _may_name_accession(text: str, n_urls: int) -> bool:
    """Return whether these addresses, in lower case, may have an accession number: most are looked at once."""
    if any(map(text.__contains__, _LINK_WORDS)):
        return True
    return (text.count(":") > n_urls or "%3a" in text) and _LINK_COLLECTION.search(text) is not None


def order_accessions(numbers: Iterable[str]) -> tuple[str, ...]:
    """Return the numbers, each once, those of trial registers last: a work is more than its trial."""
    known = tuple(dict.fromkeys(numbers))
    return tuple(sorted(known, key=_is_of_trial)) if len(known) > 1 else known


def _is_of_trial(number: str) -> bool:
    """Return whether a number is that of a trial register."""
    return number.startswith(("EudraCT:", "CTIS:")) or _REGISTERS.fullmatch(number) is not None
