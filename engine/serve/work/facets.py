"""Facets for the filters of the search form, counted once per generation."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from weakref import WeakKeyDictionary

from engine.corpus.facets import Counted, count_names, count_values, count_years
from engine.options import Query
from engine.query.answers.grouping import count_facets
from engine.query.index import Index, get_generation
from engine.query.opening.generation import OpenGeneration
from engine.records.generation import DocIds

_OFFERED = 300  # suggested names per field; others can be typed
_MAX_BARS = 120  # earlier years share the first bar
_FEW = 0.01  # of the records, which also share the first bar if their years would take more than half the width
_LISTED = 20  # values of a field that are shown with their numbers
_COUNTED = 100_000  # records of an index; in a larger one, the numbers are those of the whole index
_LISTS = ("type", "journal", "mesh", "source", "database", "language", "label")  # fields that have lists


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
    lists: tuple[tuple[str, Counted], ...] = ()  # the most frequent values of each field that is listed


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """The most frequent values of each listed field among the records that qualify, "" for no value."""

    lists: tuple[tuple[str, Counted], ...]
    is_whole: bool  # whether the numbers are those of the whole index, though fewer records qualify


_counted: WeakKeyDictionary[OpenGeneration, Facets] = WeakKeyDictionary()


def read_facets(index: Index) -> Facets:
    """Return the facets of the open generation of an index."""
    snapshot = get_generation(index)
    if (facets := _counted.get(snapshot)) is None:
        with closing(snapshot.corpus.open_again()) as corpus:  # own connection: counting must not block answers
            journals, mesh, types = (count_names(corpus, kind, _OFFERED) for kind in ("journal", "mesh", "type"))
            lists = [(field, count_values(corpus, field)[:_LISTED]) for field in _list_fields(snapshot)]
            facets = _counted[snapshot] = Facets(_build_bars(count_years(corpus)), journals, mesh, types, tuple(lists))
    return facets


def _list_fields(snapshot: OpenGeneration) -> tuple[str, ...]:
    """Return the fields whose values are listed; in a large index not the sources, which take long to count."""
    is_large = snapshot.vectors.size > _COUNTED
    return tuple(field for field in _LISTS if field != "source" or not is_large)


def count_qualified(index: Index, query: Query, only: DocIds | None = None) -> FieldCounts:
    """Count the most frequent values of each listed field among the records that qualify for a checked query.

    only: doc ids (ascending) among which they are counted.
    """
    snapshot, whole = get_generation(index), read_facets(index).lists
    if snapshot.vectors.size > _COUNTED:
        return FieldCounts(whole, is_whole=True)
    several = [field for field, counted in whole if len(counted) > 1]  # of one value there is nothing to choose
    found = count_facets(snapshot, query, several, _LISTED, only)
    return FieldCounts(whole if found is None else tuple(found.items()), is_whole=False)


def _build_bars(years: tuple[tuple[int, int], ...]) -> tuple[Bar, ...]:
    """Return at most _MAX_BARS bars for pairs of year and number of records, earliest year first."""
    if not years:
        return ()
    counts, last = dict(years), years[-1][0]
    first = max(_find_first(years), last - _MAX_BARS + 1)
    earlier = sum(n for year, n in years if year <= first)
    rows = [(min(years[0][0], first), first, earlier)]
    rows += [(year, year, counts.get(year, 0)) for year in range(first + 1, last + 1)]
    most = max(n for _, _, n in rows)
    return tuple(Bar(low, high, n, max(100 * n / most, 4 * (n > 0))) for low, high, n in rows)


def _find_first(years: tuple[tuple[int, int], ...]) -> int:
    """Return the first year that has a bar of its own but for the number of bars: a later one if few are far before."""
    sums = list(accumulate(n for _, n in years))
    early, last = years[0][0], years[-1][0]
    first = next(year for (year, _), total in zip(years, sums, strict=True) if total > _FEW * sums[-1])
    return first if first - early > last - first else early
