"""Pages from templates. Everything in them is escaped, whatever a record holds."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engine import __version__


@cache
def _get_environment() -> Environment:
    """The templates of this package."""
    made = Environment(
        loader=PackageLoader("engine.serve.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["grouped"] = "{:,}".format
    made.filters["number"] = "{:06d}".format
    made.globals["version"] = __version__
    return made


def render_page(name: str, **values: Any) -> bytes:
    """A page in UTF-8; what UTF-8 can't hold becomes a question mark."""
    return _get_environment().get_template(f"{name}.html").render(**values).encode("utf-8", "replace")
