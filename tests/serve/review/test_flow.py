"""The flow of records with the decisions of a review."""

from collections.abc import Callable

import lxml.html
import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.review.decisions.reviews import NewLabel, Review
from tests.serve.conftest import ODD, client_of
from tests.serve.review.conftest import Desk

IN, OUT, MAYBE = (DecisionKind(kind) for kind in ("include", "exclude", "maybe"))


@pytest.fixture
def screened(review: Review) -> Review:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    review.decide("ann", ["toy-02"], NewLabel(OUT))
    review.decide("ann", ["toy-03"], NewLabel(OUT, ODD[0]))
    review.decide("ann", ["toy-04"], NewLabel(MAYBE))
    review.decide("bob", ["toy-01"], NewLabel(OUT))
    review.decide("bob", ["toy-05"], NewLabel(IN))
    return review


def test_the_page_and_its_files_have_the_decisions(screened: Review, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk("ann", is_blind=False)
    page = lxml.html.document_fromstring(desk.get("/review/flow").content)
    shown = dict(
        zip(
            (term.text_content() for term in page.xpath("//dl[@class='fields']/dt")),
            (value.text_content() for value in page.xpath("//dl[@class='fields']/dd")),
            strict=True,
        )
    )
    assert shown == {
        "Records screened": "3 of 43", "Excluded by title and abstract": "1", "Reports sought for retrieval": "2",
        "Reports not retrieved": "0", "Reports assessed": "2", f"Report excluded: {ODD[0]}": "1", "Included": "1",
        "Maybe": "1", "In conflict": "1", "Not yet screened": "38",
    }  # fmt: skip
    assert "A record that was excluded with a reason counts as a report that was read in full" in page.text_content()
    assert page.xpath("//img/@src") == ["/review/flow.svg"] and not page.xpath("//script[not(@src)]")
    numbers = desk.get("/review/flow.json").json()["screening"]
    assert (numbers["review"], numbers["screened"], numbers["conflict"]) == ("main", 3, 1)
    svg = desk.get("/review/flow.svg")
    assert "Records screened (n\u00a0=\u00a03 of 43)" in svg.text and "<script" not in svg.text
    assert svg.headers["content-type"] == "image/svg+xml" and svg.headers["cache-control"] == "no-store"


def test_a_reviewer_sees_no_decision_that_is_hidden_from_them(screened: Review, open_desk: Callable[..., Desk]) -> None:
    ann, bob = (open_desk(name).get("/review/flow.json").json()["screening"] for name in ("ann", "bob"))
    assert (ann["included"], ann["excluded"], ann["conflict"], ann["undecided"]) == (0, 1, 1, 39)
    assert (bob["included"], bob["excluded"], bob["conflict"], bob["undecided"]) == (1, 0, 1, 41)
    assert "Only decisions that you may see" in open_desk("bob").get("/review/flow").text


def test_a_server_without_a_review_tells_no_decisions(screened: Review) -> None:
    with client_of(screened.folder.path) as client:
        for path in ("/review/flow", "/review/flow.svg", "/review/flow.json"):
            assert client.get(path).status_code == 404
        assert "screening" not in client.get("/flow.json").json()
