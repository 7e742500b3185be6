"""Pages from templates. Everything in them is escaped, whatever a record holds."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engine import __version__


@cache
def library() -> Environment:
    """The templates of this package."""
    made = Environment(
        loader=PackageLoader("engine.serve", "templates"),
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


@cache
def templates_sha256() -> str:
    """SHA-256 over all templates, so that pages kept by a browser go by them too."""
    loader = library().loader
    assert loader is not None
    sources = (loader.get_source(library(), name)[0] for name in sorted(library().list_templates()))
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def page(name: str, **values: Any) -> bytes:
    """A page in UTF-8; what UTF-8 can't hold becomes a question mark."""
    return library().get_template(f"{name}.html").render(**values).encode("utf-8", "replace")
