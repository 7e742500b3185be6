"""Loose values (field -> value) into an Abstract, forgiving about form and strict about identity."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace

from engine.collect.columns import by_field
from engine.collect.identity import FieldError, orcids_of, record_id_of
from engine.identifiers import find_noted_pmid, parse_doi, parse_pmid
from engine.records.abstract import Abstract, Entry, Notice, Rejection, Remark

YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
# UTF-8 read as Windows-1252: "â€‰", "Ã—", "Â°" and their kind.
MOJIBAKE = re.compile("â€|Ã[\u00a0-\u00bf\u0152-\u0178\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|Â[\u00a0-\u00bf]")
SURROGATE = re.compile("[\ud800-\udfff]")
CITATION = re.compile(r"(?P<journal>.+?) \((?P<year>1[5-9]\d\d|20\d\d)\)")  # Embase: "Cancer (2004) 102:4 (253-258). …"
OUTER_COMMA = re.compile(r"\s*,\s*(?![^()]*\))")  # Embase qualifies its terms: "cyst (diagnosis, surgery)"
RETRACTED_TYPES = {"retracted publication", "retracted article", "retracted"}
NOTICE_TYPES = {
    "retraction of publication": Notice.IS_RETRACTION,
    "retraction notice": Notice.IS_RETRACTION,
    "retraction": Notice.IS_RETRACTION,
    "published erratum": Notice.IS_ERRATUM,
    "erratum": Notice.IS_ERRATUM,
    "correction": Notice.IS_ERRATUM,
    "expression of concern": Notice.IS_CONCERN,
}

REPLACED = "characters that are not text (lone surrogates), stored as U+FFFD"
DAMAGED = "text looks wrongly decoded (mojibake), stored as it came"
BAD_PMID = "a PMID that is not one, left out"


def entries(row: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one row (column -> value) after its remarks, or one Rejection."""
    yield from entries_of(by_field(row), source, place)


def entries_of(values: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract made of the values of its fields after its remarks, or one Rejection."""
    try:
        found = abstract_of(values)
    except FieldError as err:
        yield Rejection(source, place, str(err))
        return
    if found.pmid is None and "pmid" in values:
        yield Remark(BAD_PMID, place)
    yield from repaired(found, place)


def repaired(found: Abstract, place: str) -> Iterator[Entry]:
    """Yield remarks on the text of an abstract, then the abstract in a form that UTF-8 can hold."""
    text = f"{found.title}\n{found.abstract}"
    if not text.isascii() and ("â" in text or "Ã" in text or "Â" in text) and MOJIBAKE.search(text):
        yield Remark(DAMAGED, place)
    if not is_storable(found):
        yield Remark(REPLACED, place)
        found = storable(found)
    yield found


def texts(found: Abstract) -> tuple[tuple[str, ...], ...]:
    """All the text of a record, whatever UTF-8 might not hold."""
    return (
        (found.title, found.abstract, found.journal, found.vernacular_title),
        *(found.authors, found.mesh, found.publication_types, found.keywords, found.languages, found.other_abstracts),
    )


def is_storable(found: Abstract) -> bool:
    """Whether UTF-8 can hold every text of the record, which it can't where a surrogate stands alone."""
    text = "".join(map("".join, texts(found)))
    return text.isascii() or SURROGATE.search(text) is None


def storable(found: Abstract) -> Abstract:
    """The record with lone surrogates as U+FFFD."""
    clean: dict[str, object] = {}
    for field in dataclass_fields(found):
        value = getattr(found, field.name)
        if isinstance(value, str):
            clean[field.name] = SURROGATE.sub("\ufffd", value)
        elif isinstance(value, tuple):
            clean[field.name] = tuple(SURROGATE.sub("\ufffd", item) for item in value)
    return replace(found, **clean)  # type: ignore[arg-type]


def abstract_of(values: Mapping[str, object]) -> Abstract:
    """Build the record.

    Raises:
        FieldError: neither title nor abstract, or no usable id.
    """
    title, body = text_of(values, "title"), text_of(values, "abstract")
    if not title.strip() and not body.strip():
        raise FieldError("neither title nor abstract, so there is nothing to search")
    get = values.get
    cited = CITATION.match(str(get("citation", "")))
    pmid = parse_pmid(get("pmid")) or find_noted_pmid(get("extra"))
    doi = parse_doi(get("doi"))
    types = names_of(get("publication_types"))
    kinds = {kind.lower() for kind in types}
    notices = {NOTICE_TYPES[kind] for kind in kinds & NOTICE_TYPES.keys()}
    return Abstract(
        record_id=record_id_of(values, pmid, doi, title, body),
        title=title,
        abstract=body,
        year=year_of(get("year")) or (int(cited["year"]) if cited else None),
        journal=text_of(values, "journal") or (cited["journal"] if cited else str(get("citation", ""))),
        authors=authors_of(values),
        pmid=pmid,
        doi=doi,
        mesh=names_of(get("mesh")),
        publication_types=types,
        retracted=is_true(get("retracted")) or not kinds.isdisjoint(RETRACTED_TYPES),
        keywords=unique([*terms_of(get("keywords")), *terms_of(get("more_keywords"))]),
        languages=terms_of(get("languages")),
        vernacular_title=str(get("vernacular_title", "")),
        other_abstracts=others_of(get("other_abstracts")),
        orcids=orcids_of(get("orcids")),
        notices=tuple(sorted(notices.union(given_notices(get("notices"))))),
        revised=str(get("revised", "")),
    )


def text_of(values: Mapping[str, object], field: str) -> str:
    """A text field as it came; "" when missing.

    Raises:
        FieldError: a list, an object or a truth value where text belongs.
    """
    value = values.get(field, "")
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"{field} is {type(value).__name__}, expected text")
    return str(value)


