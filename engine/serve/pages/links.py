"""URLs of pages, which hold the whole state of a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from engine.serve.http.prefix import link

_PAGING = ("offset", "format", "tick")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class State:
    """The state of a page as names and values of its URL. Methods that change it also go back to the first hit."""

    pairs: Pairs

    def __str__(self) -> str:
        return urlencode(self.pairs, errors="replace")

    def build_address(self, path: str) -> str:
        """Return the URL of a page at this path within the site, in this state."""
        return f"{link(path)}?{self}" if self.pairs else link(path)

    def set_value(self, name: str, value: object) -> State:
        """Return the state with a single value for a name, at the first hit."""
        kept = self.drop_value(name).pairs
        return State((*kept, (name, str(value))))

    def add_value(self, name: str, value: str) -> State:
        """Return the state with another value for a name, at the first hit."""
        return State((*self.start_over().pairs, (name, value)))

    def drop_value(self, name: str, value: str | None = None) -> State:
        """Return the state without a name, or without one value of it, at the first hit."""
        return State(tuple(p for p in self.start_over().pairs if p[0] != name or value not in (None, p[1])))

    def start_over(self) -> State:
        """Return the state at the first hit, without export parameters."""
        return State(tuple(pair for pair in self.pairs if pair[0] not in _PAGING))

    def drop_names(self, names: Iterable[str]) -> State:
        """Return the state without these names, at the same hit."""
        unwanted = set(names)
        return State(tuple(pair for pair in self.pairs if pair[0] not in unwanted))

    def keep_names(self, names: Iterable[str]) -> State:
        """Return the state with only these names."""
        wanted = set(names)
        return State(tuple(pair for pair in self.pairs if pair[0] in wanted))
