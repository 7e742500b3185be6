"""What the form offers to narrow a search by, counted once for each generation."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from engine.corpus.facets import Counted, count_years, name_counts
from engine.corpus.storage.store import Corpus
from engine.query.generation import OpenGeneration
from engine.query.index import Index, get_generation

_OFFERED = 300  # names of a kind; others may be typed
_WIDEST = 120  # bars; earlier years share the first one


@dataclass(frozen=True, slots=True)
class Bar:
    """The records of one year, or of all years up to it."""

    first: int
    last: int
    n: int
    height: float  # percent of the highest bar; one record is seen

    @property
    def label(self) -> str:
        """The years and their number in words."""
        years = str(self.last) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{years}: {self.n:,}"


@dataclass(frozen=True, slots=True)
class Facets:
    """Years and names of a generation with the records that have them."""

    bars: tuple[Bar, ...]  # every year between the first and the last, those without a record too
    journals: Counted
    mesh: Counted
    types: Counted


_counted: WeakKeyDictionary[OpenGeneration, Facets] = WeakKeyDictionary()


def read_facets(index: Index) -> Facets:
    """The facets of the generation that an index holds."""
    snapshot = get_generation(index)
    if (found := _counted.get(snapshot)) is None:
        with closing(Corpus(snapshot.corpus.path)) as corpus:  # of its own: counting must not keep answers waiting
            names = [name_counts(corpus, kind, _OFFERED) for kind in ("journal", "mesh", "type")]
            found = _counted[snapshot] = Facets(_build_bars(count_years(corpus)), *names)
    return found


def _build_bars(years: tuple[tuple[int, int], ...]) -> tuple[Bar, ...]:
    """Bars for years with their numbers, earliest first: WIDEST at most."""
    if not years:
        return ()
    counts, last = dict(years), years[-1][0]
    first = max(years[0][0], last - _WIDEST + 1)
    earlier = sum(n for year, n in years if year <= first)
    rows = [(min(years[0][0], first), first, earlier)]
    rows += [(year, year, counts.get(year, 0)) for year in range(first + 1, last + 1)]
    most = max(n for _, _, n in rows)
    return tuple(Bar(low, high, n, max(100 * n / most, 4 * (n > 0))) for low, high, n in rows)
