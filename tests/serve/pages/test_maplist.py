"""What is chosen on the map: its list and its file."""

import json
from urllib.parse import urlencode

import lxml.html
import pytest
from starlette.testclient import TestClient

from engine import Index
from engine.query.index import get_generation
from engine.references.formats import FORMATS
from engine.serve.work.drawing import draw_map_of

EVERYTHING = "-9,-9 9,-9 9,9 -9,9"


def page_of(client: TestClient, **asked: object) -> lxml.html.HtmlElement:
    response = client.get(f"/map/list?{urlencode(asked)}")
    assert response.status_code == 200, response.text
    return lxml.html.document_fromstring(response.content)


def ticks(page: lxml.html.HtmlElement) -> list[str]:
    found: list[str] = page.xpath("//input[@name='tick']/@value")
    return found


def test_the_records_of_an_area_are_listed_newest_first(client: TestClient, index: Index) -> None:
    page = page_of(client, area=EVERYTHING)
    years = [index.get(one).year or 0 for one in ticks(page)]
    assert len(years) == len(index) == 46 and years == sorted(years, reverse=True)
    drawn, corpus = draw_map_of(index), get_generation(index).corpus
    (x, y), doc_id = drawn.map.places[7].tolist(), int(drawn.map.doc_ids[7])
    few = page_of(client, area=f"{x - 1e-4},{y - 1e-4} {x + 1e-4},{y - 1e-4} {x},{y + 1e-4}", map=drawn.key)
    assert corpus.fetch([doc_id])[doc_id].record_id in ticks(few) and len(ticks(few)) < 46
    assert "No record lies there" in page_of(client, area="8,8 9,8 9,9").text_content()
    assert not page_of(client, area=EVERYTHING, offset=46).xpath("//li[@class='hit']")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_records_are_exported_in_every_format(client: TestClient, suffix: str) -> None:
    response = client.get(f"/map/export?region=1&format={suffix[1:]}")
    assert response.status_code == 200 and response.content
    assert response.headers["content-disposition"] == f'attachment; filename="toy-000003{suffix}"'


def test_all_or_the_ticked_records_are_exported(client: TestClient) -> None:
    listed = ticks(page_of(client, region=1))
    exported = [one["id"] for one in json.loads(client.get("/map/export?region=1&format=json").content)]
    assert exported == listed
    some = client.get(f"/map/export?region=1&format=json&tick={listed[2]}&tick={listed[0]}")
    assert [one["id"] for one in json.loads(some.content)] == [listed[0], listed[2]]
    other = ticks(page_of(client, region=2))[0]
    assert client.get(f"/map/export?region=1&format=json&tick={other}").status_code == 404


def test_what_is_no_choice_is_refused(client: TestClient) -> None:
    for query in ("", "region=1&area=0,0 1,0 1,1", "area=1,2", "region=0", "region=x", "area=0,0 1,0 1,1&zzz=1"):
        assert client.get(f"/map/list?{query}").status_code == 400, query
    assert "choose again" in client.get("/map/list?region=1&map=deadbeef").text
    for query in ("region=99", "region=1&map=deadbeef", "region=1&i=nope"):
        assert client.get(f"/map/list?{query}").status_code == 404
    assert client.get("/map/export?region=1").status_code == 400
    assert client.get("/map/export?region=1&format=exe").status_code == 400
