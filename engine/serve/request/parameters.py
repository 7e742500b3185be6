"""The options as parameters of a request, within the limits of a server: requests are read and checked by them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine import options
from engine.errors import UsageError
from engine.options import QueryOption, ValueKind
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

WHOLE = re.compile(r"-?[0-9]{1,15}")
FLAGS = {"true": True, "false": False, "1": True, "0": False, "on": True}
_LENGTHS = {"q": MAX_TEXT, "where": MAX_WHERE}  # characters, of others MAX_VALUE
_HIGHEST = {"n": MAX_HITS, "offset": MAX_DEPTH - 1}
NUMBERS = (ValueKind.INTEGER, ValueKind.NUMBER)
BOOLEANS = (ValueKind.SWITCH, ValueKind.EITHER)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name that may be given, and what may stand behind it."""

    name: str
    help: str
    kind: ValueKind = ValueKind.TEXT
    most: int = 1  # times it may be given
    low: float = -math.inf  # of a number
    high: float = math.inf
    length: int = MAX_VALUE  # characters of a text
    choices: tuple[str, ...] = ()
    default: str | int | None = None
    required: bool = False


def _build_parameter(option: QueryOption) -> Parameter:
    """Return an option as a parameter, within the limits of a request."""
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
FILTERS = tuple(map(_build_parameter, options.FILTERS))
RECORD = (INDEX, Parameter("id", "A record id, PMID or DOI.", required=True))
SEARCH = (INDEX, *QUESTION, *RANKING, *FILTERS)


class RequestValues:
    """What a request gives of some parameters, checked."""

    def __init__(self, pairs: Iterable[tuple[str, str]], allowed: Sequence[Parameter]) -> None:
        """Read names and values; a value without ink counts as not given.

        Raises:
            UsageError: an unknown name, a value that can't be, or too many.
        """
        known = {parameter.name: parameter for parameter in allowed}
        self.values: dict[str, list[str]] = {}
        for n, (name, value) in enumerate(pairs):
            if n >= MAX_VALUES:
                raise UsageError(f"the request has more than {MAX_VALUES:,} parameters. Ask for less at once")
            if name not in known:
                raise UsageError(options.describe_unknown(name, list(known)))
            if value.strip():
                _check_value(known[name], value)
                self.values.setdefault(name, []).append(value)
        for parameter in allowed:
            _check_number_of(parameter, len(self.values.get(parameter.name, ())))

    def get_texts(self, name: str) -> tuple[str, ...]:
        """All values of a parameter, in the order given."""
        return tuple(self.values.get(name, ()))

    def get_text(self, name: str) -> str:
        """The value of a parameter; "" where there is none."""
        return next(iter(self.values.get(name, ())), "")

    def get_whole(self, name: str, default: int = 0) -> int:
        """A whole number."""
        return int(self.get_text(name).strip() or default)

    def number(self, name: str) -> float | None:
        """A number; None where there is none."""
        return float(text) if (text := self.get_text(name).strip()) else None

    def flag(self, name: str) -> bool | None:
        """True or false; None where nothing is given."""
        return FLAGS[text.lower()] if (text := self.get_text(name).strip()) else None

    def read_fields(self, wanted: Iterable[QueryOption]) -> dict[str, Any]:
        """Return the fields of Query or Filters that the request gives, with their values."""
        return {option.field: self.read_value(option) for option in wanted if option.name in self.values}

    def read_value(self, option: QueryOption) -> Any:
        """Return the value of an option that is given."""
        if option.kind.is_repeatable:
            return self.get_texts(option.name)
        if option.kind in BOOLEANS:
            return self.flag(option.name)
        if option.kind is ValueKind.INTEGER:
            return self.get_whole(option.name)
        if option.kind is ValueKind.NUMBER:
            return self.number(option.name)
        text = self.get_text(option.name)
        return next((choice for choice in option.choices if choice == text), text)


def _check_number_of(parameter: Parameter, n: int) -> None:
    """Refuse a parameter given too often, or not at all where it must be.

    Raises:
        UsageError: so it is.
    """
    if n > parameter.most:
        raise UsageError(f"{parameter.name} is given {n:,} times, expected {parameter.most:,} at most")
    if parameter.required and not n:
        raise UsageError(f"{parameter.name} is missing: {parameter.help}")


def _check_value(parameter: Parameter, text: str) -> None:
    """Refuse a value that the parameter can't have.

    Raises:
        UsageError: says what was expected.
    """
    if len(text) > parameter.length:
        found = f"{parameter.name} has {len(text):,} characters"
        raise UsageError(f"{found}, expected {parameter.length:,} at most")
    if parameter.choices and text not in parameter.choices:
        raise UsageError(f"{parameter.name} is {text[:80]!r}, expected one of {', '.join(parameter.choices)}")
    if parameter.kind in BOOLEANS and text.strip().lower() not in FLAGS:
        raise UsageError(f"{parameter.name} is {text[:80]!r}, expected true or false")
    if parameter.kind in NUMBERS and not _is_in_range(parameter, text.strip()):
        what = "a whole number" if parameter.kind is ValueKind.INTEGER else "a number"
        raise UsageError(
            f"{parameter.name} is {text[:80]!r}, expected {what} from {parameter.low:,g} to {parameter.high:,g}"
        )


def _is_in_range(parameter: Parameter, text: str) -> bool:
    """Whether a text is a number that the parameter may have."""
    if parameter.kind is ValueKind.INTEGER and not WHOLE.fullmatch(text):
        return False
    try:
        return parameter.low <= float(text) <= parameter.high  # never true of NaN
    except ValueError:
        return False
