"""CSL-JSON, which Zotero, pandoc and citation processors read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.collect.values.export import CSL_TEXTS, MARK
from engine.identifiers import build_doi_url, build_pubmed_url
from engine.records.abstract import Abstract
from engine.references.values.beside import describe_standing, is_date, is_issn
from engine.references.values.citation import Cited
from engine.references.values.fields import dump_line, list_abstract_fields
from engine.references.values.names import is_group, parse_name
from engine.references.writers.objects import write_array

_TYPES = {
    "book": "book",
    "book chapter": "chapter",
    "book-chapter": "chapter",
    "conference paper": "paper-conference",
    "proceedings paper": "paper-conference",
    "academic dissertation": "thesis",
    "dissertation": "thesis",
    "thesis": "thesis",
}


def write_csl(cited: Iterable[Cited], title: str) -> Iterator[str]:
    """Yield the pieces of one CSL-JSON array, an item a line.

    "custom" holds for the engine's own reader what CSL has no variable for, so that a record is read back with all its
    fields.
    """
    yield from write_array(dump_line(_build_item(one)) for one in cited)


def _build_item(cited: Cited) -> dict[str, Any]:
    """Return one record as a CSL item, without empty variables."""
    record = cited.record
    standing = ("RETRACTED" if record.retracted else "", describe_standing(cited))
    item: dict[str, Any] = {
        "id": record.record_id,
        "type": _choose_type(record),
        **{name: getattr(record, field) for name, field in CSL_TEXTS.items()},
        "author": [_build_name(author) for author in record.authors],
        "issued": _build_date(record),
        "ISSN": "; ".join(number for number in record.issns if is_issn(number)),
        "ISBN": "; ".join(number for number in record.issns if not is_issn(number)),
        "URL": next(iter(record.urls), build_pubmed_url(record.pmid) or build_doi_url(record.doi)),
        "keyword": "; ".join([*record.mesh, *record.keywords]),
        "language": "; ".join(record.languages),
        "genre": "; ".join(record.publication_types),
        "source": "; ".join(record.databases),
        "annote": "\n".join(record.notes),
        "note": "; ".join(filter(None, standing)),
        "custom": {MARK: _list_left_over(record)},
    }
    return {name: value for name, value in item.items() if value}


def _choose_type(record: Abstract) -> str:
    """Return the type of an item: an article unless the record says otherwise."""
    kinds = (_TYPES.get(kind.lower()) for kind in record.publication_types)
    return next(filter(None, kinds), "article-journal")


def _build_name(author: str) -> dict[str, str]:
    """Return a name in its parts; a group, or a name without parts, as a literal."""
    family, _, rest = parse_name(author).written.partition(", ")
    given, _, suffix = rest.partition(", ")
    if is_group(author) or not given:
        return {"literal": author}
    return {"family": family, "given": given} | ({"suffix": suffix} if suffix else {})


def _build_date(record: Abstract) -> Mapping[str, object]:
    """Return the date of publication, as exact as it is known; an empty one where it is unknown."""
    if is_date(record.published):
        return {"date-parts": [[int(part) for part in record.published.split("-")]]}
    return {"date-parts": [[record.year]]} if record.year else {}


def _list_left_over(record: Abstract) -> dict[str, Any]:
    """Return the fields that are not a text variable of their own, without empty ones."""
    fields = list_abstract_fields(record)
    left = {name: value for name, value in fields.items() if value and name not in CSL_TEXTS.values()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in left.items()}
