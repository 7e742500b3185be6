"""Addresses of the pages, with all that they show in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

_PAGING = ("offset", "format", "tick")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class State:
    """What a page shows, as names and values."""

    pairs: Pairs

    def __str__(self) -> str:
        return urlencode(self.pairs, errors="replace")

    def build_address(self, path: str) -> str:
        """The address of a page that shows this."""
        return f"{path}?{self}" if self.pairs else path

    def set_value(self, name: str, value: object) -> State:
        """The same with one value for a name, from the first hit on."""
        kept = self.drop_value(name).pairs
        return State((*kept, (name, str(value))))

    def add_value(self, name: str, value: str) -> State:
        """The same with one more value for a name, from the first hit on."""
        return State((*self.start_over().pairs, (name, value)))

    def drop_value(self, name: str, value: str | None = None) -> State:
        """The same without a name, or without one value of it, from the first hit on."""
        return State(tuple(p for p in self.start_over().pairs if p[0] != name or value not in (None, p[1])))

    def start_over(self) -> State:
        """The same from the first hit on."""
        return State(tuple(pair for pair in self.pairs if pair[0] not in _PAGING))

    def keep_names(self, names: Iterable[str]) -> State:
        """Just some of the names."""
        wanted = set(names)
        return State(tuple(pair for pair in self.pairs if pair[0] in wanted))
