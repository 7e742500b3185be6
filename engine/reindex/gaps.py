"""Numbers that are missing between PubMed's files: what they would change or delete is missing in the index."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from engine.reindex.sources import release_of

_PER_YEAR = 10_000


def find_gaps(names: Iterable[str]) -> tuple[str, ...]:
    """Return the files that are missing between the lowest and the highest number of each year.

    A year's baseline begins at 0001 and its update files go on from there, so what lies between any two files of one
    year should be there too. Nothing is known of what comes before the first of a year: an index may be made without
    the baseline. Names that are not PubMed's do not count.

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
    """Return the name of a release, without the ending."""
    year, number = divmod(release, _PER_YEAR)
    return f"pubmed{year % 100:02d}n{number:04d}"
