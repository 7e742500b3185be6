"""The map with the decisions of a review."""

from collections.abc import Callable

import lxml.html
import pytest

from engine import open_index
from engine.corpus.storage.journal import DecisionKind
from engine.query.index import get_generation
from engine.review.decisions.reviews import NewLabel, Review
from engine.serve.work.drawing import draw_map_of
from tests.serve.conftest import client_of
from tests.serve.review.conftest import Desk

IN, OUT, MAYBE = (DecisionKind(kind) for kind in ("include", "exclude", "maybe"))


@pytest.fixture
def screened(review: Review) -> Review:
    for who, name, kind in (
        ("ann", "toy-01", IN), ("ann", "toy-02", OUT), ("ann", "toy-04", MAYBE), ("bob", "toy-01", OUT), ("bob", "toy-05", IN),
    ):  # fmt: skip
        review.decide(who, [name], NewLabel(kind))
    return review


def numbers_of(review: Review, raw: bytes) -> dict[str, int]:
    """The decisions on the map by record, those without one left out."""
    with open_index(review.folder.path) as index:
        doc_ids = draw_map_of(index).map.doc_ids.tolist()
        records = get_generation(index).corpus.fetch(doc_ids)
        assert len(raw) == len(doc_ids)
        return {records[doc_id].record_id: number for doc_id, number in zip(doc_ids, raw, strict=True) if number}


def test_points_have_the_decisions_that_a_reviewer_may_see(screened: Review, open_desk: Callable[..., Desk]) -> None:
    path = "/review/map/decisions?g=2"
    both = open_desk("ann", is_blind=False).get(path).content
    assert numbers_of(screened, both) == {"toy-01": 4, "toy-02": 2, "toy-04": 3, "toy-05": 1}
    ann, bob = (numbers_of(screened, open_desk(name).get(path).content) for name in ("ann", "bob"))
    assert ann == {"toy-01": 4, "toy-02": 2, "toy-04": 3} and bob == {"toy-01": 4, "toy-05": 1}


def test_the_page_names_where_the_decisions_are(screened: Review, open_desk: Callable[..., Desk]) -> None:
    page = lxml.html.document_fromstring(open_desk("ann").get("/review/map?q=gout").content)
    assert page.xpath("//canvas/@data-decisions") == ["/review/map/decisions"]
    assert page.xpath("//select[@id='colour']/option/@value")[0] == "decision"
    assert page.xpath("//form[@role='search']/@action") == ["/review/map"]
    assert len(page.xpath("//ol[@class='drawn']/li")) == 43
    assert open_desk("ann").get("/review/map/decisions?g=1").status_code == 404


def test_a_server_without_a_review_tells_no_decisions(screened: Review) -> None:
    with client_of(screened.folder.path) as client:
        for path in ("/review/map", "/review/map/decisions?g=2"):
            assert client.get(path).status_code == 404
        page = lxml.html.document_fromstring(client.get("/map").content)
        assert not page.xpath("//canvas/@data-decisions | //option[@value='decision']")
