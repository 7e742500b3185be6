"""Search options as request parameters, with the limits of the server, and the check of requests against them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine import options
from engine.errors import UsageError
from engine.options import QueryOption, ValueKind
from engine.references.writers.bibliography import STYLES
from engine.serve.http.limits import (
    MAX_DEPTH,
    MAX_EXAMPLES,
    MAX_HITS,
    MAX_IDS,
    MAX_NAMES,
    MAX_TEXT,
    MAX_VALUE,
    MAX_VALUES,
    MAX_WHERE,
)

_DIGITS = 15  # of a whole number
WHOLE = re.compile(rf"-?[0-9]{{1,{_DIGITS}}}")
LARGEST_WHOLE = 10**_DIGITS - 1
FLAGS = {"true": True, "false": False, "1": True, "0": False, "on": True}
_LENGTHS = {"q": MAX_TEXT, "where": MAX_WHERE}  # characters; MAX_VALUE for all others
_HIGHEST = {"n": MAX_HITS, "offset": MAX_DEPTH - 1}
NUMBERS = (ValueKind.INTEGER, ValueKind.NUMBER)
BOOLEANS = (ValueKind.SWITCH, ValueKind.EITHER)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A request parameter and its limits."""

    name: str
    help: str
    kind: ValueKind = ValueKind.TEXT
    most: int = 1  # maximum number of values
    low: float = -math.inf  # smallest number
    high: float = math.inf  # largest number
    length: int = MAX_VALUE  # maximum number of characters of a text
    choices: tuple[str, ...] = ()
    default: str | int | None = None
    required: bool = False


def _build_parameter(option: QueryOption) -> Parameter:
    """Return an option as a parameter with the limits of the server."""
    most = {ValueKind.IDS: MAX_IDS if option in options.FILTERS else MAX_EXAMPLES}.get(option.kind, MAX_NAMES)
    is_shown = option.kind in (ValueKind.CHOICE, ValueKind.INTEGER)
    return Parameter(
        option.name,
        option.help,
        option.kind,
        most=most if option.kind.is_repeatable else 1,
        low=option.low,
        high=_HIGHEST.get(option.name, option.high),
        length=_LENGTHS.get(option.name, MAX_VALUE),
        choices=option.choices,
        default=option.default if is_shown else None,
    )


INDEX = Parameter("i", "Name of the index; by default the first one served.")
QUESTION = tuple(map(_build_parameter, options.QUESTION))
RANKING = tuple(map(_build_parameter, options.RANKING))
SIMILAR_RANKING = tuple(map(_build_parameter, options.SIMILAR_RANKING))
FILTERS = tuple(map(_build_parameter, options.FILTERS))
QUERY = (*QUESTION, *RANKING, *FILTERS)
RECORD = (INDEX, Parameter("id", "A record id, PMID or DOI.", required=True))
CITED_RECORD = (*RECORD, Parameter("cite", "Give its reference in this style, too.", choices=tuple(STYLES)))
SEARCH = (INDEX, *QUERY)


