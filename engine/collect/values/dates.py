"""Dates as databases, spreadsheets and people write them."""

from __future__ import annotations

import math
import re
from calendar import isleap
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

# A year that stands by itself, or begins eight digits of a date or six of a month.
YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(0[1-9]|1[0-2])([0-2]\d|3[01])?(?:T?\d{6})?(?!\d)")
_GROUPED = re.compile(r"([12])[.,' \u00a0\u2009\u202f](\d{3})(?:[.,]0+)?")  # "2,019", as a spreadsheet groups digits
_YEAR_FIRST = re.compile(
    r"(?<!\d)(1[5-9]\d\d|20\d\d)\s*[-/.\u2010-\u2013]\s*(\d{1,2})(?:\s*[-/.\u2010-\u2013]\s*(\d{1,2}))?(?!\d)"
)
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})\s*([-/.\u2010-\u2013])\s*(\d{1,2})\s*\2\s*(1[5-9]\d\d|20\d\d)(?!\d)")
_MONTH_YEAR = re.compile(r"(\d{1,2})\s*[-/.]\s*(1[5-9]\d\d|20\d\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Numbers of the months by the first three letters of their names, and by their numbers as text.
_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_NUMBERS |= {f"{number:0{width}}": number for number in range(1, 13) for width in (1, 2)}
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NAME = (
    r"(jan(?=uar|\b)|feb(?=ruar|\b)|mar(?=ch|\b)|apr(?=il|\b)|may(?=\b)|jun(?=e|\b)|jul(?=y|\b)|aug(?=ust|\b)"
    r"|sep(?=t|\b)|oct(?=ober|\b)|nov(?=ember|\b)|dec(?=ember|\b))[a-z]{0,6}\b\.?"
)
_MONTH = re.compile(rf"(?<![a-z]){_NAME}", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"(?<![a-z]){_NAME}\s*(\d{{1,2}})(?:st|nd|rd|th)?(?![\d/])", re.IGNORECASE)
_DAY_MONTH = re.compile(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)?[\s.-]*{_NAME}", re.IGNORECASE)


def read_date(value: object) -> str:
    """Return a date as ISO 8601, as exact as it is given: "2019-05-03", "2019-05", "2019"; "" without a year.

    Of a range, the beginning counts. A month or day that can't be one is left out, and so is one that may be either:
    "3/4/2019" is 2019.
    """
    text = _write(value)
    return _parse_text(text) if text else ""


@lru_cache(1 << 14)  # thousands of records have the same date
def _parse_text(text: str) -> str:
    """Return the date of a text as read_date does."""
    if text.isalpha():
        return ""
    if YEAR.fullmatch(text):
        return text
    if match := _COMPACT.search(text):
        return build_date(match[1], match[2], match[3])
    if match := _GROUPED.fullmatch(text):
        text = match[1] + match[2]
    if match := _YEAR_FIRST.search(text):
        return build_date(match[1], match[2], match[3])
    if match := _YEAR_LAST.search(text):
        return _build_local_date(match[4], int(match[1]), int(match[3]), is_european=match[2] == ".")
    if match := _MONTH_YEAR.fullmatch(text):
        return build_date(match[2], match[1])
    year = YEAR.search(text)
    return _build_named_date(year[1], text.replace(year[0], " ", 1)) if year else ""


def _write(value: object) -> str:
    """Return a number or a text as text; "" for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _build_local_date(year: str, first: int, second: int, *, is_european: bool) -> str:
    """Return the date of two numbers of which one is the month; only the year if either may be."""
    if is_european or first > 12 or first == second:
        return build_date(year, second, first)
    return build_date(year, first, second) if second > 12 else year


def _build_named_date(year: str, rest: str) -> str:
    """Return the date of a year and a text that may name a month and a day."""
    month = _MONTH.search(rest)
    if month is None:
        return year
    number = _MONTHS.index(month[1].lower()) + 1
    after, before = _MONTH_DAY.match(rest, month.start()), _DAY_MONTH.search(rest)
    if before and before.start(2) == month.start():
        return build_date(year, number, before[1])
    return build_date(year, number, after[2] if after else None)


@lru_cache(1 << 14)  # as _parse_text
def build_date(year: object, month: object = None, day: object = None) -> str:
    """Return a date as ISO 8601, as exact as it is valid; "" without a year.

    Args:
        year: as a number or digits.
        month: as a number, digits or a name ("Jan").
        day: as a number or digits.
    """
    number = _NUMBERS.get(str(month)[:3].lower(), 0)
    try:
        if not number:
            return date(int(str(year)), 1, 1).isoformat()[:4]
        first = date(int(str(year)), number, 1)
    except ValueError:
        return ""
    days = str(day)
    if days.isascii() and days.isdigit() and 0 < int(days[:3]) <= _LENGTHS[number - 1]:
        if int(days) < 29 or number != 2 or isleap(first.year):
            return f"{first.isoformat()[:8]}{int(days):02}"
    return first.isoformat()[:7]


def read_year(value: object) -> int | None:
    """Return the year of the first date of a value, or of a list of them, that has one from 1500 to 2099."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if text := read_date(item):
            return int(text[:4])
    return None


def parse_date(value: object) -> str:
    """Return the first date of a value as read_date does; "" without a month.

    >>> parse_date("2019/05/03/"), parse_date("2012 Oct-Nov"), parse_date("20190503"), parse_date("2019")
    ('2019-05-03', '2012-10', '2019-05-03', '')
    """
    text = read_date(value)
    return text if len(text) > len("2019") else ""


def choose_published(values: Iterable[object], year: object) -> str:
    """Return the most exact of these dates that lies in the year of the record; "" if none has a month.

    A date without a year ("AUG 12") is one in that year.
    """
    texts = [_write(value) for value in values]
    if year:
        texts = [f"{year} {text}" if _MONTH.match(text) and not YEAR.search(text) else text for text in texts]
    dates = [found for text in texts if (found := parse_date(text)) and (not year or found.startswith(str(year)))]
    return max(dates, key=len, default="")


def has_more_than(text: str, known: str) -> bool:
    """Return whether a date, or the rest of it beside the year, says more than the date that was read from it.

    >>> has_more_than("Oct-Dec", "2019-10"), has_more_than("Oct", "2019-10"), has_more_than("Winter", "2019")
    (True, False, True)
    """
    n_parts = len(re.findall(r"[^\W_]+", text))
    if not known:
        return n_parts > 0
    return n_parts + (n_parts > 0 and known[:4] not in text) > len(known.split("-"))
