"""The choice of old segments that the next segment replaces. Pure functions.

Small new segments are cheap to write, but every segment costs a little at each search, and dead records cost space. So
segments of one size are merged when there are many of them, as in a log-structured merge tree (O'Neil et al., Acta
Informatica 1996;33:351): a record is written again only a few times while the index grows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FANOUT = 8  # segments of one tier that are merged; also the factor between the sizes of two tiers
_MAX_DEAD = 0.2  # share of dead records; a segment with more is written again
_LARGE_CHANGE = 0.2  # share of the records; after a larger change, everything is written as one segment
_BUDGET = 200_000  # live records that a run writes again besides those


@dataclass(frozen=True, slots=True)
class SegmentSize:
    """The records of a segment as the next generation has them."""

    n_live: int
    n_dead: int

    @property
    def dead_share(self) -> float:
        """Share of its records that are dead."""
        return self.n_dead / max(self.n_live + self.n_dead, 1)


@dataclass(frozen=True, slots=True)
class Merges:
    """The positions of the segments to merge, and of those that should be but exceed the budget."""

    chosen: tuple[int, ...]
    postponed: tuple[int, ...] = ()


def choose_merges(sizes: Sequence[SegmentSize], n_new: int, one_segment_below: int) -> Merges:
    """Choose which segments become part of the next one, which has n_new records of its own.

    All, if the index has fewer than one_segment_below records or much of it changes. Otherwise those that have many
    dead records, and those that are no larger than the next one if with it they are _FANOUT or more; the result may be
    as large as further ones, which are then merged too.
    """
    everything = tuple(range(len(sizes)))
    total = n_new + sum(size.n_live for size in sizes)
    if total < one_segment_below or n_new > _LARGE_CHANGE * total:
        return Merges(everything)
    wanted = {at for at in everything if sizes[at].dead_share > _MAX_DEAD}
    n_merged = n_new
    while n_merged:
        peers = {at for at in everything if _find_tier(sizes[at].n_live) <= _find_tier(n_merged)} - wanted
        if len(peers) + 1 < _FANOUT:
            break
        wanted |= peers
        n_merged += sum(sizes[at].n_live for at in peers)
    chosen, spent = list[int](), 0
    for at in sorted(wanted, key=lambda at: sizes[at].n_live):
        spent += sizes[at].n_live
        if spent <= _BUDGET:
            chosen.append(at)
    return Merges(tuple(sorted(chosen)), tuple(sorted(wanted - set(chosen))))


def _find_tier(n: int) -> int:
    """Return the tier of a segment of n records: the power of _FANOUT that it reaches."""
    return int(math.log(max(n, 1), _FANOUT) + 1e-9)
