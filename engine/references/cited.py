"""A hit with its record: what a file of references is made of."""

from __future__ import annotations

from dataclasses import dataclass

from engine.queries import Answer, Hit
from engine.records import Abstract


@dataclass(frozen=True, slots=True)
class Cited:
    """One hit, and all that is stored of its record."""

    hit: Hit
    record: Abstract


def heading(answer: Answer) -> str:
    """A line that says what was searched."""
    query = answer.query
    like = f"like {', '.join(query.like)}" if query.like else ""
    return " ".join(filter(None, (query.text, like))) + f" (generation {answer.generation:06d})"
