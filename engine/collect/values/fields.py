"""Loose values (field -> value) into an Abstract, forgiving about form and strict about identity."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace

from engine.collect.values.columns import choose_columns
from engine.collect.values.identity import FieldError, normalise_orcids, record_id_of
from engine.identifiers import find_noted_pmid, parse_doi, parse_pmid
from engine.records.abstract import Abstract, Entry, Notice, Rejection, Remark

YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
# UTF-8 read as Windows-1252: "â€‰", "Ã—", "Â°" and their kind.
MOJIBAKE = re.compile("â€|Ã[\u00a0-\u00bf\u0152-\u0178\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|Â[\u00a0-\u00bf]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CITATION = re.compile(
    r"(?P<journal>.+?) \((?P<year>1[5-9]\d\d|20\d\d)\)"
)  # Embase: "Cancer (2004) 102:4 (253-258). …"
_OUTER_COMMA = re.compile(r"\s*,\s*(?![^()]*\))")  # Embase qualifies its terms: "cyst (diagnosis, surgery)"
_RETRACTED_TYPES = {"retracted publication", "retracted article", "retracted"}
_NOTICE_TYPES = {
    "retraction of publication": Notice.IS_RETRACTION,
    "retraction notice": Notice.IS_RETRACTION,
    "retraction": Notice.IS_RETRACTION,
    "published erratum": Notice.IS_ERRATUM,
    "erratum": Notice.IS_ERRATUM,
    "correction": Notice.IS_ERRATUM,
    "expression of concern": Notice.IS_CONCERN,
}

_REPLACED = "characters that are not text (lone surrogates), stored as U+FFFD"
DAMAGED = "text looks wrongly decoded (mojibake), stored as it came"
_BAD_PMID = "a PMID that is not one, left out"


def build_entries(row: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of one row (column -> value) after its remarks, or one Rejection."""
    yield from build_abstract_entries(choose_columns(row), source, place)


