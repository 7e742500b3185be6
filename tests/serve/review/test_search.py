"""Searches among what a reviewer decided."""

from collections.abc import Callable
from typing import Any

import lxml.html
import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.records.generation import DocIds
from engine.review.decisions.reviews import NewLabel, Review
from engine.review.decisions.state import ReviewState
from engine.serve.work.decisionsets import DecidedRecords, sort_decided
from tests.serve.conftest import client_of, error_of
from tests.serve.review.conftest import Desk

IN, OUT, MAYBE = (DecisionKind(kind) for kind in ("include", "exclude", "maybe"))
Open = Callable[..., Desk]


@pytest.fixture
def screened(review: Review) -> Review:
    for who, name, kind in (
        ("ann", "toy-01", IN), ("ann", "toy-02", OUT), ("ann", "toy-04", MAYBE), ("bob", "toy-01", OUT), ("bob", "toy-05", IN),
    ):  # fmt: skip
        review.decide(who, [name], NewLabel(kind))
    return review


def facet_of(desk: Desk, path: str, label: str = "Your decisions") -> dict[str, int]:
    """The numbers of a facet on a page, each checked against the search that its link leads to."""
    page = lxml.html.document_fromstring(desk.get(path).text)
    links = page.xpath(f"//p[text()='{label}']/following-sibling::div[1]//a")
    found = {}
    for link in links:
        name, number = (part.text_content() for part in link.xpath("span"))
        found[name] = int(number)
        if "q=" in path:
            body = desk.get(f"/api/v1/search{link.get('href').removeprefix('/')}&n=100").json()
            assert body["n_qualified"] == found[name]
    return found


def ids(desk: Desk, query: str) -> set[str]:
    answer = desk.get(f"/api/v1/search?n=100&{query}")
    assert answer.status_code == 200, answer.text
    return {hit["id"] for hit in answer.json()["hits"]}


def test_the_facet_counts_what_a_reviewer_may_see(screened: Review, open_desk: Open) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    assert facet_of(ann, "/?q=gout") == {"include": 1, "exclude": 1, "maybe": 1, "undecided": 40}
    assert facet_of(bob, "/?q=gout") == {"include": 1, "exclude": 1, "undecided": 41}
    assert facet_of(bob, "/") == {"include": 1, "exclude": 1, "undecided": 41}
    both = open_desk("ann", is_blind=False)
    assert facet_of(both, "/?q=gout") == {"include": 1, "exclude": 1, "maybe": 1, "conflict": 1, "undecided": 39}


def test_a_search_among_decisions_finds_these_alone(screened: Review, open_desk: Open) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    assert ids(ann, "q=gout&decision=include") == {"toy-01"} and ids(bob, "q=gout&decision=include") == {"toy-05"}
    assert ids(ann, "q=gout&decision=include&decision=maybe") == {"toy-01", "toy-04"}
    rest = ids(ann, "q=gout&decision=undecided")
    assert len(rest) == 40 and not rest & {"toy-01", "toy-02", "toy-04"}
    assert ids(ann, "q=gout&decision=include&hide=toy-01") == set()
    assert ids(ann, "q=gout&decision=conflict") == set()
    similar = ann.get("/api/v1/similar?id=toy-03&decision=maybe").json()
    assert [hit["id"] for hit in similar["hits"]] == ["toy-04"]
    ann.decide("toy-02", "include")  # what was decided meanwhile counts at once
    assert ids(ann, "q=gout&decision=include") == {"toy-01", "toy-02"}
    assert "decision is 'nope'" in error_of(ann.get("/api/v1/search?q=gout&decision=nope"), 400, "bad_request")


@pytest.fixture
def labelled(screened: Review) -> Review:
    for who, name, labels in (
        ("ann", "toy-01", ("RCT", "gout, acute")), ("ann", "toy-03", ("RCT",)), ("bob", "toy-03", ("cohort",)), ("bob", "toy-06", ("RCT",)),
    ):  # fmt: skip
        screened.decide(who, [name], NewLabel(IN, labels=labels))
    return screened


