"""Fields of tagged records, read by one table per format: which tags feed a field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.collect.values.authors import split_authors
from engine.collect.values.dates import choose_published, read_year
from engine.collect.values.fields import drop_repeats, split_terms
from engine.collect.values.tags import list_other_tags, read_issns, read_links
from engine.identifiers import parse_doi

_NUMBERS = re.compile(r"\d+")
Tagged = Sequence[tuple[str, str]]  # (tag, value) in the order of the file


@dataclass(frozen=True, slots=True)
class TagTable:
    """The tags of a format."""

    source: str  # name of the format in other_tags
    fields: Mapping[str, tuple[str, ...]]  # field -> its tags, best first
    dropped: frozenset[str] = frozenset()  # tags that say nothing about the work
    defaults: frozenset[tuple[str, str]] = frozenset()  # (tag, value) of nearly every record, which says nothing


def read_tag_fields(tagged: Tagged, table: TagTable) -> dict[str, object]:
    """Return the values of one record (field -> value). Fields without a value are left out.

    A list takes the values of all its tags, but authors those of the first tag that has any; a text takes the first.
    """
    groups: dict[str, list[str]] = {}
    for tag, text in tagged:
        if text:
            groups.setdefault(tag, []).append(text)
    values: dict[str, object] = {}
    for field, tags in table.fields.items():
        found = [groups[tag] for tag in tags if tag in groups]
        if found:
            texts = found[0] if field in _OF_FIRST_TAG else [text for group in found for text in group]
            values[field] = _READERS.get(field, _get_first)(texts)
    year = read_year([*_list(values.get("year")), *_list(values.get("published"))])
    if dates := [*_list(values.get("published")), *_list(values.get("year"))]:
        values["published"] = choose_published(dates, year)
        values["year"] = year or dates
    return {field: value for field, value in values.items() if value}


def list_left_tags(tagged: Tagged, values: Mapping[str, object], table: TagTable) -> list[str]:
    """Return "Name TAG: text" for each value that none of the fields holds."""
    checked: dict[str, tuple[str, ...]] = {}
    for field, tags in table.fields.items():
        for tag in tags:
            checked[tag] = (*checked.get(tag, ()), "published" if field == "year" else field)
    whole = {tag for field in _WHOLE for tag in table.fields.get(field, ()) if checked[tag] == (field,)}
    kept = (
        (tag, text)
        for tag, text in tagged
        if (tag, text) not in table.defaults and not (tag in table.fields["published"] and _is_date_held(text, values))
    )
    held = {**values, "doi": parse_doi(values.get("doi"))}
    return list_other_tags(kept, held, source=table.source, read=whole | table.dropped, checked=checked)


def _is_date_held(text: str, values: Mapping[str, object]) -> bool:
    """Return whether the date of a record is the date in a text, which may lack the year."""
    date = choose_published([text], values.get("year"))
    return bool(date) and str(values.get("published", "")).startswith(date) and len(_NUMBERS.findall(text)) < 4


def _get_first(texts: list[str]) -> str:
    """Return the first text."""
    return texts[0]


def _list(value: object) -> list[object]:
    """Return the items of a list; none for no value."""
    return list(value) if isinstance(value, list | tuple) else []


def _join_lines(texts: list[str]) -> str:
    """Return the texts, each once, one a line."""
    return "\n".join(drop_repeats(texts))


def _join_names(texts: list[str]) -> tuple[str, ...]:
    """Return the names in these texts, each of which may hold several."""
    return tuple(name for text in texts for name in split_authors(text.rstrip("; ")))


def _join_terms(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the terms in these texts, each once, without the star of a major topic."""
    return drop_repeats(
        term.removeprefix("*").strip() for text in texts for term in (split_terms(text) if ";" in text else (text,))
    )


_READERS: dict[str, Callable[[list[str]], object]] = {
    "abstract": _join_lines,
    "rights": _join_lines,
    "authors": _join_names,
    "issns": read_issns,
    "urls": read_links,
    **dict.fromkeys(("mesh", "keywords", "languages", "publication_types", "labels"), _join_terms),
    **dict.fromkeys(
        ("year", "published", "affiliations", "cited_ids", "databases", "accession", "notes", "pmid", "doi"), list
    ),
}
_OF_FIRST_TAG = ("authors", "title")
# Fields that hold all values of their tags, so that none is left.
_WHOLE = (
    *("abstract", "issns", "mesh", "keywords", "languages", "publication_types", "labels", "affiliations"),
    *("authors", "cited_ids", "databases", "accession", "notes", "pmid"),
)
