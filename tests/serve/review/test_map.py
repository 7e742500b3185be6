"""The map with the decisions of a review."""

from collections.abc import Callable

import lxml.html
import pytest

from engine import open_index
from engine.corpus.storage.journal import DecisionKind
from engine.query.index import get_generation
from engine.review.decisions.reviews import NewLabel, Review
from engine.review.decisions.state import read_state
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


AREA = "-9,-9 9,-9 9,9 -9,9"  # the whole map


def label_form(desk: Desk, query: str) -> dict[str, str]:
    """The hidden fields of the form that labels what a list shows."""
    page = lxml.html.document_fromstring(desk.get(f"/review/map/list?{query}").text)
    return {
        field.get("name"): field.get("value")
        for field in page.xpath("//form[@id='chosen-label']/input[@type='hidden']")
    }


def own_of(review: Review, who: str) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """What a reviewer decided about each record, with the reason and the labels."""
    return {
        each.record.ids[0]: (str(one.kind), one.reason, one.labels)
        for each in read_state(review).records
        for one in each.decisions
        if one.who == who
    }


def test_ticked_records_of_a_choice_are_labelled(screened: Review, open_desk: Callable[..., Desk]) -> None:
    ann = open_desk("ann")
    ann.decide("toy-02", "exclude", other_reason="a letter", labels="old")
    before = len(screened.journal.read())
    form = label_form(ann, f"area={AREA}")
    ticks = ["toy-01", "toy-02", "toy-09", "nope"]
    answer = ann.post("/review/map/label", form | {"label": "lupus, adults", "tick": ticks})
    assert answer.status_code == 303
    assert len(screened.journal.read()) == before + 3
    found = own_of(screened, "ann")
    assert found["toy-01"] == ("include", "", ("lupus", "adults"))
    assert found["toy-02"] == ("exclude", "a letter", ("old", "lupus", "adults"))
    assert found["toy-09"] == ("undecided", "", ("lupus", "adults"))
    page = ann.get(answer.headers["location"]).text
    assert "3 records labelled; 1 not labelled, since they are not among the chosen records." in page
    again = ann.post("/review/map/label", form | {"label": "lupus, adults", "tick": ticks}, accept="application/json")
    assert len(again.json()["numbers"]) == 3 and len(screened.journal.read()) == before + 3  # the same key
    fresh = label_form(ann, f"area={AREA}") | {"label": "lupus", "tick": ["toy-01", "toy-04"]}
    location = ann.post("/review/map/label", fresh).headers["location"]
    assert "1 record labelled; 1 had the label before." in ann.get(location).text
    assert own_of(screened, "bob")["toy-01"] == ("exclude", "", ())


def test_all_that_was_chosen_is_labelled_if_nothing_is_ticked(screened: Review, open_desk: Callable[..., Desk]) -> None:
    ann = open_desk("ann")
    page = lxml.html.document_fromstring(ann.get("/review/map").text)
    (href, *_) = page.xpath("//section[@class='regions']//li/a/@href")
    assert href.startswith("/review/map/list?")
    n = len(lxml.html.document_fromstring(ann.get(href).text).xpath("//ol/li"))
    ann.post("/review/map/label", label_form(ann, href.partition("?")[2]) | {"label": "region"})
    assert sum("region" in labels for _, _, labels in own_of(screened, "ann").values()) == n


def test_labels_need_a_page_of_this_server_and_a_word(screened: Review, open_desk: Callable[..., Desk]) -> None:
    ann, before = open_desk("ann"), screened.journal.read()
    form = label_form(ann, f"area={AREA}") | {"label": "x"}
    for path, fields, headers, status in (
        ("/review/map/label", form | {"token": "0"}, {}, 403),
        ("/review/map/label", form, {"origin": "https://evil.example"}, 403),
        ("/review/map/label", form | {"label": " , "}, {}, 400),
        ("/review/map/label", form | {"area": ""}, {}, 400),
        ("/review/map/label", form | {"map": "deadbeef"}, {}, 404),
        ("/review/map/label", {name: value for name, value in form.items() if name != "label"}, {}, 400),
    ):
        assert ann.post(path, fields, **headers).status_code == status
    assert screened.journal.read() == before
    with client_of(screened.folder.path) as client:
        assert client.post("/review/map/label", data=form).status_code == 404
        assert "chosen-label" not in client.get(f"/map/list?area={AREA}").text
