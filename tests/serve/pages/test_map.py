"""The map: the page, the points that its script reads, and the record that a point is."""

import struct
from collections.abc import Callable

import lxml.html
import numpy as np
import pytest
from starlette.testclient import TestClient

from engine import Index, Query
from engine.index.generations.folder import IndexFolder
from engine.index.map.corpusmap import read_layout, read_points
from engine.query.index import get_generation
from engine.serve.work.regions import read_regions
from tests.conftest import segment_of
from tests.serve.conftest import client_of, error_of


def points(raw: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Places (n, 2), years, journals and regions as the script reads them."""
    name, n = struct.unpack_from("<4sI", raw)
    assert name == b"MAP2" and len(raw) == 8 + n * 14
    places = np.frombuffer(raw, "<f4", 2 * n, 8).reshape(2, n).T
    years, journals, regions = np.frombuffer(raw, "<u2", 3 * n, 8 + 8 * n).reshape(3, n)
    return places, years, journals, regions


def canvas(client: TestClient, path: str) -> lxml.html.HtmlElement:
    """The element that the map is drawn on."""
    response = client.get(path)
    assert response.status_code == 200, response.text
    (found,) = lxml.html.document_fromstring(response.content).xpath("//canvas")
    return found


def test_the_points_are_those_of_the_map_with_years_and_journals(
    client: TestClient, index: Index, library: IndexFolder
) -> None:
    response = client.get("/map/points?g=3")
    assert response.status_code == 200 and response.headers["content-type"] == "application/octet-stream"
    assert response.headers["engine-generation"] == "000003"
    places, years, journals, regions = points(response.content)
    stored = read_points(segment_of(library, 3).map)
    assert len(places) == len(index) == 46
    assert np.array_equal(places, stored.places.astype(np.float32))
    assert np.array_equal(regions, read_regions(index).numbers)
    records = get_generation(index).corpus.fetch(stored.doc_ids.tolist())
    legend = canvas(client, "/map").getroottree().xpath("//ul[@id='legend']/li")
    names = {number: one.text_content() for number, one in enumerate(legend, 1)}
    assert names[1] == "Invented Journal of Toys" and "Gut" in names.values()
    for row, doc_id in enumerate(stored.doc_ids.tolist()):
        assert years[row] == (records[doc_id].year or 0)
        assert names.get(int(journals[row]), "") == records[doc_id].journal


def test_a_point_is_a_record(client: TestClient, index: Index, library: IndexFolder) -> None:
    doc_ids = read_points(segment_of(library, 3).map).doc_ids.tolist()
    records = get_generation(index).corpus.fetch(doc_ids)
    for row in (0, 7, 45):
        found, stored = client.get(f"/map/at?g=3&row={row}").json(), records[doc_ids[row]]
        assert found == {
            "id": stored.record_id, "title": stored.title, "journal": stored.journal, "year": stored.year
        }  # fmt: skip
    assert client.get("/map/at?g=3&row=46").status_code == 404
    for query in (
        "g=3",
        "row=1",
        "g=3&row=-1",
        "g=3&row=x",
        f"g=3&row={2**63}",
        "g=x&row=1",
        "g=3&row=1&q=a",
        "g=3&row=",
    ):
        assert client.get(f"/map/at?{query}").status_code == 400


def test_the_script_is_told_when_the_map_is_another_one(client: TestClient) -> None:
    for path in (
        "/map/points?g=2",
        "/map/points?g=4",
        "/map/at?g=2&row=0",
        "/map/points?g=3&i=old",
        "/map/points?g=2&i=old",
    ):
        response = client.get(path)
        assert response.status_code == 404 and "Reload the page" in response.text
    assert client.get("/map/points").status_code == 400
    assert client.get("/map/points?g=3&i=nope").status_code == 404


def test_a_new_generation_has_a_new_map(fresh: IndexFolder, publish: Callable[..., None]) -> None:
    with client_of(fresh.path) as client:
        before = client.get("/map/points?g=2")
        assert len(points(before.content)[0]) == 43
        publish({"id": "new", "title": "New", "year": 70_000})
        client.app.app.app.state.site.shelf.look()
        assert client.get("/map/points?g=2", headers={"If-None-Match": before.headers["etag"]}).status_code == 404
        after = client.get("/map/points?g=3")
        assert len(points(after.content)[0]) == 44 and after.headers["etag"] != before.headers["etag"]
        assert canvas(client, "/map").get("data-generation") == "3"


def test_the_hits_of_a_search_are_drawn_in(client: TestClient, index: Index, library: IndexFolder) -> None:
    doc_ids = read_points(segment_of(library, 3).map).doc_ids.tolist()
    found = canvas(client, "/map?q=gout&n=7&year=1991-2010")
    assert (found.get("data-index"), found.get("data-generation")) == ("toy", "3")
    rows = [int(row) for row in found.get("data-hits").split()]
    listed = found.getroottree().xpath("//ol[@class='drawn']/li")
    assert rows == [int(one.get("data-row")) for one in listed] and len(rows) == 7
    records = get_generation(index).corpus.fetch(doc_ids)
    titles = [records[doc_ids[row]].title for row in rows]
    assert titles == [one.xpath("string(a)") for one in listed]
    assert len(canvas(client, "/map?q=gout").get("data-hits").split()) == 46  # 50 are wanted
    assert canvas(client, "/map?q=gout&mode=hybrid&n=3").get("data-x") is not None


def test_the_question_lies_where_its_vector_does(client: TestClient, index: Index, library: IndexFolder) -> None:
    found = canvas(client, "/map?q=gout")
    place = read_layout(library.open_current().axes).project(index.encode(["gout"]))[0]
    assert (float(found.get("data-x")), float(found.get("data-y"))) == pytest.approx(tuple(place.tolist()), abs=2e-6)
    like = canvas(client, "/map?like=toy-01&n=5")
    assert like.get("data-x") is None and len(like.get("data-hits").split()) == 5
    ids = [hit.id for hit in index.ask(Query(like=("toy-01",), top_k=5)).hits]
    links = like.getroottree().xpath("//ol[@class='drawn']/li/a/@href")
    assert links == [f"/record?id={one}" for one in ids]


@pytest.mark.parametrize(
    ("query", "text"),
    [("gout AND colchicine NOT child", "gout colchicine"), ("gout -child", "gout"), ("NOT child&like=toy-01", None)],
)
def test_operators_have_no_place(client: TestClient, index: Index, query: str, text: str | None) -> None:
    expected = canvas(client, f"/map?q={text}&n=5") if text else None
    found = canvas(client, f"/map?q={query}&n=5")
    assert found.get("data-hits")
    for axis in ("data-x", "data-y"):
        assert found.get(axis) == (None if expected is None else expected.get(axis))


def test_nothing_is_drawn_in_before_something_is_asked(client: TestClient) -> None:
    for path in ("/map", "/map?q=", "/map?year=2000", "/map?i=toy"):
        found = canvas(client, path)
        assert found.get("data-hits") == "" and not found.getroottree().xpath("//ol[@class='drawn']")


def test_what_the_map_can_not_show_is_refused(client: TestClient) -> None:
    for query in ("q=gout&n=x", "q=gout&zzz=1", "q=gout&year=x", "q=gout&from=2003&to=1998"):
        assert client.get(f"/map?{query}").status_code == 400
    assert client.get("/map?q=gout&like=nope").status_code == 404
    error_of(client.get("/api/v1/map"), 404, "not_found")


def test_each_region_is_listed_with_its_number_of_records_and_a_link(client: TestClient, index: Index) -> None:
    listed = canvas(client, "/map?i=toy").getroottree().xpath("//section[@class='regions']//li")
    regions = read_regions(index).regions
    assert len(listed) == len(regions) > 1
    for one, region in zip(listed, regions, strict=True):
        assert (one.get("data-region"), one.xpath("string(a)")) == (str(region.number), region.name)
        assert one.xpath("string(span)") == str(region.n_records)
        page = lxml.html.document_fromstring(client.get(one.xpath("a/@href")[0]).content)
        assert page.xpath("string(//h1)") == region.name
        assert len(page.xpath("//li[@class='hit']")) == region.n_records
