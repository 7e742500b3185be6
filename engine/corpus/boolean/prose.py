"""Prose, such as a pasted abstract, in which AND, OR and NOT are words."""

from __future__ import annotations

import re

_SMALL = frozenset("a an the of in on to for with by from at was were is are be has have had that this than we".split())
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"\"[^\"\n]*\"")
_OPERATOR = re.compile(r'(?<![^\s()"\]])(?<!\b[tT]he\s)(?:AND|OR|NOT)(?![^\s()"\[])')  # but the OR of a hospital
_RATIO = re.compile(
    r"(?<![^\s(\[\"])OR(?:\s*(?:[=:,;±\])]|[<>≤≥]\s*(?:[0-9]+[.·‧,][0-9]|1\b)|\(\s*95)"
    r"|\s+[(\[]?[0-9]+[.·‧,][0-9]+(?:\s*[,;)(\[]|\s+(?:for|95|p|vs)\b)|(?:\s+\(\w+\))?\s+(?:was|of|for)\s)"
)  # an odds ratio; but gout OR 1,3-butadiene, and 3.0 T OR 1.5 T
_LABEL = re.compile(r"\b[A-Z]{3,},? (?:AND|OR) [A-Z]{3,}:")  # of a section: MATERIALS AND METHODS:
_FEWEST = 60  # words of prose; a shorter text may be a search without field tags
_SHARE = 0.15  # of them that are small words
_APART = 20  # words of prose for each operator, at least
_TAG_APART = 40  # words of prose for each field tag, at least


def find_operators(text: str) -> list[str]:
    """Return the operators in capitals, but no odds ratio or label, in a text without its quoted phrases."""
    return _OPERATOR.findall(_LABEL.sub(" ", _RATIO.sub(" ", text)))


def has_operator(text: str) -> bool:
    """Return whether AND, OR or NOT in capitals, but no odds ratio or label, is in a text without quoted phrases."""
    return bool(find_operators(text))


def is_prose(text: str, n_tags: int) -> bool:
    """Return whether a text with plain marks is prose, in which capitals make no operator.

    n_tags: what looks like field tags and headings in it.

    >>> is_prose("the pain of the knee AND hip " * 2, 0), is_prose("the pain of the knee " * 20 + "AND hip", 0)
    (False, True)
    """
    words = [word.lower() for word in _WORD.findall(_QUOTED.sub(" ", text))]
    n_small = sum(1 for word in words if word in _SMALL)
    return len(words) >= max(
        _FEWEST, n_tags * _TAG_APART, len(find_operators(text)) * _APART
    ) and n_small >= _SHARE * len(words)
