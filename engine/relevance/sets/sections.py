"""The parts of an abstract that say the same in other words: title and body, objective and conclusion."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.encode.models.recipe import clean_text
from engine.records.abstract import Abstract
from engine.records.answer import Span

_OPENING = "background|objectives?|aims?|purpose|introduction|context|rationale|importance|hypothesis|question"
_MIDDLE = (
    "methods?|methodology|design|study design|setting|settings|participants|patients|subjects|interventions?|"
    "materials|main outcome measures?|measurements|data sources|study selection|data synthesis|findings|results?|"
    "outcomes|trial registration|limitations|discussion"
)
_CLOSING = "conclusions?|interpretation"
_LABEL = re.compile(
    rf"(?:^|(?<=[.;!?)\]>])\s*|\n\s*)(?:<h\d>|Abstract\s+)?(?P<label>(?:{_OPENING}|{_MIDDLE}|{_CLOSING})"
    r"(?:(?:/| and | & )\w+(?: \w+)?)?)\s*(?:[:.\u2014\u2013]|-{1,2}\s|</h\d>)\s*",
    re.IGNORECASE,
)
_CAPITALS = re.compile(r"^[ \t]*(?P<label>[A-Z][A-Z0-9 ,/&()-]{2,60}):(?:[ \t]+|$)", re.MULTILINE)
_MARKUP = re.compile(r"</?h\d>")
SHORT = 20  # characters; a shorter part ("None.") says nothing


def extract_body(record: Abstract) -> str:
    """Return the abstract on one line, without a title at its beginning; "" if there is no abstract."""
    text, title = clean_text(record.abstract), clean_text(record.title).rstrip(". ")
    if len(title) >= SHORT and text.casefold().startswith(title.casefold()):
        text = text[len(title) :].lstrip(".:;- ")
    return text


def find_objective_and_conclusion(abstract: str) -> tuple[str, str] | None:
    """Return the objective and the conclusion of a structured abstract, without their labels.

    Returns None if a label is missing, or if one of the two is shorter than 20 characters.
    """
    parts = split_sections(abstract)
    objective = " ".join(text for label, text in parts if re.match(_OPENING, label))
    conclusion = " ".join(text for label, text in parts if re.match(_CLOSING, label))
    return (objective, conclusion) if min(len(objective), len(conclusion)) >= SHORT else None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an abstract."""

    label: str  # as written, without the colon; "" before the first label
    span: Span  # of the text after the label, without white space around it


def locate_sections(abstract: str) -> list[Section]:
    """Find the labelled sections of an abstract, and the text before them; one section if nothing is labelled.

    A line that begins in capitals up to a colon ("STUDY ELIGIBILITY:") is labelled, too. A label without a text is a
    section with an empty span.

    >>> [(one.label, one.span) for one in locate_sections("Gout. METHODS: 12 men.")]
    [('', (0, 5)), ('METHODS', (15, 22))]
    """
    found = [match for match in _LABEL.finditer(abstract) if match["label"][0].isupper()]
    inside = {at for match in found for at in range(match.start(), match.end())}
    found += [match for match in _CAPITALS.finditer(abstract) if not inside & set(range(*match.span()))]
    found.sort(key=re.Match.start)
    starts = [0, *(match.end() for match in found)]
    ends = [*(match.start() for match in found), len(abstract)]
    labels = ["", *(match["label"] for match in found)]
    sections = [
        Section(label, _strip_span(abstract, start, end))
        for label, start, end in zip(labels, starts, ends, strict=True)
    ]
    return [one for one in sections if one.label or one.span[0] < one.span[1]]


def _strip_span(text: str, start: int, end: int) -> Span:
    """Return a span without white space around it."""
    piece = text[start:end]
    return (
        (start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip()))
        if piece.strip()
        else (end, end)
    )


def split_sections(abstract: str) -> list[tuple[str, str]]:
    """Split an abstract into (label in lower case, text) of every labelled section; text before them is left out."""
    labels = [match for match in _LABEL.finditer(abstract) if match["label"][0].isupper()]
    ends = [*(match.start() for match in labels[1:]), len(abstract)][: len(labels)]
    return [
        (match["label"].lower(), clean_text(_MARKUP.sub(" ", abstract[match.end() : end])))
        for match, end in zip(labels, ends, strict=True)
    ]