def test_labels_are_counted_and_searched_as_decisions_are(labelled: Review, open_desk: Open) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    assert facet_of(ann, "/?q=gout", "Your labels") == {"RCT": 2, "gout, acute": 1}
    assert facet_of(bob, "/", "Your labels") == {"RCT": 1, "cohort": 1}
    assert facet_of(open_desk("ann", is_blind=False), "/?q=gout", "Your labels") == {
        "RCT": 3,
        "cohort": 1,
        "gout, acute": 1,
    }
    assert ids(ann, "q=gout&review_label=RCT") == {"toy-01", "toy-03"} and ids(bob, "q=gout&review_label=RCT") == {
        "toy-06"
    }
    assert ids(ann, "q=gout&review_label=RCT&review_label=none") == {"toy-01", "toy-03"}
    assert ids(ann, "q=gout&review_label=RCT&decision=exclude") == ids(ann, "q=gout&review_label=none") == set()
    assert facet_of(ann, "/?q=gout&review_label=RCT&hide=toy-01") == {}  # one decision has them all
    assert facet_of(ann, "/?q=gout&decision=include", "Your labels") == {"RCT": 2, "gout, acute": 1}
    page = lxml.html.document_fromstring(ann.get("/?q=gout&review_label=RCT").text)
    (chip,) = page.xpath("//ul[@class='chips']//a[contains(@aria-label, 'label')]")
    assert chip.get("aria-label") == "Remove the filter review label RCT" and chip.get("href") == "/?q=gout"
    ann.decide("toy-07", "include", labels="RCT, new")
    assert facet_of(ann, "/?q=gout", "Your labels") == {"RCT": 3, "gout, acute": 1, "new": 1}


def test_decisions_are_sorted_once_for_each_state(
    screened: Review, open_desk: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    sortings: list[int] = []

    def count(state: ReviewState, doc_ids: DocIds) -> DecidedRecords:
        sortings.append(len(state.records))
        return sort_decided(state, doc_ids)

    monkeypatch.setattr("engine.serve.work.openreview.sort_decided", count)
    ann = open_desk("ann")
    for _ in range(3):
        assert facet_of(ann, "/?q=gout")["undecided"] == 40
    assert sortings == [3]
    screened.decide("ann", ["toy-07"], NewLabel(IN))  # by another process, as it were
    assert facet_of(ann, "/?q=gout")["undecided"] == 39 and sortings == [3, 4]
    screened.decide("ann", ["toy-07"], NewLabel(DecisionKind.UNDECIDED))
    assert facet_of(ann, "/?q=gout")["undecided"] == 40


def test_the_chip_of_a_decision_is_removed_alone(screened: Review, open_desk: Open) -> None:
    ann = open_desk("ann")
    page = lxml.html.document_fromstring(ann.get("/?q=gout&decision=exclude&year=1900-").text)
    (chip,) = page.xpath("//ul[@class='chips']//a[contains(@aria-label, 'decision')]")
    assert chip.get("aria-label") == "Remove the filter decision exclude"
    assert chip.get("href") == "/?q=gout&year=1900-"
    assert not page.xpath("//p[text()='Your decisions']")
    assert page.xpath("//input[@name='decision' and @value='exclude' and @checked]")
    text = ann.get("/?q=gout&decision=exclude").text
    assert "has no search details" in text and "/search-record.json" not in text
    assert (
        "Watch this search" not in text and "Watch this search" in ann.get("/?q=gout").text
    )  # which knows no decisions
    exported = ann.get("/export?q=gout&decision=exclude&format=csv").text
    assert exported.count("\n") == 2 and "toy-02" in exported


@pytest.mark.parametrize("path", ["/?q=gout", "/api/v1/search?q=gout", "/export?q=gout&format=ris"])
def test_nobody_else_searches_among_decisions(screened: Review, open_desk: Open, path: str) -> None:
    nobody: Any = open_desk(tokens=True)
    assert nobody.get(path).status_code == 200 and "Your decisions" not in nobody.get(path).text
    assert nobody.get(f"{path}&decision=include").status_code == 400
    with client_of(screened.folder.path) as client:
        assert client.get(f"{path}&decision=include").status_code == 400


def test_an_answer_with_decisions_is_never_that_of_before(screened: Review, open_desk: Open) -> None:
    ann = open_desk("ann")
    for path in ("/?q=gout", "/api/v1/search?q=gout&decision=include"):
        answer = ann.get(path)
        assert "etag" not in answer.headers and answer.headers["cache-control"] == "no-store"
    assert "etag" in ann.get("/api/v1/search?q=gout").headers