def year_of(value: object) -> int | None:
    """The first year from 1500 to 2099 in a number or a date, or None."""
    found = YEAR.search(str(value or ""))
    return int(found.group(1)) if found else None


def is_true(value: object) -> bool:
    """Whether a cell says yes."""
    return value is not None and str(value).strip().lower() in {"1", "true", "yes", "1.0"}


def names_of(value: object) -> tuple[str, ...]:
    """Names from a list, from a list written as text, or from text with ; or | between them."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = listed(value)
    if not isinstance(value, list | tuple):
        return ()
    names = (full_name(v) if isinstance(v, Mapping) else v for v in value)
    return tuple(str(name).strip() for name in names if name is not None and str(name).strip())


def listed(text: str) -> object:
    """A list written as text, as a list."""
    if text.startswith("["):
        try:
            return ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return [text]
    return re.split(r"\s*[;|]\s*", text)


def terms_of(value: object) -> tuple[str, ...]:
    """Terms, each once, as names_of reads them; text without ; or | is split at the commas outside parentheses."""
    if isinstance(value, str) and not re.search(r"[;|]|^\[", value):
        value = OUTER_COMMA.split(value)
    return unique(names_of(value))


def authors_of(values: Mapping[str, object]) -> tuple[str, ...]:
    """The authors, however they were given."""
    closed = values.get("closed_byline")  # PubMed's, which ends with a full stop
    if isinstance(closed, str):
        return byline_of(closed.strip().removesuffix("."))
    return names_of(values.get("authors")) or byline_of(values.get("byline"))


def byline_of(value: object) -> tuple[str, ...]:
    """Authors from one line with commas between them, as Embase writes it: "Liu R., Adler D.G."."""
    return tuple(filter(None, re.split(r"\s*[,;]\s*", value.strip()))) if isinstance(value, str) else names_of(value)


def full_name(author: Mapping[str, object]) -> str:
    """Name of what is given as an object: its name, or given and family name as Crossref has them."""
    name = author.get("name") or author.get("display_name") or author.get("keyword")
    return str(name or " ".join(str(author[key]) for key in ("given", "family") if author.get(key)))


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """The items in order, each once, blanks left out."""
    return tuple(dict.fromkeys(filter(None, items)))


def others_of(value: object) -> tuple[str, ...]:
    """Abstracts beside the main one, labelled where they came without a label."""
    return (f"[original] {value}",) if isinstance(value, str) and value.strip() else names_of(value)


def given_notices(value: object) -> tuple[Notice, ...]:
    """Notices that a reader found itself."""
    return tuple(item for item in value if isinstance(item, Notice)) if isinstance(value, list | tuple | set) else ()
