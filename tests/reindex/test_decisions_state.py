"""Decisions, undone ones, runs, rollbacks and rebuilds in any order, against the same index without any decision."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.corpus.draft import Draft, DraftFiles
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.merging.ledger import Change
from engine.corpus.storage.idsets import NO_IDS
from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision
from engine.corpus.storage.store import Corpus, SegmentDatabase
from engine.records.abstract import SOURCE_FIELDS
from engine.reindex.generation.order import Order
from engine.reindex.intake.gather import Gathered, hash_prepared
from engine.reindex.runs.run import read_all
from tests.conftest import examples, silent
from tests.corpus.drafts import publish

# Own id -> PMID; where two ids share one, files that have them make one record.
PMIDS = {"a": "1", "b": "1", "c": None, "d": None, "e": "2", "f": None}
ROWS = st.lists(st.tuples(st.sampled_from(sorted(PMIDS)), st.integers(0, 2)), max_size=4, unique_by=lambda row: row[0])
Rows = dict[int, tuple[object, ...]]  # doc id -> its values


@dataclass
class Store:
    """A series of databases, each made from the current one, with a journal."""

    place: Path
    journal: Journal
    current: int = 0
    newest: int = 0
    last: dict[int, tuple[int, int]] = field(default_factory=dict)

    def state(self, number: int) -> Path:
        return self.place / f"{number}.state"

    def path(self, number: int) -> Path:
        return self.place / f"{number}.db"

    def read(self, files: list[Path], *, full: bool, rebuild: bool) -> Gathered:
        """Make the next database, from the current one or anew, and check the changes that it reports."""
        self.newest += 1
        before = {} if rebuild or not self.current else texts(self.path(self.current))
        published = None
        if not rebuild and self.current:
            segment = SegmentDatabase(self.path(self.current), NO_IDS)
            published = publish([segment], self.state(self.current), self.last[self.current])
        made = DraftFiles(self.path(self.newest), self.state(self.newest))
        created = f"2026-01-01T00:00:{self.newest:02d}+00:00"
        with Draft(made, self.newest, created, hash_prepared, published) as draft:
            gathered = read_all(draft, Order(tuple(files), full=full), self.journal, silent)
            draft.release_unchanged()
            if published:
                draft.merge_segments([0])
            self.last[self.newest] = draft.read_last_ids()
            draft.finish()
        self.current = self.newest
        after = texts(self.path(self.current))
        of_kind = {kind: {n for n, change in gathered.changes.items() if change is kind} for kind in Change}
        assert of_kind[Change.ADDED] == after.keys() - before.keys()
        assert of_kind[Change.TEXT] == {n for n in after.keys() & before.keys() if after[n] != before[n]}
        with closing(Corpus([SegmentDatabase(made.database, NO_IDS)], made.state)) as corpus:
            assert corpus.find_problems() == []
        return gathered


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def texts(path: Path) -> dict[object, object]:
    return {row[0]: row[1] for row in query(path, "SELECT id, text_sha256 FROM abstracts")}


def records(path: Path) -> Rows:
    return {int(str(row[0])): row[1:] for row in query(path, f"SELECT id, {', '.join(SOURCE_FIELDS)} FROM abstracts")}


def own_ids(path: Path) -> dict[int, set[str]]:
    """Doc id -> ids that its sources give it."""
    found: dict[int, set[str]] = {}
    for doc_id, own_id in query(path, "SELECT doc_id, own_id FROM contributions"):
        found.setdefault(int(str(doc_id)), set()).add(str(own_id))
    return found


class Decisions(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        for name in ("decided", "plain", "files"):
            (self.place / name).mkdir()
        self.decided = Store(self.place / "decided", Journal(self.place / "decisions.db"))
        self.plain = Store(self.place / "plain", Journal(self.place / "none.db"))
        self.decisions: dict[int, tuple[DecisionKind, list[set[str]]]] = {}  # in force: kind, own ids of each record
        self.is_applied = True
        self.write_file(0, [("a", 0), ("c", 0), ("d", 0)])
        self.write_file(1, [("b", 1), ("e", 0), ("f", 0)])
        self.run_all()

    @rule(number=st.integers(0, 2), rows=ROWS, full=st.booleans())
    def a_file_changes(self, number: int, rows: list[tuple[str, int]], full: bool) -> None:
        self.write_file(number, rows)
        self.run_all(full=full)

    def write_file(self, number: int, rows: list[tuple[str, int]]) -> None:
        lines = [
            {"id": own, "title": f"Trial of {own * 9}", "abstract": f"Version {n}.", "pmid": PMIDS[own], "year": 2020}
            for own, n in rows
        ]
        path = self.place / "files" / f"{number}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n", encoding="utf-8")

    def run_all(self, *, full: bool = False, rebuild: bool = False) -> None:
        files = sorted(path for path in (self.place / "files").iterdir() if path.read_text(encoding="utf-8").strip())
        for store in (self.decided, self.plain):
            store.read(files, full=full, rebuild=rebuild)
        self.is_applied = True

    @rule()
    def it_is_rebuilt_from_scratch(self) -> None:
        self.run_all(rebuild=True)

    def apply_decisions(self) -> None:
        for store in (self.decided, self.plain):
            store.read([], full=False, rebuild=False)
        self.is_applied = True
        assert not store_changes(self.decided)  # a second time, nothing is left to do

    @rule(data=st.data(), is_applied=st.booleans())
    def it_is_rolled_back(self, data: st.DataObject, is_applied: bool) -> None:
        number = data.draw(st.integers(1, self.decided.newest))
        self.decided.current = self.plain.current = number
        self.is_applied = False  # decisions stay; the next run applies them
        if is_applied:
            self.apply_decisions()

    @precondition(lambda self: len(own_ids(self.plain.path(self.plain.current))) > 1)
    @rule(data=st.data(), kind=st.sampled_from([DecisionKind.MERGE, DecisionKind.KEEP_APART]), is_applied=st.booleans())
    def a_group_is_decided(self, data: st.DataObject, kind: DecisionKind, is_applied: bool) -> None:
        path = self.decided.path(self.decided.current)
        natural = own_ids(self.plain.path(self.plain.current))
        chosen = data.draw(st.lists(st.sampled_from(sorted(natural)), min_size=2, max_size=3, unique=True))
        with closing(sqlite3.connect(path)) as connection:
            identities = tuple(map(IdentityFinder(connection).identify, chosen))
        assert [set(identity.ids) for identity in identities] == [natural[doc_id] for doc_id in chosen]
        (made,) = self.decided.journal.append("ann", [NewDecision(kind, identities)])
        self.decisions[made.number] = kind, [natural[doc_id] for doc_id in chosen]
        self.is_applied = False
        if is_applied:
            self.apply_decisions()

    @precondition(lambda self: self.decisions)
    @rule(data=st.data(), is_applied=st.booleans())
    def a_decision_is_undone(self, data: st.DataObject, is_applied: bool) -> None:
        number = data.draw(st.sampled_from([None, *self.decisions]))
        for decision in self.decided.journal.undo("ann", number):
            del self.decisions[decision.number]
        self.is_applied = False
        if is_applied:
            self.apply_decisions()

    def list_wanted(self, natural: dict[int, set[str]]) -> list[set[int]]:
        """The blocks of records that the decisions in force join, as sets of doc ids."""
        blocks = [{doc_id} for doc_id in natural]
        for kind, members in self.decisions.values():
            found = [next((n for n in sorted(natural) if natural[n] & own), None) for own in members]
            doc_ids = list(dict.fromkeys(doc_id for doc_id in found if doc_id is not None))
            if len(doc_ids) < 2:
                continue
            touched = [block for block in blocks if block & set(doc_ids)]
            blocks = [block for block in blocks if block not in touched]
            if kind is DecisionKind.MERGE:
                blocks.append(set().union(*touched))
                continue
            for block in touched:
                first, *others = [doc_id for doc_id in doc_ids if doc_id in block]
                blocks += [block - set(others), *({doc_id} for doc_id in others)]
                assert first in block
        return blocks

    @invariant()
    def records_are_what_the_decisions_say(self) -> None:
        if not self.is_applied:
            return
        paths = [store.path(store.current) for store in (self.decided, self.plain)]
        natural, found = own_ids(paths[1]), own_ids(paths[0])
        blocks = self.list_wanted(natural)
        assert found == {min(block): set().union(*(natural[n] for n in block)) for block in blocks}
        rows, plain_rows = map(records, paths)
        assert rows.keys() == found.keys()
        for block in blocks:
            if len(block) == 1:
                assert rows[min(block)] == plain_rows[min(block)]
            else:
                assert rows[min(block)][0] == plain_rows[min(block)][0]  # the id of the oldest

    def teardown(self) -> None:
        if hasattr(self, "place"):
            shutil.rmtree(self.place)


def store_changes(store: Store) -> bool:
    """Whether another run without files would change a record."""
    gathered = store.read([], full=False, rebuild=False)
    store.newest -= 1
    store.path(store.current).unlink()
    store.state(store.current).unlink()
    store.current = store.newest
    return gathered.changed_anything


TestDecisions: Callable[..., object] = Decisions.TestCase
TestDecisions.settings = settings(  # type: ignore[attr-defined]
    examples(0.15), stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
)
