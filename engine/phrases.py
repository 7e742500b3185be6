"""Words that messages are made of."""

from __future__ import annotations


def pluralize(n: int, noun: str) -> str:
    """Return a number with its noun, for a message.

    >>> pluralize(1, "record"), pluralize(2000, "record")
    ('1 record', '2,000 records')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