def build_abstract_entries(values: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract made of the values of its fields after its remarks, or one Rejection."""
    try:
        found = _build_abstract(values)
    except FieldError as err:
        yield Rejection(source, place, str(err))
        return
    if found.pmid is None and "pmid" in values:
        yield Remark(_BAD_PMID, place)
    yield from _repair_text(found, place)


def _repair_text(found: Abstract, place: str) -> Iterator[Entry]:
    """Yield remarks on the text of an abstract, then the abstract in a form that UTF-8 can hold."""
    text = f"{found.title}\n{found.abstract}"
    if not text.isascii() and ("â" in text or "Ã" in text or "Â" in text) and MOJIBAKE.search(text):
        yield Remark(DAMAGED, place)
    if not _is_storable(found):
        yield Remark(_REPLACED, place)
        found = _replace_surrogates(found)
    yield found


def _join_texts(found: Abstract) -> tuple[tuple[str, ...], ...]:
    """All the text of a record, whatever UTF-8 might not hold."""
    return (
        (found.title, found.abstract, found.journal, found.vernacular_title),
        *(found.authors, found.mesh, found.publication_types, found.keywords, found.languages, found.other_abstracts),
    )


def _is_storable(found: Abstract) -> bool:
    """Whether UTF-8 can hold every text of the record, which it can't where a surrogate stands alone."""
    text = "".join(map("".join, _join_texts(found)))
    return text.isascii() or _SURROGATE.search(text) is None


def _replace_surrogates(found: Abstract) -> Abstract:
    """The record with lone surrogates as U+FFFD."""
    clean: dict[str, object] = {}
    for field in dataclass_fields(found):
        value = getattr(found, field.name)
        if isinstance(value, str):
            clean[field.name] = _SURROGATE.sub("\ufffd", value)
        elif isinstance(value, tuple):
            clean[field.name] = tuple(_SURROGATE.sub("\ufffd", item) for item in value)
    return replace(found, **clean)  # type: ignore[arg-type]


def _build_abstract(values: Mapping[str, object]) -> Abstract:
    """Build the record.

    Raises:
        FieldError: neither title nor abstract, or no usable id.
    """
    title, body = _read_text_field(values, "title"), _read_text_field(values, "abstract")
    if not title.strip() and not body.strip():
        raise FieldError("neither title nor abstract, so there is nothing to search")
    get = values.get
    cited = _CITATION.match(str(get("citation", "")))
    pmid = parse_pmid(get("pmid")) or find_noted_pmid(get("extra"))
    doi = parse_doi(get("doi"))
    types = split_names(get("publication_types"))
    kinds = {kind.lower() for kind in types}
    notices = {_NOTICE_TYPES[kind] for kind in kinds & _NOTICE_TYPES.keys()}
    return Abstract(
        record_id=record_id_of(values, pmid, doi, title, body),
        title=title,
        abstract=body,
        year=read_year(get("year")) or (int(cited["year"]) if cited else None),
        journal=_read_text_field(values, "journal") or (cited["journal"] if cited else str(get("citation", ""))),
        authors=_read_authors(values),
        pmid=pmid,
        doi=doi,
        mesh=split_names(get("mesh")),
        publication_types=types,
        retracted=_is_true(get("retracted")) or not kinds.isdisjoint(_RETRACTED_TYPES),
        keywords=drop_repeats([*_split_terms(get("keywords")), *_split_terms(get("more_keywords"))]),
        languages=_split_terms(get("languages")),
        vernacular_title=str(get("vernacular_title", "")),
        other_abstracts=_label_others(get("other_abstracts")),
        orcids=normalise_orcids(get("orcids")),
        notices=tuple(sorted(notices.union(_read_notices(get("notices"))))),
        revised=str(get("revised", "")),
    )


def _read_text_field(values: Mapping[str, object], field: str) -> str:
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


def read_year(value: object) -> int | None:
    """The first year from 1500 to 2099 in a number or a date, or None."""
    found = YEAR.search(str(value or ""))
    return int(found.group(1)) if found else None


def _is_true(value: object) -> bool:
    """Whether a cell says yes."""
    return value is not None and str(value).strip().lower() in {"1", "true", "yes", "1.0"}


def split_names(value: object) -> tuple[str, ...]:
    """Names from a list, from a list written as text, or from text with ; or | between them."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = parse_list(value)
    if not isinstance(value, list | tuple):
        return ()
    names = (_join_name(v) if isinstance(v, Mapping) else v for v in value)
    return tuple(str(name).strip() for name in names if name is not None and str(name).strip())


def parse_list(text: str) -> object:
    """A list written as text, as a list."""
    if text.startswith("["):
        try:
            return ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return [text]
    return re.split(r"\s*[;|]\s*", text)


def _split_terms(value: object) -> tuple[str, ...]:
    """Terms, each once, as names_of reads them; text without ; or | is split at the commas outside parentheses."""
    if isinstance(value, str) and not re.search(r"[;|]|^\[", value):
        value = _OUTER_COMMA.split(value)
    return drop_repeats(split_names(value))


def _read_authors(values: Mapping[str, object]) -> tuple[str, ...]:
    """The authors, however they were given."""
    closed = values.get("closed_byline")  # PubMed's, which ends with a full stop
    if isinstance(closed, str):
        return _split_byline(closed.strip().removesuffix("."))
    return split_names(values.get("authors")) or _split_byline(values.get("byline"))


def _split_byline(value: object) -> tuple[str, ...]:
    """Authors from one line with commas between them, as Embase writes it: "Liu R., Adler D.G."."""
    return tuple(filter(None, re.split(r"\s*[,;]\s*", value.strip()))) if isinstance(value, str) else split_names(value)


def _join_name(author: Mapping[str, object]) -> str:
    """Name of what is given as an object: its name, or given and family name as Crossref has them."""
    name = author.get("name") or author.get("display_name") or author.get("keyword")
    return str(name or " ".join(str(author[key]) for key in ("given", "family") if author.get(key)))


def drop_repeats(items: Iterable[str]) -> tuple[str, ...]:
    """The items in order, each once, blanks left out."""
    return tuple(dict.fromkeys(filter(None, items)))


def _label_others(value: object) -> tuple[str, ...]:
    """Abstracts beside the main one, labelled where they came without a label."""
    return (f"[original] {value}",) if isinstance(value, str) and value.strip() else split_names(value)


def _read_notices(value: object) -> tuple[Notice, ...]:
    """Notices that a reader found itself."""
    return tuple(item for item in value if isinstance(item, Notice)) if isinstance(value, list | tuple | set) else ()
