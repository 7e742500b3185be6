"""One loose row (column -> value) into an Abstract, forgiving about names and strict about identity."""

from __future__ import annotations

import ast
import hashlib
import math
import re
from collections.abc import Iterator, Mapping

from engine.records import Abstract, Entry, Rejection, Remark

# Accepted column names per field, best first; compared lowercased with everything but letters and digits removed.
COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "recordid", "docid", "key", "uid", "openalexid", "ut"),
    "pmid": ("pmid", "pubmedid", "medlinepmid", "pm"),
    "doi": ("doi", "doilink", "di"),
    "title": ("title", "articletitle", "primarytitle", "documenttitle", "ti", "name"),
    "abstract": ("abstract", "abstracttext", "text", "body", "notesabstract", "abstractnote", "ab"),
    "year": ("year", "publicationyear", "pubyear", "py", "publicationdate", "pubdate", "date"),
    "journal": ("journal", "journaltitle", "journalbook", "sourcetitle", "publicationtitle", "source", "so"),
    "authors": ("authors", "author", "authornames", "authorfullnames", "firstauthors", "au"),
    "mesh": ("mesh", "meshterms", "meshheadings"),
    "publication_types": ("publicationtypes", "publicationtype"),
    "retracted": ("retracted", "isretracted"),
}
IDENTITIES = ("id", "pmid", "doi")
NOTHING = {"", "na", "n/a", "nan", "none", "null", "-"}  # what R, pandas and people write for no value
MAX_ID = 255  # characters
PMID = re.compile(r"(?:PMID:?\s*)?([1-9][0-9]{0,8})", re.IGNORECASE)
YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
DOI_PREFIX = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", re.IGNORECASE)
SURROGATE = re.compile("[\ud800-\udfff]")
# UTF-8 read as Windows-1252: "â€‰", "Ã—", "Â°" and their kind.
MOJIBAKE = re.compile("â€|Ã[\u00a0-\u00bf\u0152-\u0178\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|Â[\u00a0-\u00bf]")

REPLACED = "characters that are not text (lone surrogates), stored as U+FFFD"
DAMAGED = "text looks wrongly decoded (mojibake), stored as it came"
BAD_PMID = "a PMID that is not one, left out"


class FieldError(ValueError):
    """A field that makes its record unusable."""


def column_field(name: str) -> str | None:
    """Name of the field that a column feeds, or None."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((field for field, names in COLUMNS.items() if plain in names), None)


def by_field(row: Mapping[str, object]) -> dict[str, object]:
    """Pick the best filled column of each field."""
    best: dict[str, tuple[int, object]] = {}
    for name, value in row.items():
        field = column_field(name)
        if field is None or is_missing(value, field):
            continue
        place = COLUMNS[field].index(re.sub(r"[^a-z0-9]", "", name.lower()))
        if field not in best or place < best[field][0]:
            best[field] = (place, value)
    return {field: value for field, (_, value) in best.items()}


def is_missing(value: object, field: str) -> bool:
    """Whether a value stands for none: null, empty text, NaN; where an identity belongs, blanks and "NA" too."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, str) and field in IDENTITIES:
        return value.strip().lower() in NOTHING
    return value is None or value == ""