class RequestValues:
    """The checked values of the parameters of a request."""

    def __init__(self, pairs: Iterable[tuple[str, str]], allowed: Sequence[Parameter]) -> None:
        """Read names and values; blank values are ignored.

        Raises:
            UsageError: an unknown name, an invalid value, too many values, or a missing required parameter.
        """
        known = {parameter.name: parameter for parameter in allowed}
        self.values: dict[str, list[str]] = {}
        for n, (name, value) in enumerate(pairs):
            if n >= MAX_VALUES:
                raise UsageError(f"the request has too many parameters, expected {MAX_VALUES:,} at most")
            if name not in known:
                raise UsageError(options.describe_unknown(name, list(known)))
            if value.strip():
                _check_value(known[name], value)
                self.values.setdefault(name, []).append(value)
        for parameter in allowed:
            _check_number_of(parameter, len(self.values.get(parameter.name, ())))

    def get_texts(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter, in the order given."""
        return tuple(self.values.get(name, ()))

    def get_text(self, name: str) -> str:
        """Return the first value of a parameter; "" without a value."""
        return next(iter(self.values.get(name, ())), "")

    def get_whole(self, name: str) -> int:
        """Return the value of a parameter as a whole number; 0 without a value."""
        return int(self.get_text(name).strip() or 0)

    def get_number(self, name: str) -> float | None:
        """Return the value of a parameter as a number; None without a value."""
        return float(text) if (text := self.get_text(name).strip()) else None

    def get_flag(self, name: str) -> bool | None:
        """Return the value of a parameter as a boolean; None without a value."""
        return FLAGS[text.lower()] if (text := self.get_text(name).strip()) else None

    def read_fields(self, query_options: Iterable[QueryOption]) -> dict[str, Any]:
        """Return the fields of Query or Filters that the request sets, with their values."""
        return {option.field: self.read_value(option) for option in query_options if option.name in self.values}

    def read_value(self, option: QueryOption) -> Any:
        """Return the value of an option that the request sets."""
        if option.kind.is_repeatable:
            return self.get_texts(option.name)
        if option.kind in BOOLEANS:
            return self.get_flag(option.name)
        if option.kind is ValueKind.INTEGER:
            return self.get_whole(option.name)
        if option.kind is ValueKind.NUMBER:
            return self.get_number(option.name)
        text = self.get_text(option.name)
        return next((choice for choice in option.choices if choice == text), text)


def _check_number_of(parameter: Parameter, n: int) -> None:
    """Check how many values a parameter has.

    Raises:
        UsageError: too many values, or none for a required parameter.
    """
    if n > parameter.most:
        raise UsageError(f"{parameter.name} has {n:,} values, expected {parameter.most:,} at most")
    if parameter.required and not n:
        raise UsageError(f"{parameter.name} is missing: {parameter.help}")


def check_kind(parameter: Parameter, value: object) -> None:
    """Check that a value of a JSON object is what the schema of its parameter says; its limits are not checked.

    Raises:
        UsageError: it is not.
    """
    kinds = (bool,) if parameter.kind in BOOLEANS else (int, float) if parameter.kind in NUMBERS else (str,)
    items = value if isinstance(value, list) else [value]
    is_right = isinstance(value, list) == (parameter.most > 1) and all(
        isinstance(item, kinds) and isinstance(item, bool) == (kinds == (bool,)) for item in items
    )
    if not is_right:
        noun = {bool: "true or false", int: "a number", str: "a text"}[kinds[0]]
        found = json.dumps(value)[:80]
        raise UsageError(f"{parameter.name} is {found}, expected {'a list of texts' if parameter.most > 1 else noun}")


def _check_value(parameter: Parameter, text: str) -> None:
    """Check a value against the kind and the limits of its parameter.

    Raises:
        UsageError: an invalid value; the message says what was expected.
    """
    if len(text) > parameter.length:
        raise UsageError(f"{parameter.name} has {len(text):,} characters, expected {parameter.length:,} at most")
    if parameter.choices and text not in parameter.choices:
        raise UsageError(f"{parameter.name} is {text[:80]!r}, expected one of {', '.join(parameter.choices)}")
    if parameter.kind in BOOLEANS and text.strip().lower() not in FLAGS:
        raise UsageError(f"{parameter.name} is {text[:80]!r}, expected true or false")
    if parameter.kind in NUMBERS and not _is_in_range(parameter, text.strip()):
        noun = "a whole number" if parameter.kind is ValueKind.INTEGER else "a number"
        raise UsageError(
            f"{parameter.name} is {text[:80]!r}, expected {noun} from {parameter.low:,g} to {parameter.high:,g}"
        )


def _is_in_range(parameter: Parameter, text: str) -> bool:
    """Return whether a text is a number within the range of the parameter."""
    if parameter.kind is ValueKind.INTEGER and not WHOLE.fullmatch(text):
        return False
    try:
        return parameter.low <= float(text) <= parameter.high  # never true of NaN
    except ValueError:
        return False
