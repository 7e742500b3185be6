"""Fields without a tag: one line per record that only the engine's own reader (collect) understands.

The line is a JSON object after the mark. It holds the fields that can't be read back from the record's other lines, and
how to undo changes made for other programs: "breaks" are the places in the abstract where a blank stands for the end of
a line, "names" has the form of each author's name, "n_mesh" is how many of the keywords are MeSH headings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from engine.collect.values.export import BESIDE_LISTS, BESIDE_TEXTS, MARK
from engine.records.abstract import Abstract
from engine.records.answer import SCORE_DECIMALS
from engine.references.citation import Cited
from engine.references.fields import dump_line
from engine.references.names import Name

# For each field, whether a format's own lines keep these items of it, if each of them is clean.
Keeps = Mapping[str, Callable[[Sequence[str]], bool]]


def mark_own_id(record: Abstract) -> str:
    """Return the record id with the mark before it, so that it can't be taken for another program's number."""
    return f"{MARK}:{record.record_id}"


def describe_standing(cited: Cited) -> str:
    """Return rank and score of a hit as text for people."""
    return f"rank {cited.hit.rank}, score {cited.hit.score:.{SCORE_DECIMALS}f}"


def _is_clean(text: str) -> bool:
    """Return whether a text is one line, without blanks at its ends."""
    return bool(text) and text == text.strip() and "\n" not in text and "\r" not in text


def join_lines(text: str) -> str:
    """Return a text as one line without blanks at its ends; character offsets are kept."""
    return re.sub(r"[\r\n]", " ", text.strip())


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
    if not all(map(_is_clean, record.authors)):
        found["authors"] = list(record.authors)
    elif any(name.is_turned for name in names):
        found["names"] = "".join(name.form for name in names)
    return found | _find_line_ends(record.abstract)


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
