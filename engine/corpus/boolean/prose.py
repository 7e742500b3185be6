"""Prose, such as a pasted abstract or a title in capitals, in which AND, OR and NOT are words."""

from __future__ import annotations

import re

_SMALL = frozenset("a an the of in on to for with by from at was were is are be has have had that this than we".split())
_IN_CAPITALS = _SMALL - {"a", "an", "we"}  # VITAMIN A AND CANCER may be a search
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"\"[^\"\n]*\"")
_OPERATOR = re.compile(r'(?<![^\s()"\]])(?:AND|OR|NOT)(?![^\s()"\[])')
_RATIO = re.compile(
    r"(?<![^\s(\[\"])OR(?:\s*(?:[=:,;<>≤≥±\])]|\(\s*95)|\s+(?:\(|\[)?[0-9]+[.·‧,][0-9]|(?:\s+\(\w+\))?\s+(?:was|of|for)\s)"
)  # an odds ratio
_BUILT = re.compile(r"^\s*\(|(?:AND|OR|NOT)\s+[(\"]|[)\"]\s+(?:AND|OR|NOT)\s+|\w\*")  # signs of a search in capitals
_FEWEST = 20  # words of prose
_SHARE = 0.15  # of them that are small words
_APART = 12  # words of prose for each operator, at least
_TAG_APART = 40  # words of prose for each field tag, at least


def find_operators(text: str) -> list[str]:
    """Return the operators in capitals, but no odds ratio, in a text without its quoted phrases."""
    return _OPERATOR.findall(_RATIO.sub(" ", text))


def has_operator(text: str) -> bool:
    """Return whether AND, OR or NOT in capitals, but no odds ratio, stands in a text without its quoted phrases."""
    return bool(find_operators(text))


def is_prose(text: str, n_tags: int) -> bool:
    """Return whether a text with plain marks is prose, in which capitals make no operator.

    n_tags: what looks like field tags and headings in it.

    >>> is_prose("PAIN IN CENTRAL AND PERIPHERAL NERVES", 0), is_prose("PAIN AND NERVES", 0), is_prose("pain in OR", 0)
    (True, False, False)
    """
    words = [word.lower() for word in _WORD.findall(_QUOTED.sub(" ", text))]
    if n_tags * _TAG_APART > len(words):
        return False
    if text.isupper():
        return not _BUILT.search(text) and not _IN_CAPITALS.isdisjoint(words)
    n_small = sum(1 for word in words if word in _SMALL)
    is_long = len(words) >= _FEWEST and n_small >= _SHARE * len(words)
    return is_long and len(find_operators(text)) * _APART <= len(words)