def entries(row: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one row after its remarks, or one Rejection."""
    try:
        found = abstract_of(by_field(row))
    except FieldError as err:
        yield Rejection(source, place, str(err))
        return
    given = by_field(row).get("pmid")
    if given is not None and found.pmid is None:
        yield Remark(BAD_PMID, place)
    yield from repaired(found, place)


def repaired(found: Abstract, place: str) -> Iterator[Entry]:
    """Yield remarks on the text of an abstract, then the abstract in a form that UTF-8 can hold."""
    text = f"{found.title}\n{found.abstract}"
    if MOJIBAKE.search(text):
        yield Remark(DAMAGED, place)
    strings = (found.title, found.abstract, found.journal, *found.authors, *found.mesh)
    if any(SURROGATE.search(s) for s in strings):
        yield Remark(REPLACED, place)
    yield Abstract(
        record_id=found.record_id,
        title=storable(found.title),
        abstract=storable(found.abstract),
        year=found.year,
        journal=storable(found.journal),
        authors=tuple(map(storable, found.authors)),
        pmid=found.pmid,
        doi=found.doi,
        mesh=tuple(map(storable, found.mesh)),
        publication_types=tuple(map(storable, found.publication_types)),
        retracted=found.retracted,
    )


def storable(text: str) -> str:
    """The text itself, with lone surrogates (which UTF-8 can't hold) as U+FFFD."""
    return SURROGATE.sub("\ufffd", text)


def abstract_of(values: Mapping[str, object]) -> Abstract:
    """Build the record.

    Raises:
        FieldError: neither title nor abstract, or no usable id.
    """
    title, body = text_of(values, "title"), text_of(values, "abstract")
    if not title.strip() and not body.strip():
        raise FieldError("neither title nor abstract, so there is nothing to search")
    pmid, doi = pmid_of(values.get("pmid")), doi_of(values.get("doi"))
    return Abstract(
        record_id=record_id_of(values, pmid, doi, title, body),
        title=title,
        abstract=body,
        year=year_of(values.get("year")),
        journal=text_of(values, "journal"),
        authors=names_of(values.get("authors")),
        pmid=pmid,
        doi=doi,
        mesh=names_of(values.get("mesh")),
        publication_types=names_of(values.get("publication_types")),
        retracted=str(values.get("retracted", "")).strip().lower() in {"1", "true", "yes", "1.0"},
    )


def record_id_of(values: Mapping[str, object], pmid: str | None, doi: str | None, title: str, body: str) -> str:
    """The source's own id, else PMID:n, else DOI:…, else a digest of the text.

    Raises:
        FieldError: an id that can't be one, or a PMID that can't be one and nothing else to go by.
    """
    if "id" in values:
        return own_id(values["id"])
    if pmid:
        return f"PMID:{pmid}"
    if doi:
        return own_id(f"DOI:{doi}")
    if "pmid" in values:
        raise FieldError(f"PMID {str(values['pmid'])[:40]!r} is not a number from 1 to 999999999, and there is no id")
    return "TEXT:" + hashlib.sha256(f"{title}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def own_id(value: object) -> str:
    """An id of the source as text: 12 and 12.0 and "12" are the same.

    Raises:
        FieldError: not text or a number, blank, too long, or with control characters.
    """
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FieldError(f"id {str(value)[:40]!r} is not text or a whole number")
    text = str(value).strip()
    if not text or len(text) > MAX_ID or not text.isprintable():
        raise FieldError(f"id {text[:40]!r} is blank, longer than {MAX_ID} characters or has control characters")
    return text


def text_of(values: Mapping[str, object], field: str) -> str:
    """A text field as it came; "" when missing.

    Raises:
        FieldError: a list, an object or a truth value where text belongs.
    """
    value = values.get(field, "")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FieldError(f"{field} is {type(value).__name__}, expected text")
    return str(value)


def pmid_of(value: object) -> str | None:
    """A PubMed id as digits, or None when it is not one."""
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    found = PMID.fullmatch(str(value).strip().removesuffix(".0"))
    return found.group(1) if found else None


def doi_of(value: object) -> str | None:
    """A DOI without the address before it, or None for what can't be one."""
    doi = DOI_PREFIX.sub("", str(value or "").strip())
    return doi if doi.startswith("10.") and doi.isprintable() and len(doi) < MAX_ID - len("DOI:") else None


def year_of(value: object) -> int | None:
    """The first year from 1500 to 2099 in a number or a date, or None."""
    found = YEAR.search(str(value or ""))
    return int(found.group(1)) if found else None


def names_of(value: object) -> tuple[str, ...]:
    """Names from a list, from a list written as text, or from text with ; or | between them."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = [value]
    if isinstance(value, str):
        value = re.split(r"\s*[;|]\s*", value)
    if not isinstance(value, list | tuple):
        return ()
    names = (full_name(v) if isinstance(v, Mapping) else v for v in value)
    return tuple(str(name).strip() for name in names if name is not None and str(name).strip())


def full_name(author: Mapping[str, object]) -> str:
    """Name of an author given as an object: its name, or given and family name as Crossref has them."""
    return str(author.get("name") or " ".join(str(author[key]) for key in ("given", "family") if author.get(key)))
