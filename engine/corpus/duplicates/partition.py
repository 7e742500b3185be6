"""What a series of decisions means: which records are one, and which are not. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from engine.corpus.storage.journal import DecisionKind


@dataclass(slots=True)
class Partition:
    """Records, by any key, joined and kept apart by decisions. A later decision overrides an earlier one."""

    block_of: dict[int, frozenset[int]] = field(default_factory=dict)  # of the records that are joined with others
    apart: set[frozenset[int]] = field(default_factory=set)  # pairs

    @property
    def blocks(self) -> list[tuple[int, ...]]:
        """The groups of records that are one, each ascending, by their first."""
        return sorted(tuple(sorted(block)) for block in set(self.block_of.values()))

    def apply(self, kind: DecisionKind, records: Sequence[int]) -> None:
        """Apply one decision to these records.

        A merge also joins what they were joined with before. Records kept apart leave each other's groups; whatever
        else was in the group of several of them stays with the first.
        """
        chosen = list(dict.fromkeys(records))
        if len(chosen) < 2:
            return
        if kind is DecisionKind.MERGE:
            joined = frozenset().union(*(self.block_of.get(record, frozenset((record,))) for record in chosen))
            self.block_of |= dict.fromkeys(joined, joined)
            self.apart -= set(map(frozenset, combinations(joined, 2)))
        elif kind is DecisionKind.KEEP_APART:
            self.apart |= set(map(frozenset, combinations(chosen, 2)))
            for record in reversed(chosen):
                self.leave_others(record, set(chosen))

    def leave_others(self, record: int, others: set[int]) -> None:
        """Take a record out of its group if the group has another one of `others`."""
        block = self.block_of.get(record)
        if block is None or len(block & others) < 2:
            return
        rest = block - {record}
        del self.block_of[record]
        for member in rest:
            self.block_of[member] = rest
        if len(rest) == 1:
            self.block_of.pop(next(iter(rest)))


def divide(decisions: Iterable[tuple[DecisionKind, Sequence[int]]]) -> Partition:
    """Return what decisions mean, oldest first; each is a kind with the keys of its records."""
    partition = Partition()
    for kind, records in decisions:
        partition.apply(kind, records)
    return partition
