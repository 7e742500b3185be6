"""Conversion of loose values (field -> value) to an Abstract: lenient about form, strict about ids."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import Any

from engine.collect.values.dates import choose_published, read_year
from engine.collect.values.identity import Identity, find_identity, is_missing, normalise_orcids
from engine.collect.values.labels import split_labels
from engine.collect.values.rights import split_rights
from engine.records.abstract import LIST_FIELDS, TEXT_FIELDS, Abstract, Entry, Notice, Rejection, Remark

# UTF-8 read as Windows-1252: "â€‰", "Ã—", "Â°" and the like.
MOJIBAKE = re.compile("â€|Ã[\u00a0-\u00bf\u0152-\u0178\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|Â[\u00a0-\u00bf]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Embase: "Cancer (2004) 102:4 (253-258). …"
_CITATION = re.compile(r"(?P<journal>.+?) \((?P<year>1[5-9]\d\d|20\d\d)\)")
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

_PLAIN_TEXTS = ("volume", "issue", "pages", "publisher", "place", "pmcid", "rights")
_PLAIN_LISTS = (
    "issns",
    "urls",
    "affiliations",
    "cited_ids",
    "databases",
    "accessions",
    "labels",
    "notes",
    "other_tags",
)
_WHOLE = ("notes", "other_tags")  # lists whose text is not split
_get_texts, _get_lists = attrgetter(*TEXT_FIELDS), attrgetter(*LIST_FIELDS)
_REPLACED = "invalid characters (lone surrogates), stored as U+FFFD"
DAMAGED = "text looks wrongly decoded (mojibake), stored unchanged"
_BAD_YEAR = "invalid year, ignored"
_NO_TEXT = "title or abstract that is not text, ignored"


def build_abstract_entries(values: Mapping[str, object], source: str, place: str) -> Iterator[Entry]:
    """Yield the abstract of these values (field -> value) after its remarks, or one Rejection."""
    title, body = _read_text_field(values.get("title")), _read_text_field(values.get("abstract"))
    if not title.strip() and not body.strip():
        yield Rejection(source, place, _explain_no_text(values))
        return
    text, notice = split_rights(body)
    if notice and (title.strip() or text.strip()):
        known = _read_plain_text(values.get("rights"))
        body, values = text, {**values, "abstract": text, "rights": "\n".join(drop_repeats([known, notice]))}
    identity = find_identity(values)
    abstract = _build_abstract(values, identity, title, body)
    if any(not is_missing(values.get(name)) and not text for name, text in (("title", title), ("abstract", body))):
        yield Remark(_NO_TEXT, place)
    if abstract.year is None and any(not is_missing(date) for date in _list_dates(values, "year")):
        yield Remark(_BAD_YEAR, place)
    yield from (Remark(kind, place) for kind in identity.remarks)
    yield from _repair_text(abstract, place)


def _explain_no_text(values: Mapping[str, object]) -> str:
    """Return the reason why a record can't be used: it has no text, or something else in its place."""
    for name in ("title", "abstract"):
        value = values.get(name)
        if not isinstance(value, str) and not is_missing(value):
            return f"{name} is {type(value).__name__}, expected text"
    return "neither title nor abstract, so there is nothing to search"


def _repair_text(abstract: Abstract, place: str) -> Iterator[Entry]:
    """Yield remarks on the text of an abstract, then the abstract without lone surrogates."""
    text = f"{abstract.title}\n{abstract.abstract}"
    if not text.isascii() and ("â" in text or "Ã" in text or "Â" in text) and MOJIBAKE.search(text):
        yield Remark(DAMAGED, place)
    if not _is_storable(abstract):
        yield Remark(_REPLACED, place)
        abstract = _replace_surrogates(abstract)
    yield abstract


def _is_storable(abstract: Abstract) -> bool:
    """Return whether UTF-8 can encode every text of the record: none has a lone surrogate."""
    text = "".join([*_get_texts(abstract), *chain.from_iterable(_get_lists(abstract))])
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _replace_surrogates(abstract: Abstract) -> Abstract:
    """Return the record with U+FFFD for each lone surrogate."""
    clean: dict[str, object] = {}
    for field in dataclass_fields(abstract):
        value = getattr(abstract, field.name)
        if isinstance(value, str):
            clean[field.name] = _SURROGATE.sub("\ufffd", value)
        elif isinstance(value, tuple):
            clean[field.name] = tuple(_SURROGATE.sub("\ufffd", item) for item in value)
    return replace(abstract, **clean)  # type: ignore[arg-type]


