"""Filters in words, as a sentence about a search lists them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from engine.options import FILTERS, Filters, QueryOption, ValueKind
from engine.phrases import pluralize

_LISTED = 10  # ids that are spelled out; of a longer list the first and the last are


def describe_filters(filters: Filters) -> Iterator[str]:
    """Yield each filter that is set in words that follow "limited to"."""
    for option in FILTERS:
        value = getattr(filters, option.field)
        if value == option.default:
            continue
        if option.kind is ValueKind.EITHER:
            yield option.words[value]
        else:
            yield option.words[0].format(_describe_value(option, value))


def _describe_value(option: QueryOption, value: Any) -> str:
    """Return the value of a filter for reading."""
    if option.kind is ValueKind.YEARS:
        return " or ".join(map(_describe_span, value))
    if option.kind is ValueKind.IDS:
        return _describe_ids(value)
    return " or ".join(map(_quote_value, value if option.kind is ValueKind.NAMES else [value]))


def _describe_span(years: tuple[int | None, int | None]) -> str:
    """Return a range of years for reading."""
    first, last = years
    if first is None:
        return "of any time" if last is None else f"up to {last}"
    if last is None:
        return f"{first} to present"
    return str(first) if first == last else f"{first} to {last}"


def _quote_value(text: str) -> str:
    """Return a value in quotation marks."""
    return f"\u201c{text}\u201d"


def _describe_ids(given: Sequence[str]) -> str:
    """Return a list of record ids for reading, shortened if it is long."""
    if len(given) <= _LISTED:
        return f"{pluralize(len(given), 'record')}: {', '.join(given)}" if given else "no record"
    return f"{pluralize(len(given), 'record')}: {given[0]} to {given[-1]}, all of them in the search record"
