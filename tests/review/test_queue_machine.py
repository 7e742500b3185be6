"""Decisions of two reviewers, undone ones, the shell and new generations in any order, against dictionaries."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import open_index
from engine.corpus.storage.journal import DecisionKind
from engine.reindex.runs.run import index_sources
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.desk.orders import OrderName
from engine.review.desk.queue import ReviewQueue
from tests.conftest import copy_toy, examples, jsonl, order_of, silent

KINDS = [DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided")]
PEOPLE = ("ann", "bob")
ORDERS = [name for name in OrderName if name is not OrderName.INDEX]
Command = tuple[str, str, DecisionKind, bool]  # who, record, what, for all


class Queue(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = copy_toy(self.place / "toy")
        self.review = Review(self.folder, "main")
        self.review.start("ann", ReviewSettings("Gout"))
        self.index = open_index(self.folder.path)
        self.queue = ReviewQueue(self.index, self.review)
        self.records = {f"toy-{n:02d}" for n in range(1, 41)}
        self.commands: list[Command] = []  # in force
        self.returned: dict[str, list[str]] = {who: [] for who in PEOPLE}  # the last undone one last
        self.n_rows = 0

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.queue.close()
            self.index.close()
            shutil.rmtree(self.place)

    def decided_by(self, who: str) -> set[str]:
        own: dict[str, DecisionKind] = {}
        common: dict[str, DecisionKind] = {}
        for one, record, kind, for_all in self.commands:
            if for_all:
                common.pop(record, None)
                common[record] = kind
            elif one == who:
                own[record] = kind
        return {name for found in (own, common) for name, kind in found.items() if kind is not DecisionKind.UNDECIDED}

    @rule(
        who=st.sampled_from(PEOPLE),
        at=st.integers(0, 39),
        kind=st.sampled_from(KINDS),
        for_all=st.booleans(),
        in_shell=st.booleans(),
        order=st.sampled_from(ORDERS),
    )
    def decide(self, who: str, at: int, kind: DecisionKind, for_all: bool, in_shell: bool, order: OrderName) -> None:
        found = self.queue.next_records(who, at + 1, order).records
        if not found:
            return
        name = found[-1].record_id
        deciding = self.review if in_shell else self.queue
        (made,) = deciding.decide(who, [name], NewLabel(kind, for_all=for_all))
        assert ("order" in made.details) is not in_shell
        self.commands.append((who, name, kind, for_all))
        self.returned[who] = [each for each in self.returned[who] if each != name]

    @precondition(lambda self: self.commands)
    @rule(who=st.sampled_from(PEOPLE))
    def undo(self, who: str) -> None:
        own = [command for command in self.commands if command[0] == who]
        if own:
            self.queue.undo(who)
            self.commands = [command for command in self.commands if command is not own[-1]]
            name = own[-1][1]
            self.returned[who] = [*(each for each in self.returned[who] if each != name), name]

    @precondition(lambda self: self.n_rows < 2)
    @rule()
    def publish(self) -> None:
        self.n_rows += 1
        row = {"id": f"new-{self.n_rows}", "title": f"New record {self.n_rows}", "abstract": "On gout."}
        index_sources(self.folder, order_of(jsonl(self.place / "rows.jsonl", [row])), silent)
        self.records.add(f"new-{self.n_rows}")

    @precondition(lambda self: self.commands)
    @rule()
    def open_again(self) -> None:
        self.queue.close()
        self.queue = ReviewQueue(self.index, self.review)

    @invariant()
    def a_queue_has_what_is_left(self) -> None:
        if not hasattr(self, "queue"):
            return
        for settled in (False, True):  # while the order may be learned, and when it is
            assert not settled or self.queue.wait(60)
            for who in PEOPLE:
                found = self.queue.next_records(who, 1000)
                names = [each.record_id for each in found.records]
                left = self.records - self.decided_by(who)
                assert len(names) == len(set(names)) == found.n_left
                assert set(names) == left if settled else set(names) <= left and len(left - set(names)) <= self.n_rows
                first = [name for name in reversed(self.returned[who]) if name in left]
                assert names[: len(first)] == first
        assert not self.queue.trouble


TestQueue = Queue.TestCase
TestQueue.settings = examples(0.2)
