"""New vectors of a run, kept on disk when there are many, so that memory stays bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.records.encoder import Vectors
from engine.records.generation import DocIds

_IN_MEMORY = 4 << 20  # bytes of rows; a run of some hundred texts then writes its vectors once


@dataclass(slots=True)
class Spool:
    """Rows, each with a doc id, in a file from _IN_MEMORY on; of an id in several pages, the last page counts."""

    path: Path
    dim: int
    ids: list[DocIds] = field(default_factory=list)
    waiting: list[Vectors] = field(default_factory=list)  # pages that are not in the file; none once there is one

    def append(self, doc_ids: DocIds, vectors: Vectors) -> None:
        """Append a page of rows (m, dim) float32, one per id; an id may have several rows, in order.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.waiting.append(np.array(vectors, np.float32))
        self.ids.append(doc_ids)
        if self.path.exists() or sum(page.nbytes for page in self.waiting) > _IN_MEMORY:
            with self.path.open("ab") as file:
                file.writelines(page.data for page in self.waiting)
            self.waiting.clear()

    def find_places(self, doc_ids: DocIds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the row numbers of ascending ids (n,), id after id, and the number of rows of each id, (n,)."""
        all_ids = np.concatenate([np.empty(0, np.int64), *self.ids])
        page = np.repeat(np.arange(len(self.ids)), [len(ids) for ids in self.ids])
        at = np.searchsorted(doc_ids, all_ids).clip(max=len(doc_ids) - 1) if len(doc_ids) else np.zeros(0, np.int64)
        rows = np.flatnonzero(doc_ids[at] == all_ids) if len(doc_ids) else at
        newest = np.full(len(doc_ids), -1, np.int64)
        np.maximum.at(newest, at[rows], page[rows])
        rows = rows[page[rows] == newest[at[rows]]]
        counts = np.bincount(at[rows], minlength=len(doc_ids)).astype(np.int64)
        return rows[np.argsort(at[rows], kind="stable")], counts

    def map_rows(self) -> Vectors:
        """Return all rows, mapped if they are in the file, in the order in which they were appended."""
        n = sum(map(len, self.ids))
        if self.waiting or n == 0:
            return np.concatenate([np.empty((0, self.dim), np.float32), *self.waiting])
        return np.memmap(self.path, np.float32, "r", shape=(n, self.dim))

    def remove(self) -> None:
        """Delete the scratch file."""
        self.path.unlink(missing_ok=True)
