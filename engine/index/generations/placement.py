"""What a generation needs in other places than its folder before it may become current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.index.generations.folder import Generation, IndexFolder


class Placement(Protocol):
    """Places the segments of generations where they are searched. An index of one machine needs none."""

    def connect(self) -> None:
        """Check that there is where to place, before the long work.

        Raises:
            ClusterError: nothing answers.
        """
        ...

    def place(self, generation: Generation) -> None:
        """Hold all segments of a generation, and compare what is held with the files here.

        Raises:
            ClusterError: a segment is not held as it is here; the message says where.
        """
        ...

    def drop(self, folder: IndexFolder, kept: Sequence[int]) -> None:
        """Hold only generations of these numbers. Where that can't be asked for now, the next run does.

        What asks for another one from then on gets a GenerationError.
        """
        ...

    def find_problems(self, generation: Generation) -> Sequence[str]:
        """Return how what is held of a generation differs from the files here; empty if nothing does.

        Raises:
            ClusterError: nothing answers.
        """
        ...
