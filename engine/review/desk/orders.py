"""Orders in which the records of a review are read, and why a record is where it is in them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from engine.corpus.words.wording import choose_parts
from engine.encode.models.recipe import clean_text
from engine.errors import EngineError
from engine.query.opening.generation import OpenGeneration
from engine.query.question.ordering import sort_ids
from engine.records.generation import DocIds
from engine.relevance.screening.labels import Labels
from engine.relevance.screening.ranking import Learned, Pool, Rows, learn_order, load_pool, rank_unlabelled
from engine.relevance.screening.wordmodel import Features, get_terms

_WORDS_NAMED = 5  # in a reason
_ALIKE = 0.1  # cosine of the words of two records that are called alike
_NEAR = 0.5  # share of the records that is farther from the criteria than one that is called near


class OrderName(StrEnum):
    """What an order goes by."""

    LEARNED = "learned"  # the decisions and the criteria, as `engine screen --review` ranks
    CRITERIA = "criteria"  # the cosine with the criteria
    DATE = "date"  # the year, newest first
    INDEX = "index"  # when the records were indexed: where there is nothing else to go by
    RANDOM = "random"  # chance: what is found tells what is left, whatever another order is worth


@dataclass(frozen=True, slots=True)
class WhyNext:
    """Why a record is where it is in an order."""

    text: str  # a short sentence without a full stop
    words: tuple[str, ...] = ()  # words and word pairs that speak for it, the strongest first
    like: int | None = None  # doc id of an included record that it is like


@dataclass(frozen=True, slots=True, eq=False)
class ReadingOrder:
    """All records of a generation in the order in which they are to be read, decided ones too."""

    name: OrderName
    doc_ids: tuple[int, ...]
    explain: Callable[[int, Collection[int]], WhyNext]  # of a doc id; the records that may be named as included
    n_learned: int = 0  # included and excluded records that it was learned from


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """An order that was learned."""

    order: ReadingOrder
    labels: Labels | None  # that it was learned from; None: in another generation, or with other criteria


class Orders:
    """The orders of one generation, for one text of criteria; those that are learned, for each of some learners."""

    def __init__(self, snapshot: OpenGeneration, criteria: str) -> None:
        """Rank the records by the criteria. If that can't be done, `trouble` says why, and there is no such order."""
        self.criteria_text = criteria
        self.trouble = ""
        self._lessons: Mapping[str, _Lesson] = {}
        self._snapshot = snapshot
        self._index = _order_by_index(snapshot)
        try:
            self._pool = load_pool(snapshot, snapshot.corpus.read_ids(), clean_text(criteria), learning=False)[0]
        except EngineError as err:
            self.trouble = str(err)
            self._pool = load_pool(snapshot, snapshot.corpus.read_ids(), "", learning=False)[0]
        self._criteria = None if self._pool.cosines is None else _order_by_criteria(self._pool)

    @cached_property
    def _date(self) -> ReadingOrder:
        """The order of the years, read when it is first asked for."""
        return _order_by_date(self._snapshot)

    @cached_property
    def _random(self) -> ReadingOrder:
        """The order by chance, made when it is first asked for."""
        return _order_by_chance(self._snapshot)

    def choose(self, name: OrderName, learner: str = "") -> ReadingOrder:
        """Return an order; if there is none yet, that by the criteria, and without criteria, that of the index."""
        if name in (OrderName.DATE, OrderName.RANDOM):
            return self._date if name is OrderName.DATE else self._random
        lesson = self._lessons.get(learner) if name is OrderName.LEARNED else None
        if lesson is not None:
            return lesson.order
        return self._index if name is OrderName.INDEX else self._criteria or self._index

    def learn(self, words: Pool, labels: Labels, learner: str = "") -> Orders:
        """Return the same orders with the one that labels teach a learner; without labels of both kinds, with none.

        words: the records of the generation with their features.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        known = self._lessons.get(learner)
        if known is not None and known.labels is not None and known.labels.is_same(labels):
            return self
        other = copy(self)
        other._lessons = {name: lesson for name, lesson in self._lessons.items() if name != learner}
        if labels.has_both:
            other._lessons |= {learner: _Lesson(_order_by_labels(words, self._pool, labels), labels)}
        return other

    def carry(self, now: OpenGeneration, criteria: str) -> Orders:
        """Return the orders of another generation or for other criteria, with what was learned in these.

        That holds until it is learned anew. Records that were not there before come last, in the order by the criteria.
        """
        other = Orders(now, criteria)
        if self._lessons:
            names = {row["record_id"]: row["id"] for row in now.corpus.read_all("record_id")}
            old = self._snapshot.corpus.read_all("record_id")
            new_ids = {row["id"]: names[row["record_id"]] for row in old if row["record_id"] in names}
            rest = other.choose(OrderName.CRITERIA).doc_ids
            other._lessons = {
                learner: _Lesson(_carry_order(lesson.order, new_ids, rest), None)
                for learner, lesson in self._lessons.items()
            }
        return other


def _order_by_index(snapshot: OpenGeneration) -> ReadingOrder:
    """Return the order in which the records were indexed."""
    why = WhyNext("Nothing to go by yet: the order of the index")
    return ReadingOrder(OrderName.INDEX, tuple(snapshot.corpus.read_ids().tolist()), lambda doc_id, included: why)


def _order_by_date(snapshot: OpenGeneration) -> ReadingOrder:
    """Return the order of the years, newest first, equal ones as they were indexed; without a year come last."""
    doc_ids = snapshot.corpus.read_ids().tolist()
    years = {row["id"]: row["year"] for row in snapshot.corpus.read_by_ids("year", doc_ids)}

    def explain(doc_id: int, included: Collection[int]) -> WhyNext:
        year = years.get(doc_id)
        return WhyNext("No year is known" if year is None else f"Newest first: {year}")

    return ReadingOrder(OrderName.DATE, tuple(sort_ids(snapshot.corpus, doc_ids, "year:desc")), explain)


def _order_by_chance(snapshot: OpenGeneration) -> ReadingOrder:
    """Return an order that has nothing to do with what is in the records: that of the SHA-256 of their ids."""
    rows = snapshot.corpus.read_all("record_id")
    ids = sorted((hashlib.sha256(row["record_id"].encode()).digest(), row["id"]) for row in rows)
    why = WhyNext("Drawn at random")
    return ReadingOrder(OrderName.RANDOM, tuple(doc_id for _, doc_id in ids), lambda doc_id, included: why)


def _order_by_criteria(pool: Pool) -> ReadingOrder:
    """Return the order of the cosines of a pool, which has them; equal ones as they were indexed."""
    nothing = np.empty(0, np.int64)
    rows, _ = rank_unlabelled(pool, nothing, nothing.astype(bool), np.ones(len(pool.doc_ids), bool))
    nearness = _Nearness(pool)

    def explain(doc_id: int, included: Collection[int]) -> WhyNext:
        return WhyNext(nearness.describe(nearness.find_row(doc_id)))

    return ReadingOrder(OrderName.CRITERIA, tuple(pool.doc_ids[rows].tolist()), explain)


def _order_by_labels(words: Pool, criteria: Pool, labels: Labels) -> ReadingOrder:
    """Return the order that labels of both kinds teach.

    words, criteria: the same records with their features, and with their cosines with the criteria, if there are any.
    """
    pool = replace(criteria, has_text=words.has_text, features=words.features, terms=words.terms)
    labelled = np.searchsorted(pool.doc_ids, labels.doc_ids)
    left = ~np.isin(pool.doc_ids, np.union1d(labels.doc_ids, labels.unsure))
    learned = learn_order(pool, labelled, labels.mark_included(labels.doc_ids), left)
    reasons = _LearnedReasons(pool, learned, np.searchsorted(pool.doc_ids, labels.included))
    doc_ids = tuple(pool.doc_ids[learned.rows].tolist())
    return ReadingOrder(OrderName.LEARNED, doc_ids, reasons.explain, len(labelled))


def _carry_order(order: ReadingOrder, doc_ids: Mapping[int, int], others: Sequence[int]) -> ReadingOrder:
    """Return an order of another generation as one of this generation, until a new one is learned.

    doc_ids: the doc id in this generation by that in the other one. others: all records of this generation in another
    order; those that were not there before come last, in that order.
    """
    why = WhyNext("As it was ordered before the index or the criteria changed")
    kept = [doc_ids[doc_id] for doc_id in order.doc_ids if doc_id in doc_ids]
    there = set(kept)
    new = (doc_id for doc_id in others if doc_id not in there)
    return ReadingOrder(order.name, (*kept, *new), lambda doc_id, included: why, order.n_learned)


class _Nearness:
    """How near the records of a pool are to the criteria."""

    def __init__(self, pool: Pool) -> None:
        self.doc_ids: DocIds = pool.doc_ids
        self.cosines = pool.cosines
        self.ordered = None if pool.cosines is None else np.sort(pool.cosines)

    def find_row(self, doc_id: int) -> int:
        """Return the row of a record."""
        return int(np.searchsorted(self.doc_ids, doc_id))

    def get_share(self, row: int) -> float:
        """Return the share of the records that is farther from the criteria; 0 without criteria."""
        if self.cosines is None or self.ordered is None:
            return 0.0
        return float(np.searchsorted(self.ordered, self.cosines[row], "left") / len(self.ordered))

    def describe(self, row: int) -> str:
        """Return how near a record is, in words."""
        share = self.get_share(row)
        if share < _NEAR:
            return "Farther from the criteria than most records"
        return f"Nearer to the criteria than {min(99, int(100 * share))} % of the records"


class _LearnedReasons:
    """Reasons of an order that was learned, from the same model."""

    def __init__(self, pool: Pool, learned: Learned, included: Rows) -> None:
        """Prepare; included are the rows that were included."""
        self.pool = pool
        self.learned = learned
        self.included = included
        features: Features = pool.features
        self.features = features
        self.examples = features[included]
        self.nearness = _Nearness(pool)
        self.lock = threading.Lock()
        self.scratch = np.zeros(len(learned.model.weights))  # zeros but while a record is compared

    def explain(self, doc_id: int, included: Collection[int]) -> WhyNext:
        """Return why a record is where it is; of the included records, only those given may be named."""
        row = self.nearness.find_row(doc_id)
        words, near = self._choose_words(row), self.learned.criteria[row] > 0 and self.nearness.get_share(row) >= _NEAR
        like = self._find_alike(row, included) if words else None
        if words and near:
            return WhyNext("Holds words of included records, and is near to the criteria", words, like)
        if words:
            return WhyNext("Holds words of included records", words, like)
        return WhyNext(self.nearness.describe(row) if near else "Little speaks for it, and less for what follows")

    def _choose_words(self, row: int) -> tuple[str, ...]:
        """Return the terms that speak most for a record, the strongest first; none if more speaks against it."""
        if self.learned.words[row] <= 0 or self.pool.terms is None:
            return ()
        columns, parts = self.learned.model.weigh_terms(self.features, row)
        chosen: list[str] = []
        for column in columns[parts > 0].tolist():
            term = self.pool.terms[column]
            parts_of_term = term.split()
            is_named = any(term in other.split() or set(other.split()) <= set(parts_of_term) for other in chosen)
            if not is_named and choose_parts(parts_of_term) == parts_of_term and not term.isdigit():
                chosen.append(term)
            if len(chosen) == _WORDS_NAMED:
                break
        return tuple(chosen)

    def _find_alike(self, row: int, included: Collection[int]) -> int | None:
        """Return the doc id of the included record whose words are most like those of a row; None if none is."""
        doc_ids = self.pool.doc_ids[self.included]
        known = np.array([doc_id in included for doc_id in doc_ids.tolist()], bool)
        if not known.any():
            return None
        columns, values = get_terms(self.features, row)
        with self.lock:
            self.scratch[columns] = values
            alike = np.where(known & (self.included != row), self.examples @ self.scratch, 0.0)
            self.scratch[columns] = 0.0
        best = int(alike.argmax())
        return int(doc_ids[best]) if alike[best] >= _ALIKE else None
