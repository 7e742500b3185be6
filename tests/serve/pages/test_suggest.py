"""The page of searches from known papers."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import lxml.html
import pytest
from starlette.testclient import TestClient

from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query.index import Index
from tests.serve.conftest import client_of

COLCHICINE = "toy-01 toy-02,\ntoy-03"


@pytest.fixture(scope="module")
def one_index(library: IndexFolder) -> Iterator[TestClient]:
    with client_of(library.path) as client:
        yield client


def test_the_form_is_sent_without_known_papers(one_index: TestClient) -> None:
    page = lxml.html.document_fromstring(one_index.get("/suggest").text)
    assert page.xpath("//textarea[@name='known']") and not page.xpath("//table")


def test_searches_are_those_of_the_index_and_can_be_run(one_index: TestClient, index: Index) -> None:
    found = index.suggest(["toy-01", "toy-02", "toy-03"])
    answer = one_index.get("/suggest", params={"known": COLCHICINE})
    assert answer.status_code == 200, answer.text
    page = lxml.html.document_fromstring(answer.text)
    written = [code.text_content() for code in page.xpath("//dd/code")]
    assert written == [line for one in found.searches for line in one.lines.values()]
    runs = page.xpath("//a[text()='Run it here']/@href")
    assert len(runs) == 3
    for href, one in zip(runs, found.searches, strict=True):
        query = parse_qs(urlsplit(href).query)["q"]
        assert query == [one.lines["PubMed"]]
        assert index.ask(Query(query[0], top_k=1)).n_qualified == one.n_records
    assert one_index.get(runs[0]).status_code == 200
    assert COLCHICINE.split()[0] in page.xpath("//textarea")[0].text_content()


@pytest.mark.parametrize(
    ("known", "status", "message"),
    [
        ("toy-01", 400, "1 known record in the index, expected 2 to 200"),
        ("nope <b>no</b>", 404, "none of 2 known records is in this index"),
    ],
)
def test_what_can_not_be_used_is_told_beside_the_form(
    one_index: TestClient, known: str, status: int, message: str
) -> None:
    answer = one_index.get("/suggest", params={"known": known})
    page = lxml.html.document_fromstring(answer.text)
    assert answer.status_code == status and message in page.xpath("//*[@role='alert']")[0].text_content()
    assert page.xpath("//textarea")[0].text_content() == known and not page.xpath("//b")
    assert one_index.get("/suggest?nope=1").status_code == 400


def test_what_is_absent_is_listed(one_index: TestClient) -> None:
    text = one_index.get("/suggest", params={"known": f"{COLCHICINE} absent-1"}).text
    items = [item.text_content() for item in lxml.html.document_fromstring(text).xpath("//main//li")]
    assert "absent-1 not in toy" in items
