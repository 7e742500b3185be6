"""The id of a record: PMID, DOI, accession number, the source's own id, or failing all of them its text."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping

from engine.identifiers import MAX_ID, find_orcid

# How the databases write their accession numbers, each with the name that goes before it.
_ACCESSIONS = (
    (re.compile(r"L\d{5,12}"), "Embase:"),
    (re.compile(r"CN-\d{6,10}"), "CENTRAL:"),
    (re.compile(r"WOS:[0-9A-Z]{10,20}"), ""),
    (re.compile(r"2-s2\.0-\d{6,14}"), "Scopus:"),
    (re.compile(r"\d{4}-\d{5}-\d{3}"), "PsycINFO:"),
    (re.compile(r"ProQuest:\d{6,12}"), ""),
)


class FieldError(ValueError):
    """A field that makes its record unusable."""


def record_id_of(values: Mapping[str, object], pmid: str | None, doi: str | None, title: str, body: str) -> str:
    """The source's own id, else PMID:n, DOI:… in small letters, accession number, key; else a digest of the text.

    Raises:
        FieldError: an id that can't be one, or a PMID that can't be one and nothing else to go by.
    """
    if "id" in values:
        return _normalise_own_id(values["id"])
    if pmid:
        return f"PMID:{pmid}"
    if doi:
        return _normalise_own_id(
            f"DOI:{doi.lower()}"
        )  # DOIs are the same whatever their case, and exports differ in it
    if "accession" in values and (known := normalise_accession(values["accession"])):
        return known
    if "key" in values:
        return _normalise_own_id(values["key"])
    if "pmid" in values:
        raise FieldError(f"PMID {str(values['pmid'])[:40]!r} is not a number from 1 to 999999999, and there is no id")
    return "TEXT:" + hashlib.sha256(f"{title}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _normalise_own_id(value: object) -> str:
    """An id of the source as text: 12 and 12.0 and "12" are the same, an OpenAlex address is its last part.

    Raises:
        FieldError: not text or a number, blank, too long, or with control characters.
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
    """A number of a known database with the name of the database, or None: a bare number is of no known one."""
    text = str(value).strip()
    return next((name + text for form, name in _ACCESSIONS if form.fullmatch(text)), None)


def normalise_orcids(value: object) -> tuple[str, ...]:
    """ORCID ids in their written form, "" where there is none; or none at all when nobody has one."""
    if not isinstance(value, list | tuple):
        return ()
    written = tuple(find_orcid(str(item or "")) for item in value)
    return written if any(written) else ()
