"""The parts of an abstract that say the same in other words: title and body, objective and conclusion."""

from __future__ import annotations

import re

from engine.encode.recipe import clean_text
from engine.records.abstract import Abstract

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


def split_sections(abstract: str) -> list[tuple[str, str]]:
    """Split an abstract into (label in lower case, text) of every labelled section; text before them is left out."""
    labels = [match for match in _LABEL.finditer(abstract) if match["label"][0].isupper()]
    ends = [*(match.start() for match in labels[1:]), len(abstract)][: len(labels)]
    return [
        (match["label"].lower(), clean_text(_MARKUP.sub(" ", abstract[match.end() : end])))
        for match, end in zip(labels, ends, strict=True)
    ]
