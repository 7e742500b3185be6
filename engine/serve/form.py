"""The form of the search page: what is in it, and how it is sent becomes the address of a page."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import UsageError
from engine.query.searcher import Index
from engine.serve.facets import Bar, Facets, facets_of
from engine.serve.links import Pairs, State
from engine.serve.parameters import SEARCH, Given, Kind, Parameter

FROM = Parameter("from", "First year.", Kind.WHOLE, low=0, high=9999)
TO = Parameter("to", "Last year.", Kind.WHOLE, low=0, high=9999)
PAGE = (*SEARCH, FROM, TO)
SHOWN = ("q", "mode", "n", "explain", "retracted", "has_abstract", "i")  # have a field of their own, with one value
TYPED = (("journal", "Journal"), ("mesh", "MeSH heading"), ("type", "Publication type"), ("author", "Author"))
PER_PAGE = (10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Form:
    """What the form shows."""

    state: State
    facets: Facets
    first_year: str
    last_year: str
    kept: Pairs  # what has no field of its own goes along unseen, journals and the like as boxes that can be unticked

    def value(self, name: str, otherwise: str = "") -> str:
        """What a field holds."""
        return next((value for key, value in self.state.pairs if key == name), otherwise)

    def is_within(self, bar: Bar) -> bool:
        """Whether the years asked for hold those of a bar."""
        low, high = self.first_year, self.last_year
        return int(low if low.isdecimal() else 0) <= bar.last and bar.first <= int(high if high.isdecimal() else 9999)


def is_canonical(pairs: Pairs) -> bool:
    """Whether an address says what it says in the shortest way: nothing blank, years as one range."""
    return all(value.strip() and name not in ("from", "to") for name, value in pairs)


def canonical(pairs: Pairs) -> State:
    """The same without what is blank, each value of a name once, with first and last year as one range in `year`.

    Raises:
        UsageError: the last year is before the first.
    """
    given = Given(pairs, PAGE)
    low, high = given.text("from").strip(), given.text("to").strip()
    if low and high and int(low) > int(high):
        raise UsageError(f"the years end before they begin: {low} to {high}")
    kept = [(name, value) for name, value in pairs if value.strip() and name not in ("from", "to")]
    if low or high:
        kept = [pair for pair in kept if pair[0] != "year"] + [("year", f"{low}-{high}" if low != high else low)]
    return State(tuple(dict.fromkeys(kept)))


def form_of(index: Index, state: State) -> Form:
    """The form with what it was sent with."""
    years = [value for name, value in state.pairs if name == "year"]
    low, high = split(years[0]) if len(years) == 1 else ("", "")
    kept = tuple(
        (name, value)
        for name, value in state.from_first().pairs
        if name not in SHOWN and (name != "year" or len(years) > 1)
    )
    return Form(state, facets_of(index), low, high, kept)


def split(years: str) -> tuple[str, str]:
    """First and last year of a range as it was given."""
    low, dash, high = years.strip().partition("-")
    return low, high if dash else low
