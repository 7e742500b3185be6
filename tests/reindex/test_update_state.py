"""A watched folder under random nights (new, revised, deleted, retracted, reapplied, killed), against dictionaries."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import open_index
from engine.config import Settings, SourcePattern
from engine.encode.execution.onnx import OnnxEncoder
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.verify import verify
from engine.reindex.runs.retune import tune_index
from engine.reindex.runs.update import Request, plan_reindex, reindex
from tests.conftest import TOY, TOY_MODEL, copy_toy, examples, silent
from tests.reindex.runs.test_update import RETRACTED, Killed, article, pubmed

PMIDS = st.integers(1, 6)
TITLES = st.sampled_from(["Gout", "Gout again", "Lupus in pregnancy", "Knee pain " * 40, "Sjögren"])
CITATIONS = st.lists(st.tuples(PMIDS, TITLES, st.booleans()), max_size=4, unique_by=lambda row: row[0])


@dataclass(frozen=True)
class Citation:
    """What the oracle keeps of a PMID: the latest it has seen."""

    title: str
    retracted: bool
    release: int


def aged(release: int) -> tuple[int, int]:
    """(year of revision, version) of what comes in a release."""
    return 2000 + release // 3, 1 + release // 7


def held_by(folder: IndexFolder) -> dict[str, tuple[str, bool]]:
    """PMID -> title and whether retracted."""
    with open_index(folder.path) as index:
        return {h.id: (h.title, h.retracted) for h in index.search("gout", top_k=100) if h.id.startswith("PMID")}


class Nights(RuleBasedStateMachine):
    """Files get ascending or shuffled releases; a release is used once, as on PubMed's server."""

    @initialize(
        releases=st.permutations(range(1, 13)), factory=st.sampled_from([None, "IVF3,RaBitQfs", "IVF4_HNSW2,RaBitQfs"])
    )
    def begin(self, releases: list[int], factory: str | None) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = copy_toy(self.place / "indexes" / "toy")
        self.inbox = self.place / "inbox"
        self.inbox.mkdir()
        shutil.copy(TOY, self.inbox / "toy.jsonl")
        limits = {"max_deleted_share": 1.0, "max_changed_share": 1.0}
        self.settings = Settings(
            self.folder.path / "index.toml",
            (SourcePattern(str(self.inbox)),),
            device="cpu",
            checkpoint_seconds=0.0,
            factory=factory,
            recall=1.0,
            **limits,  # type: ignore[arg-type]
        )
        self.releases = list(releases)
        self.citations: dict[int, Citation] = {}
        self.deleted: dict[int, int] = {}  # PMID -> release of its deletion
        self.waiting: list[tuple[int, list[tuple[int, str, bool]], list[int]]] = []

    @precondition(lambda self: self.releases)
    @rule(rows=CITATIONS, deleted=st.lists(PMIDS, max_size=2, unique=True))
    def a_file_arrives(self, rows: list[tuple[int, str, bool]], deleted: list[int]) -> None:
        """Version and date of revision grow with the release, as on PubMed's server; files come in any order."""
        assume(rows or deleted)  # a file without a record is an error
        release = self.releases.pop()
        articles = [
            article(pmid, title, *aged(release), RETRACTED if retracted else "") for pmid, title, retracted in rows
        ]
        pubmed(self.inbox / f"pubmed26n{release:04d}.xml.gz", *articles, deleted=deleted)
        self.waiting.append((release, rows, deleted))

    @rule()
    def a_file_arrives_again_under_another_name(self) -> None:
        files = sorted(self.inbox.glob("pubmed*.gz"))
        if files:
            shutil.copy(files[0], self.inbox / f"copy-of-{files[0].name}")

    def apply(self) -> None:
        """What reading the waiting files, by release, means."""
        for release, rows, deleted in sorted(self.waiting):
            for pmid, title, retracted in rows:
                held = self.citations.get(pmid)
                if release <= self.deleted.get(pmid, 0):
                    continue
                self.deleted.pop(pmid, None)
                if held is None or release >= held.release:
                    self.citations[pmid] = Citation(title, retracted, release)
            for pmid in deleted:
                held = self.citations.get(pmid)
                if held is not None and held.release > release:
                    continue  # issued again since
                self.citations.pop(pmid, None)
                self.deleted[pmid] = max(release, self.deleted.get(pmid, 0))
        self.waiting.clear()

    @rule()
    def a_night(self) -> None:
        planned = plan_reindex(self.folder, self.settings, Request(), silent)
        done = reindex(self.folder, self.settings, Request(), silent)
        same = ("added", "text_changed", "metadata_changed", "unchanged", "deleted", "newly_retracted", "rejected")
        assert [getattr(planned.counts, name) for name in same] == [getattr(done.counts, name) for name in same]
        assert done.counts.encoded + done.counts.resumed == planned.counts.encoded
        self.apply()

    @rule()
    def a_quiet_night(self) -> None:
        reindex(self.folder, self.settings, Request(), silent)
        self.apply()
        again = reindex(self.folder, self.settings, Request(), silent)
        assert (again.published, again.files) == (False, ())

    @rule()
    def everything_is_read_again(self) -> None:
        reindex(self.folder, self.settings, Request(), silent)
        self.apply()
        again = reindex(self.folder, self.settings, Request(full=True), silent)
        assert (again.published, again.counts.encoded) == (False, 0)

    @rule(rebuild=st.booleans())
    def it_is_tuned(self, rebuild: bool) -> None:
        before = self.folder.open_current().manifest
        done = tune_index(self.folder, self.settings, rebuild=rebuild, progress=silent)
        exact = self.settings.factory is None
        assert done.published is not exact and done.counts.encoded == (before.counts.encoded if exact else 0)
        assert self.folder.open_current().manifest.counts.abstracts == before.counts.abstracts

    @precondition(lambda self: self.waiting)
    @rule(phase=st.sampled_from(["reading", "encoding", "publishing"]))
    def a_killed_night(self, phase: str) -> None:
        before = self.folder.read_current()

        def kill(name: str, done: int, total: int | None) -> None:
            if name == phase and (phase != "encoding" or done):
                raise Killed

        try:
            reindex(self.folder, self.settings, Request(), kill)
        except Killed:
            assert self.folder.read_current() == before
        else:
            self.apply()  # nothing was to be encoded, or published

    @invariant()
    def it_holds_exactly_what_it_must(self) -> None:
        if not hasattr(self, "folder") or self.waiting:
            return
        assert verify(self.folder, self.folder.open_current(), deep=False) == []
        found = held_by(self.folder)
        assert self.folder.open_current().manifest.counts.abstracts == 40 + len(found)
        assert found == {f"PMID:{pmid}": (c.title.strip(), c.retracted) for pmid, c in self.citations.items()}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            try:
                reindex(self.folder, self.settings, Request(), silent)
                assert verify(self.folder, self.folder.open_current(), deep=True) == []
                fresh = IndexFolder(self.place / "indexes" / "fresh")
                reindex(fresh, replace(self.settings, model=str(TOY_MODEL)), Request(), silent)
                assert held_by(self.folder) == held_by(fresh)  # all at once, in the order of releases
            finally:
                shutil.rmtree(self.place)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxEncoder, "page", 2)


TestNights: Callable[..., object] = Nights.TestCase
Nights.TestCase.settings = settings(examples(0.12), suppress_health_check=list(HealthCheck))
