"""Lists of authors written as one text, in the ways of databases and screening tools."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.collect.values.fields import split_names

_AND = re.compile(r",?\s+(?:and|&)\s+")
# What is no part of a name: braces of BibTeX around it, Scopus's number after it, "and" before the last one.
_MARKS = re.compile(r"^(?:and|&)\s+|^\{(?=[^{}]*\}$)|(?<=[^{}])\}$(?<!\{)|\s*\(\d{7,}\)$")
_PARTICLE = re.compile(r"d[aeo]s?|del|di|van|von|der|den|ten?|el|al|bin")
_EASTERN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]{2,5}")  # a whole name without a blank
_ET_AL = re.compile(r"[,;]?\s+et\.? al\.?$")
_SUFFIX = re.compile(r"(?:Jr|Sr|II|III|IV|2nd|3rd|4th)\.?", re.IGNORECASE)
_MAX_INITIALS = 4  # letters


def split_authors(value: object) -> tuple[str, ...]:
    """Return the names in a list, or in a text with ; | "and" or commas between them.

    Commas separate names only where every name has initials after its family name, or where initials follow each
    family name as an item of their own. A comma inside one name, and "and" inside the name of a group, stay.

    >>> split_authors("Doe, J. and Roe, R."), split_authors("Doe J., Roe R."), split_authors("Haddad, Rima")
    (('Doe, J.', 'Roe, R.'), ('Doe J.', 'Roe R.'), ('Haddad, Rima',))
    """
    if not isinstance(value, str):
        return split_names(value)
    text = _ET_AL.sub("", " ".join(value.split()))
    if re.search(r"[;|]|^\[", text):
        parts = [part for name in split_names(text) for part in _split_and(name, persons_only=True)]
        names = [name for part in parts for name in _split_short(part)]
    else:
        names = [name for part in _split_and(text, persons_only=False) for name in _split_commas(part)]
    return tuple(filter(None, (_MARKS.sub("", name) for name in names)))


def _split_and(text: str, *, persons_only: bool) -> list[str]:
    """Split a text at "and" if what is on its two sides are names of persons; persons_only: "Family, Given" on each."""
    parts = [part.strip() for part in _AND.split(text) if part.strip(" ,")]
    if len(parts) < 2:
        return [text] if text else []
    if all("," in part or part.startswith("{") for part in parts):
        return parts
    n_persons = next(n for n, part in enumerate(parts) if "," not in part)
    rest = " and ".join(parts[n_persons:])
    if n_persons and _is_group(rest):  # the name of a group may have "and" in it
        return [*parts[:n_persons], rest]
    if not persons_only and (all(map(_looks_like_person, parts)) or _has_initials(parts[-1])):
        return parts
    return [text]


def _looks_like_person(text: str) -> bool:
    """Return whether a text may be the name of one person, given name first: two to four words, few in lower case."""
    words = text.split()
    return 2 <= len(words) <= 4 and words[0][0].isupper() and words[-1][0].isupper() and not _is_group(text)


def _is_group(text: str) -> bool:
    """Return whether a text has a word of the names of groups."""
    return bool(
        re.search(
            r"\b(?:of|for|the|group|society|college|institute|centers?|department|ministry|association|committee"
            r"|universit\w+|organi[sz]ation|consortium|collaborat(?:ion|ors)|task force"
            r"|initiative|panel|trialists|network|foundation|council|agency|board|team|investigators)\b",
            text,
            re.IGNORECASE,
        )
    )


def _split_short(text: str) -> Sequence[str]:
    """Split an item of a list with semicolons at its commas if each part is a whole name with initials."""
    parts = [part.strip() for part in text.split(",")]
    return parts if len(parts) > 1 and all(map(_has_initials, parts)) else [text]


def _join_suffixes(parts: list[str]) -> list[str]:
    """Return the parts of a list with a suffix joined to the name before it: "Marlow R., Jr."."""
    names: list[str] = []
    for part in parts:
        if names and _SUFFIX.fullmatch(part) and _has_initials(names[-1]):
            names[-1] += f", {part}"
        else:
            names.append(part)
    return names


def _split_commas(text: str) -> Sequence[str]:
    """Split a text at commas if names are between them; else return it as one name."""
    parts = _join_suffixes([part.strip() for part in text.split(",") if part.strip()])
    if len(parts) < 2:
        return [text.strip(" ,")]
    if _is_group(parts[-1]) and not all(map(_is_group, parts)):
        before = _split_commas(", ".join(parts[:-1]))
        if len(before) > 1 or _has_initials(before[0]):
            return [*before, parts[-1]]
    n_short = sum(map(_has_initials, parts))
    if _has_initials(parts[0]) and n_short > len(parts) / 2 and not any(len(p.split()) < 2 for p in parts):
        return parts
    if all(len(part.split()) > 1 and _is_initials(part.split()[0]) for part in parts):  # "JA Marlow, P Okoro"
        return parts
    families, given = parts[::2], parts[1::2]
    if len(parts) >= 4 and len(families) == len(given) and all(map(_is_initials, given)):
        return [f"{family}, {initials}" for family, initials in zip(families, given, strict=True)]
    if len(parts) >= 3 and all(map(_looks_like_person, parts)):
        return parts
    if all(map(_EASTERN.fullmatch, parts)):
        return parts
    return [text]


def _has_initials(name: str) -> bool:
    """Return whether a name is a family name with initials after it: "Marlow JA", "O'Neil R.", "Beck A Jr"."""
    words = name.partition(",")[0].split()
    if len(words) > 2 and (_SUFFIX.fullmatch(words[-1]) or _PARTICLE.fullmatch(words[-1])):
        words.pop()
    is_family = len(words) > 1 and (not _is_initials(words[0]) or re.fullmatch("[A-Z]{2,}", words[0]) is not None)
    return is_family and _is_initials(words[-1])


def _is_initials(text: str) -> bool:
    """Return whether a text is initials: "JA", "J.-A.", "J. A."."""
    letters = re.sub(r"[.\s\u2010-\u2015-]", "", text)
    short = text.replace(".", " ").replace("-", " ").split()
    return (
        letters.isalpha()
        and letters.isupper()
        and len(letters) <= _MAX_INITIALS
        and (len(short) == 1 or all(len(part) <= 2 for part in short))
    )
