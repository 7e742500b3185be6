"""Values of tagged files (RIS, MEDLINE, Web of Science …): pages, ISSNs, links, and what no field holds."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

from engine.collect.values.dates import parse_date
from engine.collect.values.fields import drop_repeats

_ISSN = re.compile(r"(\d{4})[-\u2010-\u2013]?(\d{3}[\dXx])")
_ISBN = re.compile(r"(?:97[89])?\d{9}[\dXx]")
_QUALIFIER = re.compile(
    r"\W*+(?:p|e|p-|e-)?(?:print|electronic|linking|online|undetermined|issn|isbn|cd-rom|)\W*", re.IGNORECASE
)
_LINK_END = re.compile(r"[;,\s]")
_NEXT_LINK = re.compile(r"[;,\s]+(?=(?:https?|ftp|file|internal-pdf)://|www\.)")
_LINK = re.compile(r"[a-z][a-z-]+://|www\.", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_REFERENCES = "References: "  # begins a note that lists the works cited


def join_pages(first: str, last: str) -> str:
    """Return the range of two pages; the first alone if it is a range already, or if there is no other last page.

    >>> join_pages("253", "258"), join_pages("253-8", "258"), join_pages("e12", ""), join_pages("No", "Specified")
    ('253-258', '253-8', 'e12', '')
    """
    if (first.lower(), last.lower()) == ("no", "specified"):  # ProQuest's "No Pagination Specified"
        return ""
    if not first or not last or first == last or re.search(r"\d\s*[-\u2010-\u2013]", first):
        return first or last
    return f"{first}-{last}"


def read_issns(texts: Iterable[str]) -> tuple[str, ...]:
    """Return ISSNs as "0008-543X", and ISBNs and what is neither as they came, each once."""
    return drop_repeats(number for text in texts for number in _split_issns(text))


def _split_issns(text: str) -> list[str]:
    """Return the numbers of one value; the whole value if it holds anything but numbers and what kind they are."""
    numbers = []
    for word in re.split(r"[\s;,]+", text):
        bare = word.strip("():.[]")
        if match := _ISSN.fullmatch(bare):
            numbers.append(f"{match[1]}-{match[2].upper()}")
        elif _ISBN.fullmatch(bare.replace("-", "")):
            numbers.append(bare)
        elif not _QUALIFIER.fullmatch(word):
            return [text]
    return numbers


def read_links(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses in these values, each once; a value may hold several. What is no address is left out."""
    return drop_repeats(link.strip() for text in texts for link in _split_links(text) if _LINK.match(link.strip()))


def _split_links(text: str) -> list[str]:
    """Return the addresses of a value."""
    return [text] if not _LINK_END.search(text) else _NEXT_LINK.split(text)


def split_cited(notes: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (the notes that list no references, the works cited in the others).

    Scopus has all references in one note, with semicolons between them.

    >>> split_cited(["Cited By: 2", "References: A. (2000); B. (2001)"])
    (['Cited By: 2'], ['A. (2000)', 'B. (2001)'])
    """
    kept, cited = list[str](), list[str]()
    for note in notes:
        if note.startswith(_REFERENCES):
            cited += filter(None, map(str.strip, note.removeprefix(_REFERENCES).split("; ")))
        else:
            kept.append(note)
    return kept, cited


def list_other_tags(
    tags: Iterable[tuple[str, str]],
    values: Mapping[str, object],
    *,
    source: str,
    read: Container[str],
    checked: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Return "RIS C3: text" for each value of a record that none of its fields holds.

    Args:
        tags: (tag, value) in order.
        values: the fields of the record.
        source: name of the format.
        read: tags all of whose values are in the fields, or that are dropped on purpose.
        checked: the fields that may hold the values of other tags.
    """
    return [
        f"{source} {tag}: {value}"
        for tag, value in tags
        if value and tag not in read and not _is_in_fields(values, checked.get(tag, ()), value)
    ]


def _is_in_fields(values: Mapping[str, object], fields: tuple[str, ...], value: str) -> bool:
    """Return whether one of these fields holds a value."""
    for field in fields:
        if values.get(field) == value or _is_in_field(values, field, value):
            return True
    return False


def _is_in_field(values: Mapping[str, object], field: str, value: str) -> bool:
    """Return whether a field holds a value."""
    known = values.get(field)
    if field == "published":
        return _has_date(values, value)
    if field in ("pmid", "doi"):
        return bool(known) and _is_id(str(known), value)
    if field == "accessions":
        return any(str(item).endswith(value) for item in known or ()) if isinstance(known, list | tuple) else False
    if field == "urls":
        return not set(_split_links(value)) - set(known if isinstance(known, list | tuple) else ())
    if isinstance(known, list | tuple):
        return value in known
    return value in str(known or "")


def _has_date(values: Mapping[str, object], value: str) -> bool:
    """Return whether the date of the record says all that a value says."""
    numbers = {number.lstrip("0") for number in _NUMBER.findall(value)}
    known = str(values.get("published") or values.get("year") or "")
    if "undefined" in value:  # what a program writes for a day that it doesn't know
        return False
    if re.search(r"[^\W\d]{3,}", value):  # "2012 Oct" is in "2012-10", "2012 Winter" is not
        return bool(parse_date(value)) and known.startswith(parse_date(value)) and len(numbers) < 3
    return numbers <= {number.lstrip("0") for number in known.split("-")} or known.replace("-", "") == value


def _is_id(known: str, value: str) -> bool:
    """Return whether a value is an id, whatever address or name is before it, and no other id."""
    before, found, after = value.lower().partition(known.lower())
    return bool(found) and not re.search(r"\d{4}", before + after)
