"""An index under arbitrary sequences of runs, failures and rollbacks, against a dictionary."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import open_index
from engine.options import IndexSettings
from engine.reindex.generation.order import Order
from engine.reindex.generation.verify import verify
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from tests.conftest import TOY, copy_toy, examples, jsonl, silent

IDS = st.sampled_from([f"PMID:{n}" for n in range(1, 6)] + ["toy-01", "toy-02"])
TEXTS = st.sampled_from(["Gout", "Gout again", "Lupus in pregnancy", "Knee pain " * 40, "Sjögren"])
ROWS = st.lists(st.tuples(IDS, TEXTS, TEXTS, st.sampled_from([1990, 2020])), min_size=1, max_size=4)
Record = tuple[str, str, int | None]


class Stop(Exception):
    """A crash at a chosen moment."""


class Indexing(RuleBasedStateMachine):
    """The oracle is `now`, what must be there, and `past`, what each generation held."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = copy_toy(self.place / "indexes" / "toy")
        with open_index(self.folder.path) as index:
            toys = (index.get(f"toy-{n:02d}") for n in range(1, 41))
            self.now: dict[str, Record] = {row.record_id: (row.title, row.abstract, row.year) for row in toys}
        self.past = {1: dict(self.now)}
        self.last: Path = TOY

    def write(self, rows: list[tuple[str, str, str, int]]) -> dict[str, Record]:
        """Write a source; returns what the index must hold afterwards."""
        self.last = jsonl(
            self.place / "rows.jsonl",
            [dict(zip(("id", "title", "abstract", "year"), row, strict=True)) for row in rows],
        )
        return {**self.now, **{key: (title, body, year) for key, title, body, year in rows}}

    def publish(self, wanted: dict[str, Record]) -> None:
        report = index_sources(self.folder, Order((self.last,), IndexSettings(device="cpu")), silent)
        assert report.published == (wanted != self.now)
        self.now = wanted
        self.past[self.folder.read_current()] = dict(wanted)

    @rule(rows=ROWS)
    def index(self, rows: list[tuple[str, str, str, int]]) -> None:
        self.publish(self.write(rows))

    @rule(rows=ROWS, phase=st.sampled_from(["reading", "encoding", "publishing"]))
    def crash(self, rows: list[tuple[str, str, str, int]], phase: str) -> None:
        wanted = self.write(rows)

        def stop(name: str, done: int, total: int | None) -> None:
            if name == phase:
                raise Stop(phase)

        if wanted == self.now and phase != "reading":
            return
        with pytest.raises(Stop, match=phase):
            index_sources(self.folder, Order((self.last,), IndexSettings(device="cpu")), stop)

    @rule(n=st.integers(1, 5))
    def delete(self, n: int) -> None:
        self.last = self.place / "delete.xml"
        self.last.write_text(f"<PubmedArticleSet><DeleteCitation><PMID>{n}</PMID></DeleteCitation></PubmedArticleSet>")
        self.publish({key: row for key, row in self.now.items() if key != f"PMID:{n}"})

    @precondition(lambda self: any(n < self.folder.read_current() for n in self.folder.list_numbers()))
    @rule()
    def go_back(self) -> None:
        self.now = dict(self.past[roll_back(self.folder, None)])

    @invariant()
    def it_holds_exactly_what_it_must(self) -> None:
        if not hasattr(self, "folder"):
            return
        assert verify(self.folder, self.folder.open_current(), deep=False) == []
        with open_index(self.folder.path) as index:
            hits = index.search("gout", top_k=1000)
            assert {hit.id: (hit.title, hit.abstract, hit.year) for hit in hits} == self.now
            assert len(hits) == len(self.now)
            for key in ("PMID:1", "toy-02"):
                if key in self.now:
                    assert {hit.id for hit in index.similar(key, top_k=1000)} == self.now.keys() - {key}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                assert verify(self.folder, self.folder.open_current(), deep=True) == []
            finally:
                shutil.rmtree(self.place)


TestIndexing = Indexing.TestCase
TestIndexing.settings = settings(examples(0.2), suppress_health_check=list(HealthCheck))
