"""Records that decisions join, and the parts that they have without the decisions.

Sources are taken in as if no decision existed: the joined records are separated first and joined again afterwards. So
a decision can be undone at any time, and the order of files, decisions and runs makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.corpus.merging.ledger import KEPT_COLUMNS, Change, Ledger, Original
from engine.records.abstract import SOURCE_FIELDS

_COLUMNS = f"id, first_generation, {', '.join((*KEPT_COLUMNS, *SOURCE_FIELDS))}"


@dataclass(frozen=True, slots=True)
class _JoinedRecord:
    """A joined record at the start of the run, as it was published."""

    original: Original
    parts: frozenset[tuple[int, int]]  # (key of a contribution, the record it belongs to without decisions)


class Parts:
    """The joined records of a draft."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.connection = ledger.connection
        self.joined: dict[int, _JoinedRecord] = {}  # doc id -> the record, of those that were separated
        self.unpublished: set[int] = set()  # parts that were no records of their own at the start of the run

    def separate(self) -> None:
        """Restore the parts of all joined records as records of their own, exactly as they were."""
        if self.ledger.base:
            self.ledger.base.load_joined()
        for doc_id in self.list_joined():
            self.ledger.remember(doc_id)
            self.joined[doc_id] = _JoinedRecord(self.ledger.originals.pop(doc_id), self.read_parts(doc_id))
            self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
        self.unpublished = {part for (part,) in self.connection.execute("SELECT id FROM parts")} - self.joined.keys()
        self.connection.execute(f"INSERT INTO abstracts ({_COLUMNS}) SELECT {_COLUMNS} FROM parts ORDER BY id")
        self.connection.execute("UPDATE contributions SET doc_id = part, part = NULL WHERE part IS NOT NULL")
        self.connection.execute("DELETE FROM parts")

    def join(self, blocks: Sequence[Sequence[int]]) -> int:
        """Join records as decided, each block of doc ids under its lowest, and settle what was separated.

        Returns how many records of their own at the start of the run are now part of another one.
        """
        n_absorbed = sum(self.join_block(sorted(block)) for block in blocks)
        for doc_id in self.joined.keys() & self.list_present(self.joined):
            self.settle_joined(doc_id)
        for doc_id in self.list_present(self.unpublished):
            self.ledger.originals.pop(doc_id, None)
            self.ledger.settle(doc_id)  # as added: it needs a vector
        return n_absorbed

    def join_block(self, block: Sequence[int]) -> int:
        """Join records under the first of them; return how many were published records of their own."""
        ledger, (first, *others) = self.ledger, block
        for doc_id in block:
            ledger.contributions.write_out(doc_id)
            sql = f"INSERT INTO parts ({_COLUMNS}, joined) SELECT {_COLUMNS}, ? FROM abstracts WHERE id = ?"
            self.connection.execute(sql, (first, doc_id))
        if first not in self.joined:
            ledger.remember(first)
        for doc_id in block:
            self.connection.execute("UPDATE contributions SET part = doc_id WHERE doc_id = ?", (doc_id,))
            self.connection.execute("UPDATE contributions SET doc_id = ? WHERE doc_id = ?", (first, doc_id))
        n_absorbed = sum(self.absorb(first, doc_id) for doc_id in others)
        if first not in self.joined and first not in self.unpublished:
            ledger.resourced.add(first)
            ledger.settle(first)
        return n_absorbed

    def absorb(self, first: int, doc_id: int) -> bool:
        """Remove the row of a record that is now part of another; return whether it was published."""
        ledger = self.ledger
        is_published = ledger.changes.get(doc_id) is not Change.ADDED and doc_id not in self.unpublished
        if is_published:
            ledger.remember(doc_id)
        if doc_id in self.joined:  # restored as a whole; any other record is taken apart again, see `take_apart`
            ledger.absorbed.setdefault(first, []).extend([doc_id, *ledger.absorbed.pop(doc_id, [])])
        self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
        ledger.changes.pop(doc_id, None)
        ledger.resourced.update([first] if doc_id in ledger.resourced else [])
        return is_published

    def take_apart(self, doc_id: int) -> list[int]:
        """Undo the join of a record whose joined text gets no vector: its parts are again what the files gave.

        What was published as one record stays together, for `Ledger.restore`. Returns the doc ids of the records that
        stand alone now; among them doc_id, unless it was published as a record.
        """
        ledger = self.ledger
        together = {doc_id} if doc_id in ledger.originals else set()
        if ledger.base:
            for other in (*together, *ledger.absorbed.get(doc_id, ())):
                together.update([other, *ledger.base.read_part_ids(other)])
        freed = [part for part in self.list_parts(doc_id) if part not in together]
        if doc_id in freed:
            self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
        for part in freed:
            sql = f"INSERT INTO abstracts ({_COLUMNS}) SELECT {_COLUMNS} FROM parts WHERE id = ?"
            self.connection.execute(sql, (part,))
            self.connection.execute("UPDATE contributions SET doc_id = part, part = NULL WHERE part = ?", (part,))
            self.connection.execute("DELETE FROM parts WHERE id = ?", (part,))
            if part in self.unpublished:
                ledger.originals.pop(part, None)
            ledger.settle(part)
        for part in together - {doc_id}:  # which now belongs to another one
            freed += self.take_apart(part)
        return freed

    def settle_joined(self, doc_id: int) -> None:
        """Compare a record that was separated with its published state."""
        before, was_read = self.joined[doc_id], doc_id in self.ledger.changes
        self.ledger.originals[doc_id] = before.original
        if before.parts != self.read_parts(doc_id):
            self.ledger.resourced.add(doc_id)
        if self.ledger.settle(doc_id) is Change.NONE and not was_read:
            del self.ledger.changes[doc_id]

    def list_joined(self) -> list[int]:
        """Return the doc ids of the joined records, ascending."""
        return [row[0] for row in self.connection.execute("SELECT DISTINCT joined FROM parts ORDER BY joined")]

    def list_parts(self, doc_id: int) -> list[int]:
        """Return the doc ids of the parts of a joined record, ascending; none if it is not joined."""
        return [
            row[0] for row in self.connection.execute("SELECT id FROM parts WHERE joined = ? ORDER BY id", (doc_id,))
        ]

    def list_present(self, doc_ids: Sequence[int] | set[int] | dict[int, _JoinedRecord]) -> list[int]:
        """Return those of these doc ids that are records of the draft, ascending."""
        sql = "SELECT 1 FROM abstracts WHERE id = ?"
        return [doc_id for doc_id in sorted(doc_ids) if self.connection.execute(sql, (doc_id,)).fetchone()]

    def read_parts(self, doc_id: int) -> frozenset[tuple[int, int]]:
        """Return (key of a contribution, the record it belongs to without decisions) of a record."""
        sql = "SELECT id, coalesce(part, doc_id) FROM contributions WHERE doc_id = ?"
        return frozenset(self.connection.execute(sql, (doc_id,)).fetchall())
