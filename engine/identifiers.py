"""Identifiers of publications and people: how PMIDs, DOIs and ORCIDs are written, and the addresses they stand for."""

from __future__ import annotations

import math
import re
from urllib.parse import quote

MAX_ID = 255  # characters

_PMID = re.compile(r"[1-9][0-9]{0,8}")
_PMID_PREFIX = re.compile(
    r"^(?:PMID:?\s*|https?://(?:www\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed)/)", re.IGNORECASE
)
_PMID_NOTE = re.compile(r"^\s*(?:<p>)?PMID:\s*([1-9][0-9]{0,8})\b", re.IGNORECASE | re.MULTILINE)
_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]+)*/\S+")
_DOI_ADDRESS = re.compile(r"^(?:https?://)?(?:dx\.|www\.)?doi\.org/", re.IGNORECASE)
_DOI_PREFIX = re.compile(r"^doi:?\s*", re.IGNORECASE)
# Sixteen digits in fours, whatever is between them: some records lack the dashes, some have blanks or long dashes.
_ORCID = re.compile(r"(?<![0-9])([0-9]{4})\W{0,3}([0-9]{4})\W{0,3}([0-9]{4})\W{0,3}([0-9]{3}[0-9Xx])(?![0-9])")


def parse_pmid(value: object) -> str | None:
    """Return a PMID as digits, from a number or a text with or without a prefix or an address; None for others."""
    if value is None:
        return None
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    text = strip_pmid(str(value).strip().removesuffix(".0"))
    return text if _PMID.fullmatch(text) else None


def find_noted_pmid(value: object) -> str | None:
    """Return the PMID of a note that has a line "PMID: 123"; None where there is none."""
    noted = _PMID_NOTE.search(value) if isinstance(value, str) else None
    return noted.group(1) if noted else None


def strip_pmid(text: str) -> str:
    """Return a PMID, or a pattern of PMIDs, without "PMID:" or the address of its page before it."""
    return _PMID_PREFIX.sub("", text.strip()).removesuffix("/").strip()


def parse_doi(value: object) -> str | None:
    """Return a DOI without the address or "doi:" before it; None for what can't be one."""
    doi = strip_doi(str(value)) if value else ""
    return doi if doi.startswith("10.") and doi.isprintable() and len(doi) < MAX_ID - len("DOI:") else None


def strip_doi(text: str) -> str:
    """Return a DOI, or a pattern of DOIs, without the address or "doi:" before it."""
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


def build_doi_url(doi: str | None) -> str:
    """Return the address that a DOI stands for, safe in HTML and Markdown; "" for what is no DOI."""
    if not doi or not _DOI.fullmatch(doi):
        return ""
    return f"https://doi.org/{quote(doi, safe='/:;', errors='replace')}"
