"""A hit with its record: what a file of references is made of."""

from __future__ import annotations

from dataclasses import dataclass

from engine.queries import Hit
from engine.records import Abstract


@dataclass(frozen=True, slots=True)
class Cited:
    """One hit, and all that is stored of its record."""

    hit: Hit
    record: Abstract
