"""The queue of a review: which records to read next, and why; learned anew in the background after each decision.

A caller never waits for learning: it gets the order that was learned last, without what is decided meanwhile. Until the
first order is learned, that is the order by the criteria. Learning begins anew after each decision, undone decision and
change of the criteria, by this process or another one, and after each new generation of the index.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any

from engine.corpus.storage.journal import Decision
from engine.corpus.storage.store import Corpus
from engine.query.index import Index, get_generation
from engine.query.opening.generation import OpenGeneration
from engine.relevance.screening.ranking import Pool
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.standing import Standing
from engine.review.desk.background import BackgroundTask
from engine.review.desk.counting import WordCounter
from engine.review.desk.orders import OrderName, Orders, ReadingOrder, WhyNext
from engine.review.desk.reading import RecordReader, RecordReading

_MOST_SHOWN = 10_000  # records of one reviewer whose place is remembered until they are decided
_AHEAD, _MOST_AHEAD = 2, 5  # records beyond those asked for that are read ahead; at most so many in all
_RETURNED = WhyNext("You undid your decision on it")


@dataclass(frozen=True, slots=True)
class QueuedRecord:
    """A record that is to be read."""

    doc_id: int  # in the generation of the answer
    record_id: str
    rank: int  # from 1, among the records that are left to this reviewer
    why: WhyNext
    like: str | None = None  # record id of why.like


@dataclass(frozen=True, slots=True)
class NextRecords:
    """The next records for a reviewer, in the order in which they are to be read."""

    records: tuple[QueuedRecord, ...]
    order: OrderName  # in force, which may not be the one that was asked for
    n_left: int  # records that this reviewer has not decided and that are not decided for all
    n_learned: int  # included and excluded records that the order was learned from
    generation: int
    note: str = ""  # why the order is not the one that was asked for


class ReviewQueue:
    """The records of an open index that are left to the reviewers of a review. Safe to use from several threads."""

    def __init__(
        self,
        index: Index,
        review: Review,
        find_newest: Callable[[], OpenGeneration] | None = None,
        *,
        is_blind: bool = False,
    ) -> None:
        """Read the decisions, rank by the criteria, and begin to learn in the background; `close` ends that.

        find_newest: what returns the newest generation, if the index does not follow it by itself.
        is_blind: each reviewer has an order of their own, learned from their own decisions and those for all. Otherwise
        there is one order for all, learned from what they decided together, as `engine screen --review` ranks.

        Raises:
            UsageError: the review was not started.
            CorpusError: the journal can't be read.
            GenerationError: the index is closed.
        """
        review.check_started()
        self.review = review
        self._find_newest = find_newest or partial(get_generation, index, follow=True)
        self._lock = threading.Lock()
        self._newest = self._find_newest()
        self._standing = Standing(self._newest, review.journal.read())
        self._orders = Orders(self._newest, self._standing.settings.criteria)
        self._counter = WordCounter()
        self._words: tuple[OpenGeneration, Pool] | None = None  # the features of a generation
        self._reader: RecordReader | None = None
        self._shown: dict[str, dict[str, dict[str, Any]]] = {}  # by reviewer and record id: NewLabel.order
        self._is_blind = is_blind
        self._learners = {} if is_blind else {"": None}  # whose orders are learned; "" for all
        self._ahead: tuple[RecordReader, Sequence[int]] | None = None  # records that will be read soon
        self._task = BackgroundTask(f"review {review.name}: learning", self._learn)
        self._task.ask()
        self._task.start()
        self._reading = BackgroundTask(f"review {review.name}: reading", self._read_ahead)
        self._reading.start()

    def close(self) -> None:
        """Stop learning. The index stays open."""
        self._counter.end()
        self._task.end()
        self._reading.end()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the order is learned from everything that is written now; return whether it is."""
        self._follow()
        return self._task.wait(seconds)

    @property
    def settings(self) -> ReviewSettings:
        """The settings of the review as they are now."""
        self._follow()
        with self._lock:
            return self._standing.settings

    @property
    def trouble(self) -> str:
        """Why the order could not be learned the last time; "" if it could."""
        return self._task.trouble

    @property
    def snapshot(self) -> OpenGeneration:
        """The generation in which the records of the next answer are."""
        with self._lock:
            return self._standing.snapshot

    def next_records(
        self, who: str, n: int = 1, order: OrderName = OrderName.LEARNED, passed: Collection[int] = ()
    ) -> NextRecords:
        """Return the next n records for a reviewer; fewer only if fewer are left.

        First come records of which the reviewer undid the decision, the last one first. Records that this reviewer
        decided, and those that are decided for all, are left out; "maybe" is a decision, "undecided" is none. Decisions
        of other reviewers leave a record in the queue. passed: doc ids to leave out this time, as if they were decided.

        Raises:
            CorpusError: the journal can't be read.
            GenerationError: the index is closed.
        """
        self._follow()
        with self._lock:
            standing, orders, learner = self._standing, self._orders, self._find_learner(who)
            decided, included = standing.list_decided(who), standing.list_included(who)
            returned = standing.list_returned(who)
            note = self._explain_order(orders, order, learner)
        chosen, decided = orders.choose(order, learner), decided | set(passed)
        left = list(islice(_iterate_left(chosen, returned, decided), n + _AHEAD))
        rows = [
            (rank, doc_id, _RETURNED if doc_id in returned else chosen.explain(doc_id, included))
            for rank, doc_id in left[:n]
        ]
        self._plan_reading([doc_id for _, doc_id in left])
        records = _name_records(standing.snapshot.corpus, rows)
        n_left = len(chosen.doc_ids) - len(decided)
        self._remember(who, records, {"name": str(chosen.name), "left": n_left, "learned_from": chosen.n_learned})
        number = standing.snapshot.manifest.generation
        return NextRecords(records, chosen.name, n_left, chosen.n_learned, number, note)

    def read_record(self, doc_id: int, *, evidence: bool = True) -> RecordReading:
        """Return a record of the last answer as a reviewer reads it: see RecordReading.

        evidence: whether to look for the sentence nearest to each criterion. That takes the encoder some 100 ms of
        computing, unless the record was among the first of an answer, which are read ahead in the background.

        Raises:
            KeyError: the record is not in the generation any more.
            EncoderError: the encoder is missing or can't be used.
        """
        return self._get_reader().read(doc_id, evidence=evidence)

    def decide(self, who: str, names: Sequence[str], label: NewLabel, key: str = "") -> list[Decision]:
        """Write one decision for each record, all or none, as `Review.decide_in`; they are on disk when this returns.

        A decision on one record, by the record id with which the queue has shown it to this reviewer, says how it was
        shown: see NewLabel.order.

        Raises:
            UsageError: a record is not in the index, or a text is too long.
            NotSavedError: the journal can't be written.
            GenerationError: the index is closed.
        """
        shown = self._shown.get(who, {})
        if len(names) == 1 and label.order is None:
            label = replace(label, order=shown.get(names[0]))
        made = self.review.decide_in(self.snapshot.corpus, who, names, label, key)
        for name in names:
            shown.pop(name, None)
        self._follow(made)
        return made

    def decide_each(self, who: str, labels: Mapping[str, NewLabel], key: str = "") -> list[Decision]:
        """Write one decision for each record, about each its own, all or none, as `Review.decide_each_in`.

        Raises:
            UsageError: a record is not in the index, or a text is too long.
            NotSavedError: the journal can't be written.
            GenerationError: the index is closed.
        """
        made = self.review.decide_each_in(self.snapshot.corpus, who, labels, key)
        self._follow(made)
        return made

    def undo(self, who: str, number: int | None = None, key: str = "") -> list[Decision]:
        """Undo a decision of a reviewer, or all those of their last command; return them.

        A record that was decided alone is the next one for this reviewer, unless an earlier decision is in force again.

        Raises:
            UsageError: there is none in force, or it is another reviewer's.
            NotSavedError: the journal can't be written.
            GenerationError: the index is closed.
        """
        undone = self.review.undo(who, number, key)
        self._follow()
        return undone

    def _follow(self, made: Sequence[Decision] = ()) -> None:
        """Take in what was written and published since, by other processes, too; made is known to be written."""
        newest = self._find_newest()
        with self._lock:
            is_next = bool(made) and made[0].number == self._standing.last + 1  # nobody wrote in between
            events = made if is_next else self.review.journal.read(self._standing.last)
            changed = self._standing.add(events)
            if changed or newest is not self._newest:
                self._newest = newest
                self._task.ask()

    def _find_learner(self, who: str) -> str:
        """Return whose order a reviewer gets, and let it be learned from now on. Call with the lock."""
        learner = who if self._is_blind else ""
        if learner not in self._learners:
            self._learners[learner] = None
            self._task.ask()
        return learner

    def _get_reader(self) -> RecordReader:
        """Return what reads the records of the generation for the settings of the review."""
        with self._lock:
            snapshot, settings = self._standing.snapshot, self._standing.settings
            if self._reader is None or (self._reader.snapshot, self._reader.settings) != (snapshot, settings):
                self._reader = RecordReader(snapshot, settings)
            return self._reader

    def _plan_reading(self, doc_ids: Sequence[int]) -> None:
        """Let the first of some records be read in the background, so that their sentences are encoded when shown."""
        self._ahead = self._get_reader(), doc_ids[:_MOST_AHEAD]
        self._reading.ask()

    def _read_ahead(self) -> None:
        """Read the records that will be shown soon. Runs in the background.

        Raises:
            EncoderError: the encoder is missing or can't be used.
        """
        ahead = self._ahead
        reader, doc_ids = ahead or (None, ())
        for doc_id in doc_ids:
            if reader is not None and self._ahead is ahead:
                reader.read(doc_id)

    def _learn(self) -> None:
        """Learn the order from the decisions in force, in the newest generation. Runs in the background.

        Raises:
            EngineError: the words can't be learned from; the orders that need none are in force.
        """
        with self._lock:
            newest, standing, orders = self._newest, self._standing, self._orders
        if standing.snapshot is not newest:
            standing = Standing(newest, self.review.journal.read())
            orders = self._publish(standing, orders.carry(newest, standing.settings.criteria))
        elif standing.settings.criteria != orders.criteria_text:
            orders = self._publish(standing, orders.carry(newest, standing.settings.criteria))
        if self._words is None or self._words[0] is not newest:
            self._words = None  # frees the memory of those before
            self._words = newest, self._counter.count(newest)
        for learner in list(self._learners):
            with self._lock:
                labels = standing.build_labels(learner if self._is_blind else None)
            orders = self._publish(standing, orders.learn(self._words[1], labels, learner))

    def _publish(self, standing: Standing, orders: Orders) -> Orders:
        """Put orders in force, and return them."""
        with self._lock:
            if standing is not self._standing:
                standing.add(self.review.journal.read(standing.last))
            self._standing, self._orders = standing, orders
        return orders

    def _explain_order(self, orders: Orders, wanted: OrderName, learner: str) -> str:
        """Return why an order can't be in force; "" if it is. Call with the lock."""
        found = orders.choose(wanted, learner).name
        if found is wanted:
            return ""
        what = "the criteria" if found is OrderName.CRITERIA else "the index"
        labels = self._standing.build_labels(learner if self._is_blind else None)
        if wanted is OrderName.LEARNED and not labels.has_both:
            return f"Order by {what} until a record is included and another one excluded"
        if wanted is OrderName.LEARNED and not self._task.trouble:
            return f"Order by {what} until the first order is learned"
        trouble = orders.trouble if wanted is OrderName.CRITERIA else self._task.trouble
        return f"Order by {what}: {trouble or 'the review has no criteria'}"

    def _remember(self, who: str, records: Sequence[QueuedRecord], place: dict[str, Any]) -> None:
        """Keep how records are shown to a reviewer, until they are decided."""
        with self._lock:
            shown = self._shown.setdefault(who, {})
            for record in records:
                shown.pop(record.record_id, None)
                shown[record.record_id] = place | {"rank": record.rank}
            while len(shown) > _MOST_SHOWN:
                del shown[next(iter(shown))]


def _iterate_left(order: ReadingOrder, returned: Sequence[int], decided: set[int]) -> Iterator[tuple[int, int]]:
    """Yield rank and doc id of the records that are left, in order, those first to which the reviewer came back."""
    first = [doc_id for doc_id in returned if doc_id not in decided]
    not_rest = decided.union(first)
    yield from enumerate(chain(first, (doc_id for doc_id in order.doc_ids if doc_id not in not_rest)), 1)


def _name_records(corpus: Corpus, rows: Sequence[tuple[int, int, WhyNext]]) -> tuple[QueuedRecord, ...]:
    """Return records, each of (rank, doc id, why), with their record ids."""
    doc_ids = [each for _, doc_id, why in rows for each in (doc_id, why.like) if each is not None]
    names = {row["id"]: row["record_id"] for row in corpus.read_by_ids("record_id", doc_ids)}
    return tuple(
        QueuedRecord(doc_id, names[doc_id], rank, why, None if why.like is None else names.get(why.like))
        for rank, doc_id, why in rows
    )
