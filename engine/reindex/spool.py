"""Vectors of a run on their way to the index: on disk, so that memory stays bounded whatever is encoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.records import DocIds, Vectors


@dataclass(slots=True)
class Spool:
    """Rows appended to a scratch file, each under a doc id; of an id that comes twice the later row counts."""

    path: Path
    dim: int
    ids: list[DocIds] = field(default_factory=list)

    def append(self, doc_ids: DocIds, vectors: Vectors) -> None:
        """Add rows (m, dim) float32, matching the ids.

        Raises:
            OSError: the disk is full or not writable.
        """
        with self.path.open("ab") as file:
            file.write(np.ascontiguousarray(vectors, np.float32).data)
        self.ids.append(doc_ids)

    def places(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Where the row of each of the ids, which are ascending, lies in the spool; -1 where there is none."""
        places = np.full(len(doc_ids), -1, np.int64)
        held = np.concatenate([np.empty(0, np.int64), *self.ids])
        wanted = np.searchsorted(doc_ids, held)
        known = np.flatnonzero(wanted < len(doc_ids))
        known = known[doc_ids[wanted[known]] == held[known]]
        places[wanted[known]] = known
        return places

    def rows(self) -> Vectors:
        """All rows in the order in which they came, mapped."""
        n = sum(map(len, self.ids))
        if n == 0:
            return np.empty((0, self.dim), np.float32)
        return np.memmap(self.path, np.float32, "r", shape=(n, self.dim))

    def remove(self) -> None:
        """Delete the scratch file."""
        self.path.unlink(missing_ok=True)
