"""The form of the search page: what is in it, and how it is sent becomes the address of a page."""

from __future__ import annotations

from dataclasses import dataclass

from engine.corpus.facets import Counted
from engine.errors import UsageError
from engine.options import FILTERS, ValueKind, parse_years
from engine.query.index import Index
from engine.serve.http.limits import MAX_HITS
from engine.serve.pages.links import Pairs, State
from engine.serve.request.parameters import BOOLEANS, FLAGS, SEARCH, WHOLE, Parameter, RequestValues
from engine.serve.work.facets import Bar, Facets, read_facets

_FROM = Parameter("from", "First year.", ValueKind.INTEGER, low=1000, high=9999)
_TO = Parameter("to", "Last year.", ValueKind.INTEGER, low=1000, high=9999)
PAGE = (*(one for one in SEARCH if one.name != "group_by"), _FROM, _TO)  # nothing is counted on a page
FIELDS = tuple(option for option in FILTERS if option.form_label)  # years have one of their own
_OWN_FIELDS = {"q", "mode", "n", "explain", "i", "from", "to"} | {o.name for o in FIELDS if not o.kind.is_repeatable}
HIDDEN = {option.name for option in FILTERS if option.kind is ValueKind.IDS}
_FLAG_NAMES = {parameter.name for parameter in SEARCH if parameter.kind in BOOLEANS}
_WHOLE_NAMES = {parameter.name for parameter in SEARCH if parameter.kind is ValueKind.INTEGER}
_PER_PAGE = (10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class _Form:
    """What the form shows."""

    state: State
    facets: Facets
    first_year: str
    last_year: str
    kept: Pairs  # what has no field of its own goes along unseen, journals and the like as boxes that can be unticked

    @property
    def sizes(self) -> list[int]:
        """Hits a page that can be chosen: the usual ones, and what is asked for now."""
        now = self.get_value("n")
        return sorted({*_PER_PAGE, *([int(now)] if WHOLE.fullmatch(now) and 0 < int(now) <= MAX_HITS else [])})

    def get_value(self, name: str, otherwise: str = "") -> str:
        """What a field holds."""
        return next((value for key, value in self.state.pairs if key == name), otherwise)

    @property
    def known(self) -> dict[str, Counted]:
        """Names that a field offers, with the number of their records."""
        return {"journal": self.facets.journals, "mesh": self.facets.mesh, "type": self.facets.types}

    def is_within(self, bar: Bar) -> bool:
        """Whether the years asked for hold those of a bar."""
        return _read_form_year(self.first_year, 0) <= bar.last and bar.first <= _read_form_year(self.last_year, 9999)


def is_canonical(pairs: Pairs) -> bool:
    """Whether an address says what it says in the one way that `canonicalise` does."""
    return all(name not in ("from", "to") and value == _tidy_value(name, value) != "" for name, value in pairs)


def canonicalise(pairs: Pairs) -> State:
    """The same without what is blank, each value of a name once and in one spelling, first and last year as one range.

    Raises:
        UsageError: the last year is before the first, or a value that can't be.
    """
    given = RequestValues(pairs, PAGE)
    low, high = given.get_text("from").strip(), given.get_text("to").strip()
    if low and high and int(low) > int(high):
        raise UsageError(f"the years end before they begin: {low} to {high}")
    kept = [(name, _tidy_value(name, value)) for name, value in pairs if value.strip() and name not in ("from", "to")]
    if low or high:
        kept = [pair for pair in kept if pair[0] != "year"] + [("year", _tidy_value("year", f"{low}-{high}"))]
    return State(tuple(dict.fromkeys(kept)))


def _tidy_value(name: str, value: str) -> str:
    """A value in the spelling that pages use; one that can't be stays as it is, to be refused where it is read."""
    if not value.strip():
        return ""
    if name in _FLAG_NAMES:
        known = FLAGS.get(value.strip().lower())
        return value if known is None else str(known).lower()
    if name in _WHOLE_NAMES and WHOLE.fullmatch(value.strip()):
        return str(int(value.strip()))
    if name == "year":
        low, high = _split_range(value)
        return (low if low == high else f"{low}-{high}") if low or high else value
    return value


def build_form(index: Index, state: State) -> _Form:
    """The form with what it was sent with."""
    years = [value for name, value in state.pairs if name == "year"]
    low, high = (next((value for name, value in state.pairs if name == end), "") for end in ("from", "to"))
    if not (low or high) and len(years) == 1:
        low, high = _split_range(years[0])
    kept = tuple(
        (name, value)
        for name, value in state.start_over().pairs
        if name not in _OWN_FIELDS and (name != "year" or not (low or high))
    )
    return _Form(state, read_facets(index), low, high, kept)


def _read_form_year(text: str, otherwise: int) -> int:
    """The year that a field holds; another where it holds none."""
    try:
        return int(text)
    except ValueError:
        return otherwise


def _split_range(years: str) -> tuple[str, str]:
    """First and last year of a range, "" where it is open; both "" where it is no range."""
    try:
        low, high = parse_years(years)
    except UsageError:
        return "", ""
    return f"{low:04d}" if low else "", f"{high:04d}" if high else ""
