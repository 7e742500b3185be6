"""Boolean searches over HTTP and on the page."""

from starlette.testclient import TestClient

from tests.serve.pages.test_handlers import ids, only, page, texts


def test_a_search_of_pubmed_over_http(client: TestClient) -> None:
    for mode in ("semantic", "keyword", "hybrid"):
        pairs = {"q": "(gout[ti] OR lupus[ti]) AND colchicine NOT zebra[pt]", "mode": mode, "n": 100}
        found = client.get("/api/v1/search", params=pairs).json()
        assert found["hits"] and found["n_qualified"] == len(found["hits"])
        assert all("colchicine" in (hit["title"] + hit["abstract"]).lower() for hit in found["hits"])
        assert "no record has zebra[pt]" in found["notes"]
    refused = client.get("/api/v1/search", params={"q": "gout[ti] AND (lupus"})
    assert refused.status_code == 400 and "character 14" in refused.text


def test_a_search_of_pubmed_on_the_page(client: TestClient) -> None:
    asked = 'gout[ti] AND (colchicin* OR "no such drug")'
    found = page(client, "/", ("q", asked), ("mode", "hybrid"))
    assert only(found, "//input[@id='q']").get("value") == asked
    assert ids(found)
    marked = {text.lower() for text in texts(found, "//li[contains(@class, 'hit')]//h3//mark")}
    assert marked == {"gout", "colchicine"}
    numbered = page(client, "/", ("q", "1. gout.ti.\u20282. colchicine.ti.\u20283. 1 and 2"))
    assert ids(numbered) and "line 1: " in numbered.text_content()


def test_what_cannot_be_read_is_told_on_the_page(client: TestClient) -> None:
    found = page(client, "/", ("q", "gout AND (lupus"), status=400)
    assert "the parenthesis ( at character 10 is not closed" in found.text_content()
    assert only(found, "//input[@id='q']").get("maxlength") is None


def test_no_empty_verdict_stands_beside_no_hits(client: TestClient) -> None:
    found = page(client, "/", ("q", "gout NEAR/3 zebrafish"))
    assert not ids(found) and "No hits" in found.text_content()
    assert all(text.strip() for text in texts(found, "//p[contains(@class, 'verdict')]"))
