"""Template values of facets: the values of a field, with the URL of the search limited to each."""

from __future__ import annotations

from dataclasses import dataclass

from engine.options import FILTERS
from engine.records.generation import DocIds
from engine.serve.pages.links import State
from engine.serve.work.decisionsets import BY_DECISION, BY_LABEL, DecidedRecords
from engine.serve.work.facets import FieldCounts

_SHOWN = 5  # values that are seen at once; the others are folded away
_OWN = {BY_DECISION: "Your decisions", BY_LABEL: "Your labels"}
_LABELS = {option.name: option.form_label or option.chip.capitalize() for option in FILTERS}


@dataclass(frozen=True, slots=True)
class _FacetValue:
    """A value of a field, how many records have it, and the URL of the search limited to them."""

    value: str
    records: int
    href: str


@dataclass(frozen=True, slots=True)
class _FacetView:
    """The most frequent values of a field."""

    label: str
    shown: tuple[_FacetValue, ...]
    folded: tuple[_FacetValue, ...]


def build_own_views(decided: DecidedRecords, among: DocIds | None, state: State) -> dict[str, _FacetView]:
    """Return the facets of decisions and of the reviewers' labels, by the names of their parameters.

    A facet is left out if the search is limited by it already; that of decisions, too, if all records have the same.

    among: doc ids, ascending, of the records that the search allows; None stands for all.
    """
    views = {}
    for name, label in _OWN.items():
        counted = decided.count(name, among)
        if counted and not any(each == name for each, _ in state.pairs) and (name == BY_LABEL or len(counted) > 1):
            values = tuple(
                _FacetValue(value, n, state.set_value(name, value).build_address("/")) for value, n in counted
            )
            views[name] = _FacetView(label, values[:_SHOWN], values[_SHOWN:])
    return views


def build_facet_views(counts: FieldCounts, state: State) -> dict[str, _FacetView]:
    """Return the facets by the names of their fields: those that can narrow the search.

    Values of one filter are alternatives, so another one would widen it: a field that is filtered has no facet.
    """
    filtered = {name for name, _ in state.pairs}
    views = {}
    for name, counted in counts.lists:
        values = tuple(
            _FacetValue(value, n, state.set_value(name, value).build_address("/")) for value, n in counted if value
        )
        if values and len(counted) > 1 and name not in filtered:
            views[name] = _FacetView(_LABELS[name], values[:_SHOWN], values[_SHOWN:])
    return views
