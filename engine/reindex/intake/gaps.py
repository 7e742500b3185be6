"""Gaps in the numbers of PubMed's files. The changes and deletions of a missing file are not in the index."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from engine.reindex.intake.sources import release_of

_PER_YEAR = 10_000


def find_gaps(names: Iterable[str]) -> tuple[str, ...]:
    """Return the files that are missing between the lowest and the highest number of each year.

    The baseline of a year begins at 0001 and its update files continue the numbers, so there should be no gap between
    two files of a year. Files before the first one are not reported, since an index may be made without the baseline.
    Other names are ignored.

    >>> find_gaps(["pubmed26n1300.xml.gz", "pubmed26n1302.xml.gz", "pubmed26n1306.xml.gz"])
    ('pubmed26n1301', 'pubmed26n1303 to pubmed26n1305')
    """
    releases = sorted({release for name in names if (release := release_of(name))})
    gaps = []
    for before, after in pairwise(releases):
        first, last = before + 1, after - 1
        if first <= last and before // _PER_YEAR == after // _PER_YEAR:
            gaps.append(_name_of(first) if first == last else f"{_name_of(first)} to {_name_of(last)}")
    return tuple(gaps)


def _name_of(release: int) -> str:
    """Return the name of a release without its extension."""
    year, number = divmod(release, _PER_YEAR)
    return f"pubmed{year % 100:02d}n{number:04d}"
