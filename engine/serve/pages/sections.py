"""The sections of abstracts: where "METHODS:", "Results." and other labels stand in a text."""

from __future__ import annotations

import re

from engine.records.answer import Span

_NAMES = (  # as they are written with a colon or a full stop, in any case, but beginning with a capital letter
    r"(?:study )?(?:aims?|objectives?|purposes?|designs?|populations?|selections?)"
    r"(?: (?:of (?:the|this) study|and setting))?",
    r"(?:aims?|background|introduction|objectives?|purpose|rationale|design) (?:and|&) "
    r"(?:aims?|background|introduction|objectives?|purpose|setting|methods?)",
    r"(?:background|introduction|context|importance|rationale|significance|hypothesis|settings?|limitations?|funding)",
    r"(?:(?:materials?|patients?|subjects|design|participants|methods) (?:and|&) )?methods?(?: (?:and|&) "
    r"(?:findings|results|materials?|analysis))?",
    r"(?:search|statistical|research) (?:methods?|strategy|design)(?: and methods?)?",
    r"(?:patients?|participants|subjects|materials?|interventions?|exposures?|measurements?|data sources?"
    r"|data extraction|data synthesis|data collection(?: and analysis)?|selection criteria|eligibility criteria)",
    r"(?:main |primary |principal )?outcomes?(?: (?:measures?|and measures?))?",
    r"(?:main |principal )?(?:results?|findings)(?: and (?:discussion|conclusions?))?",
    r"(?:authors['\u2019] )?conclusions?(?: (?:and|&) (?:relevance|implications?|significance))?",
    r"(?:discussion|interpretation|summary|case (?:reports?|presentation)|level of evidence|trial registration"
    r"|(?:clinical )?trial registration(?: number)?|registration|keywords?)",
)
_KNOWN = rf"(?=[A-Z])(?i:{'|'.join(_NAMES)})\s?(?::|\.(?=\s?[A-Z]))"
_CAPITALS = r"[A-Z][A-Z/&,'\u2019()-]+(?: [A-Z/&,'\u2019()-]+){0,7}:"
_START = r"(?:^[ \t]*|(?<=[.!?)\]]\s)|(?<=[.!?)\]]))"
_LABEL = re.compile(rf"{_START}((?:{_CAPITALS}|{_KNOWN})(?=\s|[A-Z0-9]))", re.MULTILINE)
_SHORTEST = 3  # letters of a label in capitals


def find_labels(text: str) -> list[Span]:
    """Return where the labels of sections stand in an abstract, each with its colon or full stop, in order.

    >>> [(a, b) for a, b in find_labels("AIM: To see. Methods: We saw. Results. It was so.")]
    [(0, 4), (13, 21), (30, 38)]
    """
    spans = [match.span(1) for match in _LABEL.finditer(text)]
    return [(start, end) for start, end in spans if sum(map(str.isalpha, text[start:end])) >= _SHORTEST]
