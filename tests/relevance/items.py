"""Sets of known items for tests."""

from collections.abc import Iterable

from engine.records.abstract import Abstract
from engine.relevance.sets.knownitems import Items, Kind
from engine.relevance.sets.testset import TestSet


def make_known_items(
    records: Iterable[Abstract], kind: Kind = "titles", name: str = "titles", *, held_out_only: bool = True
) -> TestSet:
    """The set made from records, in their order."""
    items = Items(kind, held_out_only)
    for record in records:
        items.take(record)
    return items.build_test_set(name)
