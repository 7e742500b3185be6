"""What the programs that ask for documents give, an open index, and what they take: texts with plain metadata."""

from __future__ import annotations

from typing import Any

from engine.arguments import show_value
from engine.errors import UsageError
from engine.query.index import Index
from engine.records.answer import Hit
from engine.references.values.fields import list_hit_fields


def check_index(value: object) -> Index:
    """Return an open index.

    Raises:
        UsageError: it is none, such as the path of one.
    """
    if not isinstance(value, Index):
        raise UsageError(f"index is {show_value(value)}, expected an open one: open_index('indexes/rheumatology')")
    return value


def build_text(hit: Hit) -> str:
    """Return title and abstract of a hit, with a blank line between; if one is missing, the other."""
    return "\n\n".join(part for part in (hit.title, hit.abstract) if part)


def build_metadata(hit: Hit) -> dict[str, Any]:
    """Return everything else of a hit: rank, id, score (cosine), title, year, journal, authors, pmid, doi, retracted.

    Values are text, numbers, booleans, lists of text or None. Scores that the mode lacks are left out.
    """
    found = list_hit_fields(hit)
    return {name: value for name, value in found.items() if name not in ("abstract", "why")}
