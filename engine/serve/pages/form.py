"""The search form: its fields, and the canonical URL of what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.config import Settings
from engine.corpus.facets import Counted
from engine.errors import ConfigError, UsageError
from engine.options import BY_FIELD, DEFAULT_MODE, FILTERS, MODES, NO_RERANKER, RANKING, Mode, ValueKind, parse_years
from engine.query.index import Index, get_generation
from engine.query.opening.rerankers import find_named, list_rerankers
from engine.serve.http.limits import MAX_HITS
from engine.serve.pages.links import Pairs, State
from engine.serve.request.parameters import BOOLEANS, FLAGS, SEARCH, WHOLE, Parameter, RequestValues
from engine.serve.work.facets import Bar, Facets, read_facets

_FROM = Parameter("from", "First year.", ValueKind.INTEGER, low=1000, high=9999)
_TO = Parameter("to", "Last year.", ValueKind.INTEGER, low=1000, high=9999)
_VIEWS = {"compact": "Compact", "abstract": "Abstracts"}  # how much of each hit is shown, and its label; default first
_VIEW = Parameter("view", "How much of each hit is shown.", choices=tuple(_VIEWS))
UNSEEN = (_VIEW.name,)  # parameters that change how a page looks, and not what is found
PAGE = (*SEARCH, _FROM, _TO, _VIEW)
_FIRST = ("sort", "type", "journal", "mesh")  # fields at the top, in this order
FURTHER = ("where", "group_by", "n", "explain")  # fields that are folded away
FIELDS = tuple(  # the years have two fields of their own
    sorted(
        (option for option in (*FILTERS, *RANKING) if option.form_label),
        key=lambda option: _FIRST.index(option.name) if option.name in _FIRST else len(_FIRST),
    )
)
_OWN_FIELDS = {"q", "mode", "n", "explain", "i", "from", "to"} | {o.name for o in FIELDS if not o.kind.is_repeatable}
HIDDEN = {option.name for option in FILTERS if option.kind is ValueKind.IDS} | set(UNSEEN)
_FLAG_NAMES = {parameter.name for parameter in SEARCH if parameter.kind in BOOLEANS}
_WHOLE_NAMES = {parameter.name for parameter in SEARCH if parameter.kind is ValueKind.INTEGER}
_MODE_LABELS: dict[Mode, str] = {"semantic": "meaning", "keyword": "words", "hybrid": "both"}
_NOT_RERANKED = "not reranked"
_PER_PAGE = (10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class _Form:
    """The content of the search form."""

    state: State
    facets: Facets
    first_year: str
    last_year: str
    kept: Pairs  # parameters without a field: hidden, or repeatable ones as checked boxes
    rerankers: tuple[tuple[str, str], ...] = ()  # value and label of the choices of a second stage; empty: no field

    @property
    def default_size(self) -> int:
        """The number of hits per page where none is given."""
        return int(BY_FIELD["top_k"].default)

    @property
    def sizes(self) -> list[int]:
        """The choices of hits per page: the usual ones, and the current one."""
        now = self.get_value("n")
        return sorted({*_PER_PAGE, *([int(now)] if WHOLE.fullmatch(now) and 0 < int(now) <= MAX_HITS else [])})

    @property
    def modes(self) -> list[tuple[str, str, bool]]:
        """The choices of a ranking: the value that is sent, "" for the default; its label; and whether it is chosen."""
        chosen = self.get_value("mode", DEFAULT_MODE)
        ordered = sorted(MODES, key=lambda mode: mode != DEFAULT_MODE)
        return [("" if mode == DEFAULT_MODE else mode, _MODE_LABELS[mode], mode == chosen) for mode in ordered]

    def get_value(self, name: str, otherwise: str = "") -> str:
        """Return the first value of a field; otherwise, without a value."""
        return next((value for key, value in self.state.pairs if key == name), otherwise)

    @property
    def known(self) -> dict[str, Counted]:
        """The suggested names of each field, with their numbers of records."""
        return {"journal": self.facets.journals, "mesh": self.facets.mesh, "type": self.facets.types}

    @property
    def is_further(self) -> bool:
        """Whether a field that is folded away has a value."""
        return any(name in FURTHER for name, _ in self.state.pairs)

    def is_within(self, bar: Bar) -> bool:
        """Return whether the years of a bar overlap the range of the form."""
        return _read_form_year(self.first_year, 0) <= bar.last and bar.first <= _read_form_year(self.last_year, 9999)


def is_canonical(pairs: Pairs) -> bool:
    """Return whether parameters are in the form that `canonicalise` returns."""
    return all(name not in ("from", "to") and value == _tidy_value(name, value) != "" for name, value in pairs)


def canonicalise(pairs: Pairs, allowed: tuple[Parameter, ...] = PAGE) -> State:
    """Return parameters in canonical form: no blank or repeated values, one spelling, one range of years.

    Raises:
        UsageError: the last year is before the first, or a value is invalid.
    """
    values = RequestValues(pairs, allowed)
    low, high = values.get_text("from").strip(), values.get_text("to").strip()
    if low and high and int(low) > int(high):
        raise UsageError(f"the last year is before the first: {low} to {high}")
    kept = [(name, _tidy_value(name, value)) for name, value in pairs if value.strip() and name not in ("from", "to")]
    if low or high:
        kept = [pair for pair in kept if pair[0] != "year"] + [("year", _tidy_value("year", f"{low}-{high}"))]
    return State(tuple(dict.fromkeys(kept)))


def _tidy_value(name: str, value: str) -> str:
    """Return a value in its canonical spelling; "" if blank. An invalid value is unchanged; reading it raises."""
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
    """Return the form filled with the state of the page."""
    years = [value for name, value in state.pairs if name == "year"]
    low, high = (next((value for name, value in state.pairs if name == end), "") for end in ("from", "to"))
    if not (low or high) and len(years) == 1:
        low, high = _split_range(years[0])
    rerankers = _list_reranker_choices(index, next((value for name, value in state.pairs if name == "rerank"), ""))
    own = _OWN_FIELDS | ({"rerank"} if rerankers else set())
    kept = tuple(
        (name, value)
        for name, value in state.start_over().pairs
        if name not in own and (name != "year" or not (low or high))
    )
    return _Form(state, read_facets(index), low, high, kept, rerankers)


def build_view_choices(state: State) -> list[tuple[str, str, str, bool]]:
    """Return value, label and URL of each choice of how much of a hit is shown, and whether it is chosen."""
    usual = next(iter(_VIEWS))
    chosen = next((value for name, value in state.pairs if name == _VIEW.name), usual)
    others = state.drop_names(UNSEEN)
    return [
        (
            view,
            label,
            (others if view == usual else State((*others.pairs, (_VIEW.name, view)))).build_address("/"),
            view == chosen,
        )
        for view, label in _VIEWS.items()
    ]


def _list_reranker_choices(index: Index, chosen: str) -> tuple[tuple[str, str], ...]:
    """Return value and label of each choice of a second stage, what index.toml says first.

    There are the rerankers of the index, and the one that is chosen. None if index.toml names none and the index has
    none, or if index.toml can't be read, which the search reports.
    """
    try:
        settings = Settings.load(index.path)
    except ConfigError:
        return ()
    known, named = list_rerankers(get_generation(index).folder), settings.rerank_model
    if named in (None, NO_RERANKER) and not known:
        return ()
    found = find_named(known, named or NO_RERANKER, settings.rerank_precision)
    usual = found[0].short_name if found else Path(named or "").name  # without the folders above it
    names = dict.fromkeys(one.short_name for one in known if one.precision == settings.rerank_precision)
    first = ("", _NOT_RERANKED) if named in (None, NO_RERANKER) else ("", f"by {usual}")
    others = [(NO_RERANKER, _NOT_RERANKED)] if first[1] != _NOT_RERANKED else []
    others += [(name, f"by {name}") for name in names if name != usual]
    if chosen not in ("", NO_RERANKER, *(value for value, _ in others)):
        others.append((chosen, f"by {chosen[:40]}"))
    return (first, *others)


def _read_form_year(text: str, otherwise: int) -> int:
    """Return the year in a field; otherwise, if it holds no year."""
    try:
        return int(text)
    except ValueError:
        return otherwise


def _split_range(years: str) -> tuple[str, str]:
    """Return first and last year of a range, "" for an open end; both "" if it is not a range."""
    try:
        low, high = parse_years(years)
    except UsageError:
        return "", ""
    return f"{low:04d}" if low else "", f"{high:04d}" if high else ""
