"""Parts of a large result set of PubMed, each small enough to be listed: by days of entry, then by PMID."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from engine.collect.fetch.eutilities import MAX_LISTED, SearchAnswer

_FIRST_DAY, _LAST_DAY = date(1700, 1, 1), date(3000, 12, 31)  # every record entered PubMed between them
_MAX_PMID = 999_999_999
_STARTS = (1990, 2000, 2010, 2015, 2020, 2023)  # years that begin a first part: each has some millions of records


@dataclass(frozen=True, slots=True)
class ResultPart:
    """A part of a result set: all of it, unless it is limited."""

    days: tuple[date, date] | None = None  # of entry, both included
    is_dated: bool = True  # False: only records without a day of entry
    pmids: tuple[int, int] | None = None  # both included

    @property
    def key(self) -> str:
        """Name of the part: "1998-03-01..1998-03-31", "all"."""
        days = "..".join(map(str, self.days)) if self.days else "" if self.is_dated else "undated"
        pmids = "..".join(map(str, self.pmids)) if self.pmids else ""
        return " ".join(filter(None, (days, pmids))) or "all"

    def limit_term(self, query: str) -> str:
        """Return the query for this part, without the days."""
        term = query
        if not self.is_dated:
            span = " : ".join(f'"{day:%Y/%m/%d}"[edat]' for day in (_FIRST_DAY, _LAST_DAY))
            term = f"({term}) NOT ({span})"
        if self.pmids:
            low, high = self.pmids
            term = f"({term}) AND {low}:{high}[uid]"
        return term

    @property
    def limits(self) -> dict[str, str]:
        """The fields of esearch that limit the days."""
        if self.days is None:
            return {}
        first, last = (f"{day:%Y/%m/%d}" for day in self.days)
        return {"datetype": "edat", "mindate": first, "maxdate": last}

    def halve(self) -> tuple[ResultPart, ...]:
        """Return two parts that make up this one; none for a single record."""
        if self.days and self.days[0] < self.days[1]:
            first, last = self.days
            middle = first + (last - first) // 2
            return replace(self, days=(first, middle)), replace(self, days=(middle + timedelta(days=1), last))
        low, high = self.pmids or (1, _MAX_PMID)
        half = (low + high) // 2
        return (replace(self, pmids=(low, half)), replace(self, pmids=(half + 1, high))) if low < high else ()


def _list_spans(today: date) -> list[ResultPart]:
    """Return parts by days that make up all records with a day of entry, the oldest first."""
    starts = [_FIRST_DAY, *(date(year, 1, 1) for year in _STARTS if year < today.year), today + timedelta(days=1)]
    ends = [start - timedelta(days=1) for start in starts[1:]] + [_LAST_DAY]
    return [ResultPart(days=days) for days in zip(starts, ends, strict=True)]


def list_parts(
    begin: Callable[[ResultPart], Callable[[], SearchAnswer]], today: date
) -> Iterator[tuple[ResultPart, SearchAnswer]]:
    """Yield the parts of a result set that PubMed lists whole, with what it lists; the oldest first.

    Records without a day of entry are searched for only if the days lack some of all records.

    Args:
        begin: begins a search for the records of a part, and returns what waits for the answer.
        today: the day that the search began; few records are newer.

    Raises:
        TransferError: a search failed.
    """
    whole = ResultPart()
    answer = begin(whole)()
    if answer.count <= MAX_LISTED:
        yield whole, answer
        return
    n_dated = 0
    for part, found in _divide([(part, begin(part)) for part in _list_spans(today)], begin):
        n_dated += found.count
        yield part, found
    if n_dated < answer.count:
        undated = ResultPart(is_dated=False)
        yield from _divide([(undated, begin(undated))], begin)


def _divide(
    begun: list[tuple[ResultPart, Callable[[], SearchAnswer]]],
    begin: Callable[[ResultPart], Callable[[], SearchAnswer]],
) -> Iterator[tuple[ResultPart, SearchAnswer]]:
    """Yield parts that PubMed lists whole, in order; larger ones are halved, and both halves searched for at once."""
    pending = begun[::-1]
    while pending:
        part, finish = pending.pop()
        answer = finish()
        halves = part.halve() if answer.count > MAX_LISTED else ()
        if not halves and answer.count:
            yield part, answer
        pending += [(half, begin(half)) for half in halves][::-1]
