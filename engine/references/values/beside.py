"""Fields without a tag: one line per record that only the engine's own reader (collect) understands.

The line is a JSON object after the mark. It holds the fields that can't be read back from the record's other lines, and
how to undo changes made for other programs: "breaks" are the places in the abstract where a blank stands for the end of
a line, "names" has the form of each author's name, "n_mesh" is how many of the keywords are MeSH headings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.collect.values.export import BESIDE_LISTS, BESIDE_TEXTS, MARK
from engine.records.abstract import Abstract
from engine.records.answer import SCORE_DECIMALS
from engine.references.values.citation import Cited
from engine.references.values.fields import dump_line
from engine.references.values.names import Name

# For each field, whether a format's own lines keep these items of it, if each of them is clean.
Keeps = Mapping[str, Callable[[Sequence[str]], bool]]
_ODD_NOTE = re.compile(rf"RETRACTED|rank |{MARK}|References: ")  # another note of an export, or no note
_DATE = re.compile(r"\d{4}(?:-\d\d){0,2}", re.ASCII)
_ISSN = re.compile(r"\d{4}-\d{3}[\dX]", re.ASCII)
_PAGES = re.compile(r"([^\s\-\u2013]+)[-\u2013]([^\s\-\u2013]+)")
_PLAIN_DOI = re.compile(r"10\.[0-9]{4,9}/[A-Za-z0-9._()/:-]*[A-Za-z0-9]")


def is_unique(items: Sequence[str]) -> bool:
    """Return whether all items differ."""
    return len(set(items)) == len(items)


# What the tags of RIS and MEDLINE keep alike.
KEEPS_CITATION: Keeps = {
    **dict.fromkeys(("volume", "issue", "publisher", "place"), lambda items: True),
    "pages": lambda items: re.fullmatch(r"\w+|(\w+)-(?!\1$)\w+", items[0], re.ASCII) is not None,
    "pmcid": lambda items: re.fullmatch(r"PMC\d+", items[0], re.ASCII) is not None,
    "affiliations": is_unique,
    "notes": lambda items: is_unique(items) and not any(map(_ODD_NOTE.match, items)),
}


def mark_own_id(record: Abstract) -> str:
    """Return the record id with the mark before it, so that it can't be taken for another program's number."""
    return f"{MARK}:{record.record_id}"


def describe_standing(cited: Cited) -> str:
    """Return rank and score of a hit as text for people; "" for a record without a hit."""
    if cited.hit is None:
        return ""
    return f"rank {cited.hit.rank}, score {cited.hit.score:.{SCORE_DECIMALS}f}"


def _is_clean(text: str) -> bool:
    """Return whether a text is one line, without blanks at its ends."""
    return bool(text) and text == text.strip() and "\n" not in text and "\r" not in text


def join_lines(text: str) -> str:
    """Return a text as one line without blanks at its ends; character offsets are kept."""
    return re.sub(r"[\r\n]", " ", text.strip())


def is_date(published: str) -> bool:
    """Return whether a date is an ISO year, month or day."""
    return _DATE.fullmatch(published) is not None


def is_issn(number: str) -> bool:
    """Return whether a number is an ISSN."""
    return _ISSN.fullmatch(number) is not None


def split_pages(pages: str) -> list[str]:
    """Return first and last page; a single page, or the number of an article, alone.

    >>> split_pages("253-258"), split_pages("e1003285")
    (['253', '258'], ['e1003285'])
    """
    parts = _PAGES.fullmatch(pages)
    return [part for part in parts.groups() if part] if parts else [pages]


def list_other_tags(record: Abstract, kind: str, tags: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (tag, value) of the other tags that came from a file of this kind, if they are among these tags."""
    for item in record.other_tags:
        parts = re.fullmatch(rf"{kind} ([A-Z][A-Z0-9]{{1,3}}): (.+)", item, re.DOTALL)
        if parts and parts[1] in tags:
            yield parts[1], parts[2]


def find_left_over(record: Abstract, keeps: Keeps, names: Sequence[Name]) -> dict[str, object]:
    """Return the fields that a format's own lines lose, and how to restore the abstract and the names."""
    found: dict[str, object] = {}
    for field in BESIDE_TEXTS:
        text = getattr(record, field)
        if text and not (field in keeps and keeps[field]((text,)) and _is_clean(text)):
            found[field] = text
    for field in BESIDE_LISTS:
        items = getattr(record, field)
        if items and not (field in keeps and keeps[field](items) and all(map(_is_clean, items))):
            found[field] = list(items)
    found |= _find_identity(record)
    if not all(map(_is_clean, record.authors)):
        found["authors"] = list(record.authors)
    elif any(name.is_turned for name in names):
        found["names"] = "".join(name.form for name in names)
    return found | _find_line_ends(record.abstract)


def _find_identity(record: Abstract) -> dict[str, object]:
    """Return PMID, DOI and year where a reader could find others in the tags of the record."""
    found: dict[str, object] = {}
    if record.doi and not _PLAIN_DOI.fullmatch(record.doi):
        found["doi"] = record.doi
    others = (record.notes, record.urls, record.databases, record.accessions, record.other_tags)
    if any(others) or "pmid" in record.record_id.lower():
        found |= {name: None for name in ("pmid", "doi") if getattr(record, name) is None}
    if record.year is None and record.published:
        found["year"] = None
    return found


def _find_line_ends(abstract: str) -> dict[str, object]:
    """Return where the lines of an abstract end; the whole abstract if its ends or line ends are unusual."""
    if not abstract or _is_clean(abstract):
        return {}
    if abstract != abstract.strip() or "\r" in abstract:
        return {"abstract": abstract}
    return {"breaks": [place for place, char in enumerate(abstract) if char == "\n"]}


def format_extra(left: Mapping[str, object]) -> str:
    """Return the line: the mark and the object."""
    return f"{MARK} {dump_line(left)}"


def format_marked(record: Abstract, left: Mapping[str, object]) -> str:
    """Return the line for formats whose other lines give back no more than title, abstract, journal and authors."""
    identity = {"id": record.record_id, "pmid": record.pmid, "doi": record.doi, "year": record.year}
    marks = {"retracted": True} if record.retracted else {}
    return format_extra({**{name: value for name, value in identity.items() if value}, **marks, **left})
