"""Limits: what stands after Ovid's limit 5 to, in Embase's [ ]/lim and before PubMed's [Filter]."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.corpus.boolean.tags import SearchField, Tag
from engine.corpus.boolean.values import read_years

_LANGUAGES = frozenset(
    "english german french spanish italian japanese chinese russian portuguese polish dutch turkish korean czech "
    "danish hungarian norwegian swedish hebrew greek persian arabic ukrainian croatian romanian serbian finnish".split()
)
_TYPES = (
    *("Randomized Controlled Trial", "Clinical Trial", "Controlled Clinical Trial", "Pragmatic Clinical Trial"),
    *("Clinical Trial, Phase I", "Clinical Trial, Phase II", "Clinical Trial, Phase III", "Clinical Trial, Phase IV"),
    *("Review", "Systematic Review", "Meta-Analysis", "Editorial", "Letter", "Comment", "Case Reports", "Guideline"),
    *("Practice Guideline", "Journal Article", "Observational Study", "Comparative Study", "Multicenter Study"),
    *("Evaluation Study", "Validation Study", "Clinical Trial Protocol", "News", "Biography", "Historical Article"),
    *("Clinical Study", "Consensus Development Conference", "Equivalence Trial", "Twin Study", "Preprint", "Congress"),
    *("Published Erratum", "Retracted Publication", "Clinical Conference", "Video-Audio Media", "Interview", "Lecture"),
)
_HEADINGS = {
    **dict.fromkeys(("human", "humans"), "Humans"),
    **dict.fromkeys(("animal", "animals", "otheranimals"), "Animals"),
    **{
        name.replace(" ", "").lower(): name
        for name in ("Female", "Male", "Adolescent", "Young Adult", "Adult", "Child")
    },
    **dict.fromkeys(("middleage", "middleaged"), "Middle Aged"),
    **dict.fromkeys(("aged80andover", "80andover"), "Aged, 80 and over"),
    **dict.fromkeys(("preschoolchild", "childpreschool"), "Child, Preschool"),
    **dict.fromkeys(("newborn", "newborninfant"), "Infant, Newborn"),
    "infant": "Infant",
}
_GROUPS = {
    "alladult": ("Adult",),
    "middleagedaged": ("Middle Aged", "Aged"),
    **dict.fromkeys(("aged", "allaged"), ("Aged",)),
    "allinfant": ("Infant",),
    "allchild": ("Infant", "Child", "Adolescent"),
}  # with the headings below them
_BY_LETTERS = {re.sub(r"[^a-z]", "", name.lower()): name for name in _TYPES} | {
    "reviewarticles": "Review",
    "clinicaltrialall": "Clinical Trial",
}
_ABSTRACT = frozenset(("abstract", "abstracts", "hasabstract", "fha"))


def read_limit(text: str, *, is_year: bool = False) -> tuple[Tag, Sequence[str]]:
    """Return the field that a limit compares and its values, any of which is enough; a field unknown if it means none.

    >>> read_limit("english language")[1], read_limit("allchild")[1], read_limit('yr="2010 -Current"')[0].fields
    (['english'], ['Infant', 'Child', 'Adolescent'], (<SearchField.YEAR: 'publication year'>,))
    """
    value = re.sub(r"(?i)^(?:yr\s*=|(?:with\s+)?publication\s+year\s+from|from)\s*", "", text.strip().strip("\"'"))
    value = value.strip("\"' ")
    name = " ".join(re.sub(r"[(<][^)>]*[)>]?$", "", value.lower()).split())
    letters = re.sub(r"[^a-z0-9]", "", name)
    if is_year or read_years(value):
        return Tag((SearchField.YEAR,)), [value]
    if letters in _ABSTRACT:
        return Tag((SearchField.HAS_ABSTRACT,)), [value]
    if letters == "aged" and "80" in value:
        letters = "80andover"
    if letters in _GROUPS:
        return Tag((SearchField.EXPLODED,)), list(_GROUPS[letters])
    if letters in _HEADINGS:
        return Tag((SearchField.HEADING,)), [_HEADINGS[letters]]
    language = name.removesuffix(" language")
    if language != name or language in _LANGUAGES:
        return Tag((SearchField.LANGUAGE,)), [language]
    if letters in _BY_LETTERS:
        return Tag((SearchField.TYPE,)), [_BY_LETTERS[letters]]
    return Tag((SearchField.UNKNOWN,), "this limit can't be searched here, so it is left out"), [value]


def split_limits(text: str, operator: str) -> list[str]:
    """Split limits at an operator or a semicolon that stands outside quotation marks and parentheses.

    >>> split_limits('(english and (review or letter)) and yr="2010 and on"', "and")
    ['(english and (review or letter))', 'yr="2010 and on"']
    """
    parts, start, depth, is_quoted = [], 0, 0, False
    for match in re.finditer(rf'["();]|\s{operator}\s', text, re.IGNORECASE):
        sign = match[0]
        is_quoted ^= sign == '"'
        depth += (sign == "(") - (sign == ")") if not is_quoted else 0
        if depth <= 0 and not is_quoted and sign not in '"()':
            parts.append(text[start : match.start()])
            start = match.end()
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def strip_parentheses(text: str) -> str:
    """Return a text without the parentheses around the whole of it."""
    stripped = text.strip()
    while stripped.startswith("(") and stripped.endswith(")"):
        depth = 0
        for place, character in enumerate(stripped):
            depth += (character == "(") - (character == ")")
            if depth == 0 and place < len(stripped) - 1:
                return stripped
        stripped = stripped[1:-1].strip()
    return stripped
