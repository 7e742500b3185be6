"""Checks of the values that a program gives: lists, ids, whole numbers and switches.

Values of numpy are taken as those of Python. Whatever else comes is refused by UsageError, never by an error of Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import index as index_of
from typing import Any

from engine.errors import UsageError

_MAX_SHOWN = 60  # characters of a value in a message
_MAX_WRITTEN = 10**40  # from which on a number is cut in a message


def show_value(value: object) -> str:
    """Return a value as Python writes it, cut for a message.

    >>> show_value("knee"), len(show_value("x" * 1000))
    ("'knee'", 60)
    """
    try:
        text = repr(value)
    except Exception:  # of a number with thousands of digits, or of the program's own class
        text = f"a value of {type(value).__name__} that can't be shown"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def check_list(name: str, value: Any, expected: str) -> list[Any]:
    """Return the items of a list, a generator or another collection, in its order; expected is for the message.

    Raises:
        UsageError: a text, bytes or a dictionary, or a single value.
    """
    if not isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        try:
            items = iter(value)
        except TypeError:
            pass
        else:
            return list(items)
    raise UsageError(f"{name} is {show_value(value)}, expected {expected}")


def check_id(name: str, value: object) -> str:
    """Return a record id, PMID or DOI as text; whole numbers are PMIDs.

    Raises:
        UsageError: neither a text nor a whole number.
    """
    if isinstance(value, str):
        return str(value)
    try:
        if not is_switch(value):
            return str(index_of(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # ValueError: of thousands of digits
        pass
    raise UsageError(f"{name} holds {show_value(value)}, expected a record id, PMID or DOI as text")


def check_ids(name: str, value: Any, expected: str = "a list of record ids, PMIDs or DOIs") -> tuple[str, ...]:
    """Return record ids, PMIDs or DOIs as texts, in order.

    Raises:
        UsageError: a single value instead of a list, or an item that is neither a text nor a whole number.
    """
    return tuple(check_id(name, item) for item in check_list(name, value, expected))


def is_switch(value: object) -> bool:
    """Return whether a value is True or False, of Python or of numpy."""
    kind, shape = getattr(getattr(value, "dtype", None), "kind", ""), getattr(value, "shape", None)
    return isinstance(value, bool) or (kind == "b" and shape == ())


def check_switch(name: str, value: Any) -> bool:
    """Return True or False as Python's.

    Raises:
        UsageError: another value.
    """
    if not is_switch(value):
        raise UsageError(f"{name} is {show_value(value)}, expected True or False")
    return bool(value)


def check_whole(name: str, value: Any, low: float, high: float | None = None) -> int:
    """Return a whole number as Python's; the bounds are included.

    Raises:
        UsageError: out of bounds, or not a whole number.
    """
    try:
        number = None if is_switch(value) else index_of(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        expected = f"from {low:,g}" if high is None else f"from {low:,g} to {high:,g}"
        shown = f"{number:,}" if number is not None and abs(number) < _MAX_WRITTEN else show_value(value)
        raise UsageError(f"{name} is {shown}, expected a whole number {expected}")
    return number
