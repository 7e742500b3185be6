"""Facets for the filters of the search form, counted once per generation."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from engine.corpus.facets import Counted, count_names, count_years
from engine.query.generation import OpenGeneration
from engine.query.index import Index, get_generation

_OFFERED = 300  # suggested names per field; others can be typed
_MAX_BARS = 120  # earlier years share the first bar


@dataclass(frozen=True, slots=True)
class Bar:
    """The number of records of one year, or of all years up to it."""

    first: int
    last: int
    n: int
    height: float  # percent of the highest bar; at least 4 if there is a record, so that it is visible

    @property
    def label(self) -> str:
        """The years and their number of records, as text."""
        years = str(self.last) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{years}: {self.n:,}"


@dataclass(frozen=True, slots=True)
class Facets:
    """The years and names of a generation, with their numbers of records."""

    bars: tuple[Bar, ...]  # every year between the first and the last, including years without records
    journals: Counted
    mesh: Counted
    types: Counted


_counted: WeakKeyDictionary[OpenGeneration, Facets] = WeakKeyDictionary()


def read_facets(index: Index) -> Facets:
    """Return the facets of the open generation of an index."""
    snapshot = get_generation(index)
    if (facets := _counted.get(snapshot)) is None:
        with closing(snapshot.corpus.open_again()) as corpus:  # own connection: counting must not block answers
            names = [count_names(corpus, kind, _OFFERED) for kind in ("journal", "mesh", "type")]
            facets = _counted[snapshot] = Facets(_build_bars(count_years(corpus)), *names)
    return facets


def _build_bars(years: tuple[tuple[int, int], ...]) -> tuple[Bar, ...]:
    """Return at most _MAX_BARS bars for pairs of year and number of records, earliest year first."""
    if not years:
        return ()
    counts, last = dict(years), years[-1][0]
    first = max(years[0][0], last - _MAX_BARS + 1)
    earlier = sum(n for year, n in years if year <= first)
    rows = [(min(years[0][0], first), first, earlier)]
    rows += [(year, year, counts.get(year, 0)) for year in range(first + 1, last + 1)]
    most = max(n for _, _, n in rows)
    return tuple(Bar(low, high, n, max(100 * n / most, 4 * (n > 0))) for low, high, n in rows)
