"""What can be asked of the server: the addresses, each with its parameters and the kinds of its answers."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.references.formats import FORMATS
from engine.serve.request.decisions import OWN
from engine.serve.request.parameters import Parameter

FORM = "application/x-www-form-urlencoded"
FORM_TOKEN = "X-Form-Token"  # the header in which a script sends the token of a form
FILES = tuple(dict.fromkeys(known.media_type for known in FORMATS.values()))


class Audience(StrEnum):
    """Who an address is for."""

    PROGRAMS = "api"
    PAGES = "pages"  # people, and the scripts of their pages
    REVIEWERS = "review"  # these too, on a server that keeps the decisions of a review


@dataclass(frozen=True, slots=True)
class Operation:
    """One address."""

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    parameters: tuple[Parameter, ...]  # of its URL
    answers: tuple[str, ...]  # names of the schemas of JSON answers, or media types
    audience: Audience = Audience.PAGES
    fields: tuple[Parameter, ...] = ()  # of the form, or for programs of the JSON object, that is sent to it
    is_by_decision: bool = False  # whether reviewers may limit it to what they decided
    redirects: bool = False  # whether it may answer with another address
    removes: bool = False  # whether it is asked by DELETE

    @property
    def method(self) -> str:
        """The method by which it is asked."""
        return "POST" if self.fields else "DELETE" if self.removes else "GET"

    @property
    def route(self) -> Route:
        """The route to its handler."""
        return Route(self.path, self.handler, methods=[self.method])

    @property
    def name(self) -> str:
        """A name that no other address has.

        >>> Operation("/map/list", None, (), ()).name
        'page_map_list'
        """
        words = self.path.removeprefix("/api/v1").strip("/").replace("/", "_").replace(".", "_")
        words = f"remove_{words}" if self.removes else words
        return words if self.audience is Audience.PROGRAMS else f"page_{words}".rstrip("_")

    @property
    def summary(self) -> str:
        """The first line of the docstring of its handler."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]

    def add_own(self) -> Operation:
        """Return the address as it is where reviewers search: with the parameters of decisions, if it may have them."""
        return replace(self, parameters=(*self.parameters, *OWN)) if self.is_by_decision else self
