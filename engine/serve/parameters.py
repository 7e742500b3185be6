"""What can be asked over HTTP: one table, from which requests are read and the OpenAPI document is made."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from engine.errors import UsageError
from engine.queries import Fusion, Mode
from engine.serve.limits import (
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


class Kind(StrEnum):
    """What a value is."""

    TEXT = "string"
    WHOLE = "integer"
    NUMBER = "number"
    FLAG = "boolean"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name that may be given, and what may stand behind it."""

    name: str
    help: str
    kind: Kind = Kind.TEXT
    most: int = 1  # times it may be given
    low: float = -math.inf  # of a number
    high: float = math.inf
    length: int = MAX_VALUE  # characters of a text
    choices: tuple[str, ...] = ()
    default: str | int | None = None
    required: bool = False


INDEX = Parameter("i", "Name of an index; the first one that is served where none is given.")
TEXT = Parameter("q", "What is looked for, in your own words.", length=MAX_TEXT)
IDS = "record ids, PMIDs or DOIs"
LIKE = Parameter("like", f"Hits should be like these records: {IDS}.", most=MAX_EXAMPLES)
UNLIKE = Parameter("unlike", f"Hits should not be like these records: {IDS}.", most=MAX_EXAMPLES)
RANKING = (
    Parameter("n", "Hits wanted.", Kind.WHOLE, low=1, high=MAX_HITS, default=10),
    Parameter("offset", "Hits left out at the beginning.", Kind.WHOLE, low=0, high=MAX_DEPTH - 1, default=0),
    Parameter("mode", "What ranks: the meaning, the words, both.", choices=tuple(Mode), default="semantic"),
    Parameter("weight", "Of the cosine in hybrid.", Kind.NUMBER, low=0, high=1),
    Parameter("fusion", "Of hybrid.", choices=tuple(Fusion)),
    Parameter("min_score", "Leave out hits with a lower cosine.", Kind.NUMBER, low=-1, high=1),
    Parameter("diversify", "Prefer hits unlike those above.", Kind.NUMBER, low=0, high=1),
    Parameter("explain", "Say why each is a hit.", Kind.FLAG),
    Parameter("group_by", "Count the hits by it.", choices=("journal", "year")),
)
FILTERS = (
    Parameter("year", "2015, 1998-2003, 2015- or -1990.", most=MAX_NAMES),
    Parameter("journal", "Whole name; * for any characters.", most=MAX_NAMES),
    Parameter("mesh", "MeSH heading; * for any characters.", most=MAX_NAMES),
    Parameter("mesh_tree", "MeSH heading or tree number, and all below it.", most=MAX_NAMES),
    Parameter("type", "Publication type.", most=MAX_NAMES),
    Parameter("keyword", "Keyword of authors or databases.", most=MAX_NAMES),
    Parameter("author", "Beginnings of the words of a name: smith j.", most=MAX_NAMES),
    Parameter("language", "eng, en or English.", most=MAX_NAMES),
    Parameter("source", "File or format that a record comes from.", most=MAX_NAMES),
    Parameter("retracted", "true: retracted records only; false: none.", Kind.FLAG),
    Parameter("has_abstract", "true: records with an abstract only; false: without.", Kind.FLAG),
    Parameter("ids", f"Only these records: {IDS}.", most=MAX_IDS),
    Parameter("exclude", f"None of these records: {IDS}.", most=MAX_IDS),
    Parameter("where", "An expression: year >= 2015 and not mesh = Animals.", length=MAX_WHERE),
)
RECORD = (INDEX, Parameter("id", "A record id, PMID or DOI.", required=True))
SEARCH = (INDEX, TEXT, LIKE, UNLIKE, *RANKING, *FILTERS)


class Given:
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
                raise UsageError(unknown(name, list(known)))
            if value.strip():
                check_value(known[name], value)
                self.values.setdefault(name, []).append(value)
        for parameter in allowed:
            check_number_of(parameter, len(self.values.get(parameter.name, ())))

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a parameter, in the order given."""
        return tuple(self.values.get(name, ()))

    def text(self, name: str) -> str:
        """The value of a parameter; "" where there is none."""
        return next(iter(self.values.get(name, ())), "")

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number."""
        return int(self.text(name).strip() or default)

    def number(self, name: str) -> float | None:
        """A number; None where there is none."""
        return float(text) if (text := self.text(name).strip()) else None

    def flag(self, name: str) -> bool | None:
        """True or false; None where nothing is given."""
        return FLAGS[text.lower()] if (text := self.text(name).strip()) else None


def unknown(name: str, known: Sequence[str]) -> str:
    """What to say of a name that means nothing."""
    near = get_close_matches(name[:80], known, 1)
    maybe = f" (did you mean {near[0]}?)" if near else ""
    return f"the parameter {name[:80]!r} means nothing here{maybe}. Known are: {', '.join(known)}"


def check_number_of(parameter: Parameter, n: int) -> None:
    """Refuse a parameter given too often, or not at all where it must be.

    Raises:
        UsageError: so it is.
    """
    if n > parameter.most:
        raise UsageError(f"{parameter.name} is given {n:,} times, expected {parameter.most:,} at most")
    if parameter.required and not n:
        raise UsageError(f"{parameter.name} is missing: {parameter.help}")


def check_value(parameter: Parameter, text: str) -> None:
    """Refuse a value that the parameter can't have.

    Raises:
        UsageError: says what was expected.
    """
    if len(text) > parameter.length:
        found = f"{parameter.name} has {len(text):,} characters"
        raise UsageError(f"{found}, expected {parameter.length:,} at most")
    if parameter.choices and text not in parameter.choices:
        raise UsageError(f"{parameter.name} is {text[:80]!r}, expected one of {', '.join(parameter.choices)}")
    if parameter.kind is Kind.FLAG and text.strip().lower() not in FLAGS:
        raise UsageError(f"{parameter.name} is {text[:80]!r}, expected true or false")
    if parameter.kind in (Kind.WHOLE, Kind.NUMBER) and not in_range(parameter, text.strip()):
        what = "a whole number" if parameter.kind is Kind.WHOLE else "a number"
        raise UsageError(
            f"{parameter.name} is {text[:80]!r}, expected {what} from {parameter.low:,g} to {parameter.high:,g}"
        )


def in_range(parameter: Parameter, text: str) -> bool:
    """Whether a text is a number that the parameter may have."""
    if parameter.kind is Kind.WHOLE and not WHOLE.fullmatch(text):
        return False
    try:
        return parameter.low <= float(text) <= parameter.high  # never true of NaN
    except ValueError:
        return False
