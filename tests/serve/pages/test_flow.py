"""The page on where records come from, its diagram and its numbers."""

from contextlib import closing
from xml.etree import ElementTree

import lxml.html
from starlette.testclient import TestClient

from engine.corpus.flow import count_flow
from engine.index.generations.folder import IndexFolder
from engine.query.opening.corpus import open_corpus
from engine.review.report.flow import describe_flow, draw_flow


def test_the_page_shows_every_source_with_its_numbers(client: TestClient, library: IndexFolder) -> None:
    with closing(open_corpus(library.open_current())) as corpus:
        flow = count_flow(corpus)
    response = client.get("/flow")
    assert response.status_code == 200 and response.headers["engine-generation"] == "000003"
    page = lxml.html.document_fromstring(response.content)
    rows = [[cell.text_content() for cell in row] for row in page.xpath("//tbody/tr")]
    assert [row[:1] + row[1:6] for row in rows] == [
        [
            origin.name,
            *(f"{n:,}" for n in (origin.found, origin.duplicates, origin.rejected, origin.withdrawn, origin.left)),
        ]
        for origin in flow.origins
    ]
    assert rows[0][6].startswith(flow.origins[0].first_read) and flow.origins[0].files[0].name in rows[0][7]
    sums = [cell.text_content() for cell in page.xpath("//tfoot/tr/*")]
    assert sums[1] == f"{flow.found:,}" and sums[5] == f"{flow.left:,}"
    (image,) = page.xpath("//img/@src")
    assert image == "/flow.svg"
    assert client.get("/flow", headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_the_diagram_and_the_numbers_are_those_of_the_command(client: TestClient, library: IndexFolder) -> None:
    with closing(open_corpus(library.open_current())) as corpus:
        flow = count_flow(corpus)
    svg, numbers = client.get("/flow.svg?i=toy"), client.get("/flow.json?i=toy")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.headers["content-disposition"] == 'attachment; filename="toy-000003-flow.svg"'
    assert ElementTree.fromstring(svg.text).tag.endswith("svg") and svg.text == draw_flow(flow, None)
    assert numbers.json() == describe_flow("toy", flow, None)


def test_other_indexes_and_unknown_parameters(client: TestClient) -> None:
    assert client.get("/flow.json?i=old").json()["index"] == "old"
    page = lxml.html.document_fromstring(client.get("/flow?i=old").content)
    assert page.xpath("//img/@src") == ["/flow.svg?i=old"]
    for path in ("/flow", "/flow.svg", "/flow.json"):
        assert client.get(f"{path}?i=nope").status_code == 404
        assert client.get(f"{path}?q=gout").status_code == 400
