"""Decisions, undone ones, runs, rebuilds, merges of duplicates and rollbacks in any order, against a plain list."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.corpus.storage.journal import DecisionKind
from engine.errors import UsageError
from engine.query.index import get_generation, open_index
from engine.reindex.runs.compaction import compact_index
from engine.reindex.runs.decisions import apply_decisions, decide
from engine.reindex.runs.rollback import roll_back
from engine.reindex.runs.run import index_sources
from engine.review.decisions.follower import ReviewFollower
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import read_state
from tests.conftest import copy_toy, examples, jsonl, order_of, silent

RECORDS = [f"toy-0{n}" for n in range(1, 6)]
KINDS = [DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided")]
PEOPLE = ("ann", "bob")
Event = tuple[str, str, DecisionKind, int]  # who, record, what, number


def decide_together(kinds: Iterable[DecisionKind]) -> DecisionKind | None:
    """What reviewers decided about a record together; None: they differ on whether it belongs in the review."""
    different = set(kinds)
    if len(different) == 1:
        return different.pop()
    return None if {DecisionKind.INCLUDE, DecisionKind.EXCLUDE} <= different else DecisionKind.MAYBE


class Decisions(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = copy_toy(self.place / "toy")
        self.review = Review(self.folder, "main")
        self.review.start("ann", ReviewSettings())
        self.index = open_index(self.folder.path)
        self.follower = ReviewFollower(Review(self.folder, "main"))
        self.events: list[list[Event]] = []  # of each command in force
        self.merged: list[set[str]] = []
        self.n_rows = 0

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()
        shutil.rmtree(self.place)

    @rule(
        who=st.sampled_from(PEOPLE),
        names=st.lists(st.sampled_from(RECORDS), min_size=1, max_size=3, unique=True),
        kind=st.sampled_from(KINDS),
    )
    def decide(self, who: str, names: list[str], kind: DecisionKind) -> None:
        made = self.review.decide(who, names, NewLabel(kind))
        self.events.append([(who, name, kind, each.number) for name, each in zip(names, made, strict=True)])

    @rule(who=st.sampled_from(PEOPLE))
    def undo(self, who: str) -> None:
        own = [command for command in self.events if command[0][0] == who]
        if own:
            self.review.undo(who)
            self.events = [command for command in self.events if command is not own[-1]]
            return
        try:
            self.review.undo(who)
        except UsageError:
            return
        raise AssertionError("there was nothing to undo")

    @rule(at=st.integers(0, 30))
    def undo_one(self, at: int) -> None:
        events = [event for command in self.events for event in command]
        if events:
            who, _, _, number = undone = events[at % len(events)]
            assert [each.number for each in self.review.undo(who, number)] == [number]
            kept = [[event for event in command if event is not undone] for command in self.events]
            self.events = [command for command in kept if command]

    @rule()
    def build_anew(self) -> None:
        compact_index(self.folder, order_of().settings, silent)

    @rule()
    def add_record(self) -> None:
        self.n_rows += 1
        row = {"id": f"new-{self.n_rows}", "title": f"New record {self.n_rows}", "abstract": "With a text."}
        index_sources(self.folder, order_of(jsonl(self.place / "rows.jsonl", [row])), silent)

    @rule(names=st.lists(st.sampled_from(RECORDS), min_size=2, max_size=2, unique=True))
    def merge(self, names: list[str]) -> None:
        decide(self.folder, DecisionKind.MERGE, names, "ann")
        apply_decisions(self.folder, order_of().settings, "duplicates", silent)
        touched = [each for each in self.merged if each & set(names)]
        self.merged = [each for each in self.merged if not each & set(names)] + [set(names).union(*touched)]

    @rule()
    def roll_back_and_again(self) -> None:
        if self.folder.list_numbers()[0] < self.folder.read_current():
            roll_back(self.folder, None)
            apply_decisions(self.folder, order_of().settings, "duplicates", silent)  # merges are kept in the journal

    @invariant()
    def what_is_in_force_is_what_the_events_say(self) -> None:
        if not hasattr(self, "folder"):
            return
        group = {name: next((min(each) for each in self.merged if name in each), name) for name in RECORDS}
        last: dict[str, dict[str, DecisionKind]] = {}
        for who, name, kind, _ in (event for command in self.events for event in command):
            last.setdefault(group[name], {})[who] = kind
        expected = {
            name: {who: kind for who, kind in kinds.items() if kind is not DecisionKind.UNDECIDED}
            for name, kinds in last.items()
        }
        state = read_state(self.review)
        found = {
            group[each.record.ids[0]]: {one.who: one.kind for one in each.decisions}
            for each in state.records
            if each.doc_id is not None
        }
        in_force = {name: kinds for name, kinds in expected.items() if kinds}
        assert found == in_force
        assert state.absent == []
        assert state.count_kinds() == Counter(decide_together(kinds.values()) for kinds in in_force.values())
        assert self.follower.read(get_generation(self.index, follow=True)) == state  # what a server shows


TestDecisions = Decisions.TestCase
TestDecisions.settings = examples(0.1)
