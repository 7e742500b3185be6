"""Words that messages are made of."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime


def pluralize(n: int, noun: str) -> str:
    """Return a number with its noun, for a message.

    >>> pluralize(1, "record"), pluralize(2000, "record")
    ('1 record', '2,000 records')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def list_some(words: Sequence[str], most: int, hint: str = "") -> str:
    """Return the first words as a text, how many more there are, and then what shows them all.

    >>> list_some(["a", "b"], 2, ": see log"), list_some(["a", "b", "c"], 1, ": see log")
    ('a, b', 'a and 2 more: see log')
    """
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more:,} more{hint}" if more > 0 else "")


def write_ordinal(n: int) -> str:
    """Return an ordinal number.

    >>> [write_ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{n:,}{'th' if 10 < n % 100 < 14 else endings.get(n % 10, 'th')}"


def quote_word(word: str | os.PathLike[str]) -> str:
    """Return a path as one word of a command that is to be copied into a shell, and that is no option.

    >>> quote_word("copy.tar"), quote_word("my copy.tar"), quote_word("-copy.tar")
    ('copy.tar', "'my copy.tar'", './-copy.tar')
    """
    text = os.fspath(word)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def format_moment(iso: str) -> str:
    """Return a date and time in UTC for reading; other text is returned unchanged.

    >>> format_moment("2026-03-01T12:30:05+01:00"), format_moment("soon")
    ('2026-03-01 11:30:05 UTC', 'soon')
    """
    try:
        return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return iso
