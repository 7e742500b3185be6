"""Names of bibliographic databases and trial registers, and how to recognise them in what exports say."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Database:
    """A database or register that records were exported from."""

    name: str
    is_register: bool = False  # of studies, not of reports


# (name, pattern in a database field, a format or the name of a file); the first that matches counts.
_DATABASES = (
    ("Europe PMC", r"europe\W?pmc|epmc"),
    ("PubMed", r"pubmed|nbib"),
    ("Embase", r"embase|\b(emed|emez)\d*\b"),
    ("CENTRAL", r"cochrane|\bcentral\b"),
    ("CINAHL", r"cinahl|\b(ccm|rzh|jlh)\b"),
    ("APA PsycInfo", r"\bpsych?\W?info\b|\bpsyh\w*\b"),
    ("MEDLINE", r"medline|\b(cmedm|mdc|ppez\w*|medall|medl)\b"),
    ("Web of Science", r"web\W?of\W?(science|knowledge)|\b(wos|isi|savedrecs)\b|science citation index"),
    ("Scopus", r"scopus"),
    ("Google Scholar", r"google\W?scholar|\bpop(cites)?\b|publish or perish"),
    ("OpenAlex", r"openalex"),
    ("Dimensions", r"dimensions"),
    ("Lens", r"\b(the\W)?lens(\.org)?\b|lens\W?export"),
    ("ERIC", r"\beric\b"),
    ("LILACS", r"lilacs"),
    ("IEEE Xplore", r"ieee"),
    ("ACM Digital Library", r"\bacm\b"),
    ("bioRxiv and medRxiv", r"(bio|med)rxiv"),
    ("arXiv", r"arxiv"),
    ("Semantic Scholar", r"semantic\W?scholar"),
    ("ProQuest", r"proquest"),
    ("BIOSIS", r"biosis"),
    ("CAB Abstracts", r"\bcab\W?(abstracts|direct)\b"),
    ("Zoological Record", r"zoological\W?record|zoorec"),
    ("AMED", r"\bamed\b"),
    ("PEDro", r"\bpedro\b"),
)
_REGISTERS = (
    ("ClinicalTrials.gov", r"clinical\W?trials\W?gov|ctgov|\bct\.gov\b|\bctg\W?studies\b"),
    ("ICTRP", r"\bictrp"),
    ("ISRCTN", r"isrctn"),
    ("EU Clinical Trials Register", r"eudract|euctr|eu clinical trials|\bctis\b"),
    ("ANZCTR", r"anzctr"),
    ("ChiCTR", r"chictr"),
    ("DRKS", r"\bdrks"),
    ("UMIN-CTR", r"\bumin"),
    ("jRCT", r"\bjrct"),
    ("CTRI", r"\bctri\b"),
    ("PROSPERO", r"prospero"),
)
_PATTERNS = tuple(
    (Database(name, is_register), re.compile(pattern, re.IGNORECASE))
    for is_register, rows in ((True, _REGISTERS), (False, _DATABASES))
    for name, pattern in rows
)
# Formats that only one database gives.
_FORMATS = {
    "PubMed XML": "PubMed",
    "MEDLINE": "PubMed",
    "PubMed text": "PubMed",
    "Cochrane": "CENTRAL",
    "Web of Science": "Web of Science",
    "OpenAlex": "OpenAlex",
}


def _name_database(text: str) -> Database | None:
    """Return the database that a text names; None if it names none that is known.

    >>> _name_database("Ovid MEDLINE(R) ALL <1946 to 2024>").name, _name_database("ctgov_2024.csv").is_register
    ('MEDLINE', True)
    """
    plain = text.replace("_", " ")
    return next((database for database, pattern in _PATTERNS if pattern.search(plain)), None)


def guess_database(origins: tuple[str, ...], file: str, kind: str) -> Database:
    """Return the database of a file: what most of its records name, else what its name or format says.

    A file of an unknown database is a database of its own, with its name.

    origins: what its records name, most frequent first. kind: its format.
    """
    named = next((name_origin(origin) for origin in origins), None)
    by_format = Database(_FORMATS[kind]) if kind in _FORMATS else _name_database(kind)
    return named or _name_database(file) or by_format or Database(file)


def name_origin(origin: str) -> Database:
    """Return the database that a record names; an unknown one keeps its name."""
    return _name_database(origin) or Database(origin.strip())
