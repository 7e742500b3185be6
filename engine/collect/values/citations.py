"""Citations on one line, as PubMed and Embase write them in their tables."""

from __future__ import annotations

import re

from engine.collect.values.dates import parse_date

_FORMS = (
    # PubMed: "Ann Rheum Dis. 2020 May 1;3(2):1-9. doi: 10.1136/x. Epub 2019."
    re.compile(
        r"(?P<journal>.+?)\.\s+"
        r"(?P<date>(?P<year>1[5-9]\d\d|20\d\d)(?:[ /-]*[A-Z][a-z]{2}[a-z/-]*)*(?:\s\d{1,2}(?!\d))?"
        r"(?:-(?:[A-Z][a-z]{2}\s)?\d{1,2}(?!\d))?)"
        r"(?:;\s*(?P<volume>[^():;]*?)\s*(?:\((?P<issue>[^)]*)\))?)?"
        r"(?::\s*(?P<pages>\d{4}\.\d\d\.\d\d\.\d+|[^.:]+?))?\s*(?:\.|$)"
    ),
    # Embase: "Cancer (2004) 102:4 (253-258). Date of Publication: 1 May 2004"
    re.compile(
        r"(?P<journal>.+?) \((?P<year>1[5-9]\d\d|20\d\d)\)(?:\s+(?P<volume>[^\s:(]+))?(?:\s*:\s*(?P<issue>[^\s(]+))?"
        r"(?:\s*\((?P<pages>[^)]*)\))?(?:.*?Date of Publication:\s*(?P<date>[^.]*))?"
    ),
)
_DOI = re.compile(r"\bdoi:\s*(10\.\S+?)\.?(?:\s|$)", re.IGNORECASE)


def parse_citation(text: str) -> dict[str, str]:
    """Return journal, year, volume, issue, pages, published and doi of a citation; an empty dict for other texts."""
    match = next((match for form in _FORMS if (match := form.match(text.strip()))), None)
    if match is None:
        return {}
    values = {field: (value or "").strip() for field, value in match.groupdict().items()}
    values["published"] = parse_date(values.pop("date"))
    if doi := _DOI.search(text):
        values["doi"] = doi[1]
    return {field: value for field, value in values.items() if value}