def _build_abstract(values: Mapping[str, object], identity: Identity, title: str, body: str) -> Abstract:
    """Build the record."""
    get = values.get
    cited = _CITATION.match(str(get("citation", "")))
    types = split_names(get("publication_types"))
    kinds = {kind.lower() for kind in types}
    notices = {_NOTICE_TYPES[kind] for kind in kinds & _NOTICE_TYPES.keys()}
    plain: dict[str, Any] = {name: _read_plain_text(get(name)) for name in _PLAIN_TEXTS}
    plain |= {name: _read_plain_list(name, get(name)) for name in _PLAIN_LISTS}
    plain["notes"], labels = split_labels(plain["notes"])
    plain["labels"] = drop_repeats([*plain["labels"], *labels])
    plain["accessions"] = identity.accessions
    plain["other_tags"] = drop_repeats([*plain["other_tags"], *identity.others])
    dates = [*_list_dates(values, "year"), *_list_dates(values, "published")]
    year = read_year(dates) or (int(cited["year"]) if cited else None)
    journal = _read_text_field(get("journal")) or (cited["journal"] if cited else str(get("citation", "")))
    authors = _read_authors(values)
    return Abstract(
        record_id=identity.build_record_id(title, body, (year, *authors[:1], journal)),
        title=title,
        abstract=body,
        year=year,
        journal=journal,
        authors=authors,
        pmid=identity.pmid,
        doi=identity.doi,
        mesh=split_names(get("mesh")),
        publication_types=types,
        retracted=_is_true(get("retracted")) or not kinds.isdisjoint(_RETRACTED_TYPES),
        keywords=drop_repeats([*split_terms(get("keywords")), *split_terms(get("more_keywords"))]),
        languages=split_terms(get("languages")),
        vernacular_title=str(get("vernacular_title", "")),
        other_abstracts=_label_others(get("other_abstracts")),
        orcids=normalise_orcids(get("orcids")),
        notices=tuple(sorted(notices.union(_read_notices(get("notices"))))),
        revised=str(get("revised", "")),
        published=choose_published([*_list_dates(values, "published"), *dates], year),
        **plain,
    )


def _read_plain_text(value: object) -> str:
    """Return a text or a number as text, without blanks at its ends; "" for anything else."""
    if value is None:
        return ""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _read_plain_list(field: str, value: object) -> tuple[str, ...]:
    """Return the items of a list, each once; a note is one item, whatever marks it holds."""
    if value is None:
        return ()
    if field in _WHOLE and isinstance(value, str):
        value = [value]
    return drop_repeats(split_names(value))


def _read_text_field(value: object) -> str:
    """Return a text unchanged, a number as text, the texts of a list as one; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _list_dates(values: Mapping[str, object], field: str) -> list[object]:
    """Return the dates of a field, which may be one or a list."""
    value = values.get(field)
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_true(value: object) -> bool:
    """Return whether a cell means yes."""
    return value is not None and str(value).strip().lower() in {"1", "true", "yes", "1.0"}


def split_names(value: object) -> tuple[str, ...]:
    """Return the names in a list, in a list written as text, or in text with ; or | between the names."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = parse_list(value)
    if not isinstance(value, list | tuple):
        return ()
    names = (v if isinstance(v, str) else _join_name(v) if isinstance(v, Mapping) else v for v in value)
    return tuple(text for name in names if name is not None and (text := str(name).strip()))


def parse_list(text: str) -> object:
    """Parse a list written as text: "[…]", or items with ; or | between them."""
    if text.startswith("["):
        try:
            return ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return [text]
    return re.split(r"\s*[;|]\s*", text)


def split_terms(value: object) -> tuple[str, ...]:
    """Return terms as split_names does, each once; text without ; or | is split at commas outside parentheses."""
    if isinstance(value, str) and not re.search(r"[;|]|^\[", value):
        value = _OUTER_COMMA.split(value)
    return drop_repeats(split_names(value))


def _read_authors(values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the authors, in whatever form the source has them."""
    closed = values.get("closed_byline")  # PubMed's, ends with a full stop
    if isinstance(closed, str):
        return _split_byline(closed.strip().removesuffix("."))
    return split_names(values.get("authors")) or _split_byline(values.get("byline"))


def _split_byline(value: object) -> tuple[str, ...]:
    """Split a line of authors at the commas, as Embase writes it: "Liu R., Adler D.G."."""
    return tuple(filter(None, re.split(r"\s*[,;]\s*", value.strip()))) if isinstance(value, str) else split_names(value)


def _join_name(author: Mapping[str, object]) -> str:
    """Return the name in an object: its name, or given and family name as in Crossref."""
    name = author.get("name") or author.get("display_name") or author.get("keyword")
    return str(name or " ".join(str(author[key]) for key in ("given", "family") if author.get(key)))


def drop_repeats(items: Iterable[str]) -> tuple[str, ...]:
    """Return the items in order, each once, without empty ones."""
    return tuple(dict.fromkeys(filter(None, items)))


def _label_others(value: object) -> tuple[str, ...]:
    """Return the other abstracts, with the label [original] for one that has none."""
    return (f"[original] {value}",) if isinstance(value, str) and value.strip() else split_names(value)


def _read_notices(value: object) -> tuple[Notice, ...]:
    """Return the notices in a list; other values give none."""
    return tuple(item for item in value if isinstance(item, Notice)) if isinstance(value, list | tuple | set) else ()
