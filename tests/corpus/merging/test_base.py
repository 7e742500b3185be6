"""A draft that holds only what a run meets, against one that holds every record."""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from engine.corpus.draft import Draft, DraftFiles
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision
from engine.corpus.storage.store import SegmentDatabase
from engine.errors import CorpusError, CorruptError
from engine.reindex.generation.order import Order
from engine.reindex.intake.gather import hash_prepared
from engine.reindex.runs.run import read_all
from tests.conftest import examples, silent
from tests.corpus.drafts import created, publish

TABLES = ("abstracts", "contributions", "sightings", "parts")
NONE = np.empty(0, np.int64)
# Own id -> (PMID, DOI); ids that share one make one record.
KEYS = {
    "a": ("1", None), "b": ("1", "10.1/x"), "c": (None, "10.1/X"), "d": (None, None), "e": ("2", None), "f": (None, "10.1/y"),
    "PMID:1": ("1", None), "PMID:2": ("2", "10.1/y"), "PMID:3": ("3", None),
}  # fmt: skip
ROWS = st.lists(st.tuples(st.sampled_from(sorted(KEYS)), st.integers(0, 2)), max_size=5, unique_by=lambda row: row[0])


@dataclass
class Store:
    """Generations of segments; `whole` ones are written as one segment each time."""

    place: Path
    journal: Journal
    whole: bool
    number: int = 0
    segments: list[SegmentDatabase] = field(default_factory=list)
    state: Path | None = None
    last: tuple[int, int] = (0, 0)

    def read(self, files: list[Path], *, full: bool, merged: frozenset[int]) -> dict[int, str]:
        """Make the next generation; return the changes that it reports."""
        self.number += 1
        path, state = (self.place / f"{self.number}.{kind}" for kind in ("db", "state"))
        published = publish(self.segments, self.state, self.last) if self.state else None
        with Draft(DraftFiles(path, state), self.number, created(self.number), hash_prepared, published) as draft:
            gathered = read_all(draft, Order(tuple(files), full=full), self.journal, silent)
            draft.release_unchanged()
            draft.merge_segments([at for at in range(len(self.segments)) if self.whole or at in merged])
            totals = draft.count_totals()
            kept = [SegmentDatabase(self.segments[at].path, d.dead) for at, d in draft.list_deaths().items()]
            self.last = draft.read_last_ids()
            draft.finish()
        self.segments, self.state = [*kept, SegmentDatabase(path, NONE)], state
        assert publish(self.segments, state).totals == totals
        return {doc_id: change.value for doc_id, change in gathered.changes.items()}

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """The live rows of a table."""
        key = {"contributions": "doc_id", "sightings": "doc_id", "parts": "joined"}.get(table, "id")
        found: list[tuple[object, ...]] = []
        for segment in self.segments:
            with closing(sqlite3.connect(segment.path)) as connection:
                dead = json.dumps(segment.dead.tolist())
                sql = f"SELECT * FROM {table} WHERE {key} NOT IN (SELECT value FROM json_each(?))"
                found += connection.execute(sql, (dead,)).fetchall()
        return sorted(found, key=repr)

    def read_state(self) -> Iterator[tuple[object, ...]]:
        """The rows of the state."""
        with closing(sqlite3.connect(str(self.state))) as connection:
            for table in ("sources", "rejections", "deletions", "generation"):
                yield from connection.execute(f"SELECT '{table}', * FROM {table} ORDER BY 2").fetchall()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two records, a with two sources of one PMID and c, in one segment."""
    store = Store(tmp_path, Journal(tmp_path / "decisions.db"), False)
    write_file(tmp_path / "0.jsonl", [("a", 0), ("c", 0)])
    write_file(tmp_path / "1.jsonl", [("b", 1)])
    store.read([tmp_path / "0.jsonl", tmp_path / "1.jsonl"], full=False, merged=frozenset())
    return store


def write_file(path: Path, rows: list[tuple[str, int]]) -> Path:
    lines = [
        {
            "id": own,
            "title": f"Trial of {own * 9}",
            "abstract": f"Version {n}.",
            "pmid": KEYS[own][0],
            "doi": KEYS[own][1],
        }
        for own, n in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n", encoding="utf-8")
    return path


def ids_of(segment: SegmentDatabase) -> list[int]:
    with closing(sqlite3.connect(segment.path)) as connection:
        return [doc_id for (doc_id,) in connection.execute("SELECT id FROM abstracts ORDER BY id")]


def test_only_what_changed_is_in_the_new_segment_and_dead_in_the_old_one(store: Store, tmp_path: Path) -> None:
    store.read([write_file(tmp_path / "2.jsonl", [("c", 1), ("d", 0)])], full=False, merged=frozenset())
    old, new = store.segments
    assert ids_of(old) == [1, 2] and old.dead.tolist() == [2]  # c has another source now
    assert ids_of(new) == [2, 3]
    store.read([write_file(tmp_path / "1.jsonl", [("b", 2)])], full=False, merged=frozenset())
    assert store.segments[0].dead.tolist() == [1, 2] and ids_of(store.segments[2]) == [1]


def test_what_a_run_looks_at_without_a_change_leaves_the_draft(store: Store, tmp_path: Path) -> None:
    with Draft(
        DraftFiles(tmp_path / "n.db", tmp_path / "n.state"), 2, created(2), hash_prepared,
        publish(store.segments, tmp_path / "1.state", store.last),
    ) as draft:  # fmt: skip
        assert draft.ledger.contributions.find_by_own_id("a")[0].doc_id == 1
        assert draft.read_ids().tolist() == [1]
        assert draft.count_totals().abstracts == 2
        draft.release_unchanged()
        assert draft.read_ids().tolist() == [] and not draft.has_rows()
        assert [deaths.dead.tolist() for deaths in draft.list_deaths().values()] == [[]]


def test_a_deleted_record_is_dead_without_a_new_row(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "pubmed26n0001.xml"
    path.write_text("<PubmedArticleSet><DeleteCitation><PMID Version='1'>1</PMID></DeleteCitation></PubmedArticleSet>")
    store.read([path], full=False, merged=frozenset())
    assert store.segments[0].dead.tolist() == [1] and ids_of(store.segments[1]) == []


def test_a_merged_segment_is_in_the_new_one_without_its_dead(store: Store, tmp_path: Path) -> None:
    store.read([write_file(tmp_path / "1.jsonl", [("b", 2)])], full=False, merged=frozenset())
    store.read([write_file(tmp_path / "3.jsonl", [("d", 0)])], full=False, merged=frozenset({0}))
    kept, new = store.segments
    assert ids_of(kept) == [1] and ids_of(new) == [2, 3]


def test_joined_records_are_written_again_only_when_they_change(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store.segments[0].path)) as connection:
        finder = IdentityFinder(connection)
        pair = (finder.identify(1), finder.identify(2))
    store.journal.append("someone", [NewDecision(DecisionKind.MERGE, pair, {})])
    store.read([], full=False, merged=frozenset())
    assert store.segments[0].dead.tolist() == [1, 2] and ids_of(store.segments[1]) == [1]
    store.read([write_file(tmp_path / "3.jsonl", [("d", 0)])], full=False, merged=frozenset())
    assert store.segments[1].dead.tolist() == [] and ids_of(store.segments[2]) == [3]
    store.journal.undo("someone", None)
    store.read([], full=False, merged=frozenset())
    assert store.segments[1].dead.tolist() == [1, 2] and ids_of(store.segments[3]) == [1, 2]


def test_a_published_database_that_cannot_be_read_is_named(store: Store, tmp_path: Path) -> None:
    path, published = store.segments[0].path, publish(store.segments, tmp_path / "1.state", store.last)
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    files = DraftFiles(tmp_path / "n.db", tmp_path / "n.state")
    with (
        pytest.raises(CorruptError, match=rf"{path.name} can't be read: .*Run: engine verify --deep$"),
        Draft(files, 2, created(2), hash_prepared, published) as draft,
    ):
        draft.ledger.contributions.find_by_own_id("a")


def test_a_damaged_segment_is_named_when_it_is_merged(store: Store, tmp_path: Path) -> None:
    path, published = store.segments[0].path, publish(store.segments, tmp_path / "1.state", store.last)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'abstracts'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = path.read_bytes()
    path.write_bytes(content[: (page - 1) * size] + b"\xff" * size + content[page * size :])
    files = DraftFiles(tmp_path / "n.db", tmp_path / "n.state")
    with (
        pytest.raises(CorruptError, match=rf"{path.name} can't be read: .*Run: engine verify --deep$"),
        Draft(files, 2, created(2), hash_prepared, published) as draft,
    ):
        draft.merge_segments([0])


def test_a_draft_that_cannot_be_written_is_not_called_a_damaged_segment(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store.segments[0].path)) as connection, connection:
        connection.execute("UPDATE abstracts SET abstract = ?", ("long " * 10_000,))
    published = publish(store.segments, tmp_path / "1.state", store.last)
    files = DraftFiles(tmp_path / "n.db", tmp_path / "n.state")
    with (
        pytest.raises(CorpusError, match=r"n.db could not be written: database or disk is full"),
        Draft(files, 2, created(2), hash_prepared, published) as draft,
    ):
        draft.connection.execute("PRAGMA main.max_page_count = 1")
        draft.merge_segments([0])


def test_nothing_stays_open_if_a_segment_cannot_be_opened(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **b: opened.append(real(*a, **b)) or opened[-1])
    missing = SegmentDatabase(tmp_path / "gone.db", NONE)
    published = replace(publish(store.segments, tmp_path / "1.state"), segments=(*store.segments, missing))
    opened.clear()
    files = DraftFiles(tmp_path / "n.db", tmp_path / "n.state")
    with pytest.raises(CorruptError, match=r"gone.db can't be read: .*Run: engine verify --deep$"):
        Draft(files, 2, created(2), hash_prepared, published)
    assert len(opened) == 2  # the draft and the first segment
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def write_alike(path: Path, dois: dict[str, str]) -> Path:
    """A file of records with one title and the DOIs of their ids."""
    lines = [{"id": own, "title": "One work", "abstract": "Of many.", "doi": doi} for own, doi in dois.items()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_record_is_found_by_its_doi_behind_many_that_had_it(tmp_path: Path) -> None:
    store = Store(tmp_path, Journal(tmp_path / "decisions.db"), False)
    names = [f"r{n:02d}" for n in range(30)]
    nothing = frozenset[int]()
    store.read([write_alike(tmp_path / "0.jsonl", dict.fromkeys(names, "10.1/x"))], full=False, merged=nothing)
    corrected = {name: f"10.1/{name}" for name in names[:-1]}
    store.read([write_alike(tmp_path / "1.jsonl", corrected)], full=False, merged=nothing)
    assert len(store.segments[0].dead) == 29
    store.read([write_alike(tmp_path / "2.jsonl", {"other": "10.1/X"})], full=False, merged=nothing)
    assert store.segments[0].dead.tolist() == list(range(1, 31)) and ids_of(store.segments[2]) == [30]


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        for name in ("whole", "parts", "files"):
            (self.place / name).mkdir()
        journal = Journal(self.place / "decisions.db")
        self.stores = [Store(self.place / "whole", journal, True), Store(self.place / "parts", journal, False)]
        self.release = 0
        self.write_file(0, [("a", 0), ("c", 0), ("d", 0)])
        self.write_file(1, [("b", 1), ("e", 0), ("f", 0)])
        self.run_all(frozenset())

    def write_file(self, number: int, rows: list[tuple[str, int]]) -> None:
        write_file(self.place / "files" / f"{number}.jsonl", rows)

    def run_all(self, merged: frozenset[int], files: list[Path] | None = None, *, full: bool = False) -> None:
        if files is None:
            present = sorted((self.place / "files").iterdir())
            files = [path for path in present if path.read_text(encoding="utf-8").strip()]
        changes = [store.read(files, full=full, merged=merged) for store in self.stores]
        assert changes[0] == changes[1]
        self.compare()

    def compare(self) -> None:
        one, many = self.stores
        for table in TABLES:
            assert many.rows(table) == one.rows(table), table
        assert list(many.read_state()) == list(one.read_state())

    @rule(number=st.integers(0, 2), rows=ROWS, full=st.booleans(), merged=st.frozensets(st.integers(0, 5), max_size=2))
    def a_file_changes(self, number: int, rows: list[tuple[str, int]], full: bool, merged: frozenset[int]) -> None:
        self.write_file(number, rows)
        if full:
            self.run_all(merged, full=True)
        elif rows:
            self.run_all(merged, [self.place / "files" / f"{number}.jsonl"])

    @rule(rows=ROWS, deleted=st.frozensets(st.sampled_from(("1", "2", "3")), max_size=2))
    def pubmed_sends_a_file(self, rows: list[tuple[str, int]], deleted: frozenset[str]) -> None:
        self.release += 1
        citations = "".join(
            f"<PubmedArticle><MedlineCitation><PMID Version='1'>{KEYS[own][0]}</PMID><Article><ArticleTitle>"
            f"Trial of {own * 9}</ArticleTitle><Abstract><AbstractText>Version {n}.</AbstractText></Abstract></Article>"
            "</MedlineCitation></PubmedArticle>"
            for own, n in rows
            if own.startswith("PMID:")
        )
        gone = "".join(f"<PMID Version='1'>{pmid}</PMID>" for pmid in sorted(deleted))
        gone = f"<DeleteCitation>{gone}</DeleteCitation>" if gone else ""
        if citations or gone:
            path = self.place / f"pubmed26n{self.release:04d}.xml"
            path.write_text(f"<PubmedArticleSet>{citations}{gone}</PubmedArticleSet>", encoding="utf-8")
            self.run_all(frozenset(), [path])

    @rule(data=st.data(), kind=st.sampled_from([DecisionKind.MERGE, DecisionKind.KEEP_APART]))
    def a_group_is_decided(self, data: st.DataObject, kind: DecisionKind) -> None:
        whole = self.stores[0]
        with closing(sqlite3.connect(whole.segments[0].path)) as connection:
            finder = IdentityFinder(connection)
            sql = "SELECT DISTINCT coalesce(part, doc_id) FROM contributions ORDER BY 1"
            ids = [doc_id for (doc_id,) in connection.execute(sql)]
            if len(ids) < 2:
                return
            chosen = data.draw(st.lists(st.sampled_from(ids), min_size=2, max_size=3, unique=True))
            whole.journal.append("someone", [NewDecision(kind, tuple(map(finder.identify, chosen)), {})])
        self.run_all(frozenset(), [])

    @rule()
    def the_last_decision_is_undone(self) -> None:
        if any(each.kind is not DecisionKind.UNDO for each in self.stores[0].journal.read()[-1:]):
            self.stores[0].journal.undo("someone", None)
            self.run_all(frozenset(), [])

    def teardown(self) -> None:
        shutil.rmtree(self.place)


TestHistories = Histories.TestCase
TestHistories.settings = examples(0.3)
