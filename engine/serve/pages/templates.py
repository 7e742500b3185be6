"""Rendering of the page templates, with all values escaped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engine import __version__
from engine.phrases import format_moment, pluralize
from engine.serve.http.limits import MAX_IDS, MAX_TEXT
from engine.serve.http.prefix import link

_HAS_REVIEW: ContextVar[bool] = ContextVar("has_review", default=False)


@contextlib.contextmanager
def link_review() -> Iterator[None]:
    """Put a link to the review on every page while a request is answered."""
    token = _HAS_REVIEW.set(True)
    try:
        yield
    finally:
        _HAS_REVIEW.reset(token)


@cache
def _get_environment() -> Environment:
    """Return the Jinja environment with the templates of this package."""
    environment = Environment(
        loader=PackageLoader("engine.serve.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["grouped"] = "{:,}".format
    environment.filters["number"] = "{:06d}".format
    environment.filters["pluralize"] = pluralize
    environment.filters["moment"] = format_moment
    environment.globals |= {"version": __version__, "max_text": MAX_TEXT, "max_ticks": MAX_IDS, "link": link}
    environment.globals["has_review"] = _HAS_REVIEW.get
    return environment


def render_page(name: str, **values: Any) -> bytes:
    """Render a template in UTF-8, with "?" for lone surrogates."""
    return _get_environment().get_template(f"{name}.html").render(**values).encode("utf-8", "replace")
