"""Record ids: the source's own id, a PMID, a DOI, an accession number or a digest of the text."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping

from engine.identifiers import MAX_ID, find_orcid

# The forms of accession numbers, each with the prefix it gets in a record id.
_ACCESSIONS = (
    (re.compile(r"L\d{5,12}"), "Embase:"),
    (re.compile(r"CN-\d{6,10}"), "CENTRAL:"),
    (re.compile(r"WOS:[0-9A-Z]{10,20}"), ""),
    (re.compile(r"2-s2\.0-\d{6,14}"), "Scopus:"),
    (re.compile(r"\d{4}-\d{5}-\d{3}"), "PsycINFO:"),
    (re.compile(r"ProQuest:\d{6,12}"), ""),
)


SCOPUS_ID = re.compile(r"\b2-s2\.0-\d{6,14}\b")  # inside a link


class FieldError(ValueError):
    """A field that makes its record unusable."""


def choose_record_id(values: Mapping[str, object], pmid: str | None, doi: str | None, title: str, body: str) -> str:
    """Return the id of a record: the source's own, else PMID, DOI, accession number, key or a digest of the text.

    A PMID is "PMID:n", a DOI "DOI:…" in lower case, a digest "TEXT:" with 16 hexadecimal digits.

    Raises:
        FieldError: the source's id is invalid, or its PMID is invalid and there is no other id.
    """
    if "id" in values:
        return _normalise_own_id(values["id"])
    if pmid:
        return f"PMID:{pmid}"
    if doi:
        return _normalise_own_id(f"DOI:{doi.lower()}")  # DOIs ignore case, and exports differ in it
    if "accession" in values and (known := normalise_accession(values["accession"])):
        return known
    if "key" in values:
        return _normalise_own_id(values["key"])
    if "pmid" in values:
        raise FieldError(f"PMID {str(values['pmid'])[:40]!r} is not a number from 1 to 999999999, and there is no id")
    return "TEXT:" + hashlib.sha256(f"{title}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _normalise_own_id(value: object) -> str:
    """Return an id of the source as text: 12, 12.0 and "12" are the same; of an OpenAlex address only the last part.

    Raises:
        FieldError: the id is not text or a whole number, is blank or too long, or has control characters.
    """
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FieldError(f"id {str(value)[:40]!r} is not text or a whole number")
    text = str(value).strip().removeprefix("https://openalex.org/")
    if not text or len(text) > MAX_ID or not text.isprintable():
        raise FieldError(f"id {text[:40]!r} is blank, longer than {MAX_ID} characters or has control characters")
    return text


def normalise_accession(value: object) -> str | None:
    """Return an accession number with the name of its database; None if it has the form of no known database."""
    text = str(value).strip()
    return next((name + text for form, name in _ACCESSIONS if form.fullmatch(text)), None)


def normalise_orcids(value: object) -> tuple[str, ...]:
    """Return ORCIDs in their usual form, "" for an author without one; an empty tuple if no author has one."""
    if not isinstance(value, list | tuple):
        return ()
    orcids = tuple(find_orcid(str(item or "")) for item in value)
    return orcids if any(orcids) else ()
