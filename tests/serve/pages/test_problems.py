"""Error pages help: what to do, and pages to go on to."""

import pytest
from starlette.testclient import TestClient

from tests.serve.pages.test_handlers import only, page, texts


@pytest.mark.parametrize(
    ("path", "help_starts", "ways"),
    [
        ("/stauts", "There is no such page", {"New search": "/", "Status": "/status"}),
        ("/maps", "There is no such page", {"New search": "/", "Map": "/map"}),
        ("/record?id=a+title", "A record is found by", {"New search": "/", "Search for this text": "/?q=a+title"}),
        ("/record?id=gut&i=nope", "The status page lists", {"New search": "/", "Status": "/status"}),
    ],
)
def test_an_error_page_helps(client: TestClient, path: str, help_starts: str, ways: dict[str, str]) -> None:
    shown = page(client, path, status=404)
    assert only(shown, "//p[@class='help']").text_content().startswith(help_starts)
    links = shown.xpath("//p[@class='ways']/a")
    assert {one.text_content(): one.get("href") for one in links} == ways
    assert texts(shown, "//p[@role='alert']")[0]
