"""The queue of a review of the toy abstracts: its order is that of the shell, and no decision is lost."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from engine import Index, open_index
from engine.corpus.storage.journal import DecisionKind
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.desk.orders import OrderName
from engine.review.desk.queue import NextRecords, ReviewQueue

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))
CRITERIA = "Treatment of gout with colchicine"
Run = Callable[..., subprocess.CompletedProcess[str]]
Add = Callable[..., Report]


@pytest.fixture
def index(toy: IndexFolder) -> Iterator[Index]:
    with open_index(toy.path) as opened:
        yield opened


@pytest.fixture
def review(toy: IndexFolder) -> Review:
    made = Review(toy, "main")
    made.start("ann", ReviewSettings(CRITERIA))
    return made


@pytest.fixture
def queue(index: Index, review: Review) -> Iterator[ReviewQueue]:
    made = ReviewQueue(index, review)
    yield made
    made.close()


def ids(found: NextRecords) -> list[str]:
    return [each.record_id for each in found.records]


def of_the_shell(engine: Run) -> list[str]:
    done = engine("screen", "-i", "toy", "--review", "main", "-n", "40")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


def test_the_order_is_that_of_the_shell_for_the_same_decisions(queue: ReviewQueue, engine: Run) -> None:
    assert queue.wait(60)
    first = queue.next_records("ann", 40)
    assert (first.order, first.n_left, ids(first)) == (OrderName.CRITERIA, 40, of_the_shell(engine))
    assert first.note == "Order by the criteria until a record is included and another one excluded"
    queue.decide("ann", ["toy-01", "toy-06"], NewLabel(IN))
    queue.decide("ann", ["toy-02", "toy-08"], NewLabel(OUT, "wrong disease"))
    queue.decide("ann", ["toy-03"], NewLabel(MAYBE))
    assert queue.wait(60)
    found = queue.next_records("ann", 40)
    assert (found.order, found.n_left, found.n_learned, found.note) == (OrderName.LEARNED, 35, 4, "")
    assert ids(found) == of_the_shell(engine)
    assert [each.rank for each in found.records] == list(range(1, 36))
    assert queue.next_records("bob", 40).n_left == 40  # who has decided nothing


def test_decided_records_are_skipped_at_once_and_an_undone_one_comes_first(queue: ReviewQueue) -> None:
    first, second, third = ids(queue.next_records("ann", 3))
    queue.decide("ann", [first], NewLabel(OUT))
    queue.decide("ann", [second], NewLabel(MAYBE))
    assert ids(queue.next_records("ann", 1)) == [third]
    assert ids(queue.next_records("bob", 1)) == [first]
    others = queue.next_records("bob", 1, passed=[each.doc_id for each in queue.next_records("bob", 2).records])
    assert (ids(others), others.records[0].rank, others.n_left) == ([third], 1, 38)
    queue.decide("bob", [third], NewLabel(OUT, for_all=True))
    assert third not in ids(queue.next_records("ann", 40))
    queue.undo("ann")
    queue.undo("ann")
    found = queue.next_records("ann", 2)
    assert ids(found) == [first, second]
    assert found.records[0].why.text == "You undid your decision on it"
    queue.decide("ann", [second], NewLabel(OPEN, note="ask the authors"))
    assert ids(queue.next_records("ann", 40)).count(second) == 1


def test_a_decision_says_how_its_record_was_shown(queue: ReviewQueue, review: Review) -> None:
    first, second = ids(queue.next_records("ann", 2))
    (made,) = queue.decide("ann", [second], NewLabel(IN, seconds=2.0))
    order = {"name": "criteria", "rank": 2, "left": 40, "learned_from": 0}
    assert made.details == {"seconds": 2.0, "order": order}
    assert review.journal.read()[-1].details["order"] == order
    (unseen,) = queue.decide("bob", [first], NewLabel(IN))
    assert "order" not in unseen.details


def test_decisions_of_other_processes_are_seen(queue: ReviewQueue, review: Review) -> None:
    first, second = ids(queue.next_records("ann", 2))
    review.decide("ann", [first], NewLabel(OUT))
    assert ids(queue.next_records("ann", 1)) == [second]
    review.start("ann", ReviewSettings("Osteoporosis"))
    assert queue.wait(60)
    assert queue.settings.criteria == "Osteoporosis"
    assert ids(queue.next_records("ann", 1)) != [second]


def test_a_new_generation_is_followed(queue: ReviewQueue, add: Add, engine: Run) -> None:
    queue.decide("ann", ["toy-01", "toy-06"], NewLabel(IN))
    queue.decide("ann", ["toy-02", "toy-08"], NewLabel(OUT))
    assert queue.wait(60)
    before = ids(queue.next_records("ann", 40))
    add({"id": "new", "title": "Colchicine in gout", "abstract": "Colchicine ends attacks of gout.", "year": 2030})
    meanwhile = ids(queue.next_records("ann", 41))
    assert [each for each in meanwhile if each != "new"] == before
    assert queue.wait(60)
    found = queue.next_records("ann", 41)
    assert (found.n_left, sorted(ids(found))) == (37, sorted([*before, "new"]))
    assert ids(found) == of_the_shell(engine)
    assert ids(queue.next_records("ann", 1, OrderName.DATE)) == ["new"]


def test_blind_reviewers_have_orders_of_their_own(index: Index, review: Review, engine: Run) -> None:
    queue = ReviewQueue(index, review, is_blind=True)
    queue.decide("ann", ["toy-01", "toy-06"], NewLabel(IN))
    queue.decide("ann", ["toy-02", "toy-08"], NewLabel(OUT))
    queue.next_records("ann", 1)
    queue.next_records("bob", 1)
    assert queue.wait(60)
    ann = queue.next_records("ann", 40)
    assert (ann.order, ann.n_learned, ids(ann)) == (OrderName.LEARNED, 4, of_the_shell(engine))
    assert queue.next_records("bob", 40).order is OrderName.CRITERIA  # who would see what ann decided
    queue.decide("bob", ["toy-02", "toy-08"], NewLabel(IN))
    queue.decide("bob", ["toy-01", "toy-06"], NewLabel(OUT))
    assert queue.wait(60)
    bob = queue.next_records("bob", 40)
    assert (bob.n_learned, bob.n_left) == (4, 36)
    assert ids(bob) != ids(ann) == ids(queue.next_records("ann", 40))
    queue.close()


def test_reasons_are_those_of_the_model(queue: ReviewQueue) -> None:
    (first,) = queue.next_records("ann", 1).records
    assert first.why.text == "Nearer to the criteria than 97 % of the records"
    queue.decide("ann", ["toy-01", "toy-06"], NewLabel(IN))
    queue.decide("bob", ["toy-02", "toy-08"], NewLabel(OUT))
    assert queue.wait(60)
    found = queue.next_records("ann", 40).records
    best, worst = found[0], found[-1]
    assert best.why.text == "Holds words of included records, and is near to the criteria"
    assert "gout" in best.why.words and best.like in ("toy-01", "toy-06")
    assert worst.why.words == () and worst.like is None
    assert all(each.like is None for each in queue.next_records("bob", 40).records)  # bob included nothing
    (date,) = queue.next_records("ann", 1, OrderName.DATE).records
    assert date.why.text.startswith("Newest first: ")
    (drawn,) = queue.next_records("ann", 1, OrderName.RANDOM).records
    assert drawn.why.text == "Drawn at random"


def test_without_criteria_the_order_is_that_of_the_index(index: Index, toy: IndexFolder) -> None:
    review = Review(toy, "bare")
    review.start("ann", ReviewSettings())
    queue = ReviewQueue(index, review)
    found = queue.next_records("ann", 2, OrderName.CRITERIA)
    assert (found.order, ids(found)) == (OrderName.INDEX, ["toy-01", "toy-02"])
    assert found.note == "Order by the index: the review has no criteria"
    queue.close()


def test_a_review_that_was_not_started_is_refused(index: Index, toy: IndexFolder) -> None:
    with pytest.raises(UsageError, match="has no review 'other'"):
        ReviewQueue(index, Review(toy, "other"))
