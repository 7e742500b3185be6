"""Citations that PubMed deleted, remembered so that an older file or another source does not add them again."""

from __future__ import annotations

import sqlite3

from engine.corpus.merging.merge import is_deleted


class Deletions:
    """The table deletions of a draft: PMID -> release of the file that deleted it."""

    def __init__(self, connection: sqlite3.Connection, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.n_noted = 0  # new deletions in this run

    def find_release(self, pmid: str) -> int | None:
        """Return the release of the file that deleted a citation; None if none did."""
        row = self.connection.execute("SELECT release FROM deletions WHERE pmid = ?", (pmid,)).fetchone()
        return row[0] if row else None

    def has_deletion(self, pmid: str | None, release: int) -> bool:
        """Return whether a record with this PMID, from a file of this release, is deleted."""
        deletion = self.find_release(pmid) if pmid else None
        return deletion is not None and is_deleted(release, deletion)

    def note(self, pmid: str, release: int) -> None:
        """Remember a deletion; of two, the later. A deletion without a release number is not remembered."""
        if release > (self.find_release(pmid) or 0):
            self.n_noted += 1
            sql = "INSERT OR REPLACE INTO deletions (pmid, release, generation) VALUES (?, ?, ?)"
            self.connection.execute(sql, (pmid, release, self.generation))

    def lift(self, pmid: str | None) -> None:
        """Forget the deletion of a citation that a later file gives again."""
        if pmid:
            self.connection.execute("DELETE FROM deletions WHERE pmid = ?", (pmid,))
