"""Dates of publication, in the spellings of databases and reference managers, as ISO 8601."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = "(?P<month>" + "|".join(_MONTHS) + r")[a-z]*\.?"
_YEAR = r"(?<!\d)(?P<year>1[5-9]\d\d|20\d\d)"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        _YEAR + r"(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])?(?!\d)",  # 20190503
        _YEAR + r"\s*[/.-]\s*(?P<month>0?[1-9]|1[0-2])(?:\s*[/.-]\s*(?P<day>\d{1,2}))?(?!\d)",  # 2019/05/03
        _YEAR + r"[\s,/-]+" + _MONTH + r"(?:[\s/-]+(?P<day>\d{1,2})(?!\d))?",  # 2019 May 3
        # 3 May 2019
        r"(?:(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s./-]+)?\b" + _MONTH + r"[\s,/-]*" + _YEAR + r"(?!\d)",
        _MONTH + r"\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:\s*-\s*\d{1,2})?\s*,?\s+" + _YEAR + r"(?!\d)",  # May 3, 2019
    )
)


def parse_date(text: str) -> str:
    """Return the first date in a text as ISO 8601, with its day if it has a valid one; "" without a month.

    >>> parse_date("2019/05/03/"), parse_date("2012 Oct-Nov"), parse_date("20190503"), parse_date("2019")
    ('2019-05-03', '2012-10', '2019-05-03', '')
    """
    for form in _FORMS:
        if match := form.search(text):
            parts = match.groupdict()
            return _format_date(int(parts["year"]), parts["month"], parts.get("day"))
    return ""


def _format_date(year: int, month: str, day: str | None) -> str:
    """Format a date; a day that the month does not have is left out."""
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    try:
        return date(year, number, int(day or 0)).isoformat()
    except ValueError:
        return f"{year:04}-{number:02}"


def choose_published(texts: Iterable[str], year: object) -> str:
    """Return the most exact date of these texts that lies in the year of the record; "" if none has a month."""
    dates = [found for text in texts if (found := parse_date(text)) and (not year or found.startswith(str(year)))]
    return max(dates, key=len, default="")
