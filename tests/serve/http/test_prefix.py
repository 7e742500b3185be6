"""The site under a path behind a proxy: every address it gives is under that path."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import lxml.html
import pytest
from starlette.testclient import TestClient

from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.serve.http.guard import HEADERS
from engine.serve.http.prefix import HEADER, ProxyRules, build_proxy_rules, get_root, link
from tests.conftest import ROOT
from tests.serve.conftest import BASE, client_of, error_of, parsed

AT = "/search"
PAGES = ROOT / "engine" / "serve" / "pages"
STARTS = (
    "/",
    "/?q=gout&n=2",
    "/?n=x",
    "/?q=gout&year=1900",
    "/nope",
    "/api",
    "/export?format=ris&q=gout&tick=nope&tick=gut",
)
LINKED = ("href", "src", "action", "formaction", "data-root")


@pytest.fixture(scope="module")
def proxied(library: IndexFolder, old: Path) -> Iterator[TestClient]:
    """A client of a site at AT, which a proxy at 10.0.0.9 may move."""
    with client_of(library.path, old, proxy=build_proxy_rules(AT, ["10.0.0.9"])) as client:
        yield client


def addresses_in(text: str) -> Iterator[str]:
    """The addresses in a page."""
    for element in lxml.html.document_fromstring(text).iter():
        yield from (value for name in LINKED if (value := element.get(name)) is not None)


def is_elsewhere(address: str) -> bool:
    """Whether an address is of another site, or only of a place in the page."""
    return address.startswith(("https://pubmed.ncbi.nlm.nih.gov/", "https://doi.org/", "#"))


def crawl(client: TestClient, root: str, sent: str, most: int = 60) -> set[str]:
    """Follow links, three of each path with different parameters; return the paths. sent is put before each path."""
    waiting, seen, kinds, visits = [root + start for start in STARTS], set(), set(), Counter[str]()
    while waiting and len(seen) < most:
        address = waiting.pop(0)
        parts = urlsplit(address)
        kind = (parts.path, tuple(sorted(set(re.findall(r"(?:^|&)(\w+)=", parts.query)))))
        if kind in kinds or visits[parts.path] == 3:
            continue
        kinds.add(kind)
        visits[parts.path] += 1
        seen.add(parts.path)
        path = parts.path.removeprefix(root) if root else parts.path
        response = client.get(f"{sent}{path}?{parts.query}")
        assert response.status_code < 500, address
        if "location" in response.headers:
            found = [response.headers["location"]]
        elif response.headers.get("content-type", "").startswith("text/html"):
            found = list(addresses_in(response.text))
        else:
            continue
        for one in (each for each in found if not is_elsewhere(each)):
            assert one.startswith(f"{root}/") or one == root, (address, one)
            assert not one.startswith((f"{root}{root}/" if root else "//", "//")), (address, one)
            waiting.append(urljoin(address, one))
    return seen


@pytest.mark.parametrize("sent", [AT, ""], ids=["the proxy keeps the path", "the proxy removes it"])
def test_all_links_of_all_pages_are_under_the_path(proxied: TestClient, sent: str) -> None:
    seen = crawl(proxied, AT, sent)
    pages = (
        "/",
        "/map",
        "/flow",
        "/suggest",
        "/watch",
        "/status",
        "/record",
        "/export",
        "/record/export",
        "/search-record.json",
    )
    files = ("/static/page.js", "/static/map.js", "/static/style.css", "/static/icon.svg", "/api/v1/openapi.json")
    assert seen >= {AT + path for path in (*pages, *files)}


def test_without_a_path_the_links_are_at_the_top(client: TestClient) -> None:
    seen = crawl(client, "", "")
    assert "/record" in seen and not [path for path in seen if path.startswith(AT + "/")]


def test_no_template_or_script_has_an_address_of_its_own() -> None:
    literal = re.compile(
        r"""(?:href|src|action)=["']/|fetch\(\s*[`"']/|(?:location(?:\.href)?\s*=|assign\(|replace\()\s*[`"']/(?!\W)"""
    )
    for file in (*(PAGES / "templates").glob("*.html"), *(PAGES / "static").glob("*.js")):
        assert not literal.findall(file.read_text(encoding="utf-8")), file.name


def test_paths_with_and_without_the_prefix_are_the_same(proxied: TestClient) -> None:
    for path in ("/?q=gout", "/healthz", "/metrics", "/api/v1/status", "/map", "/static/style.css"):
        with_it, without = proxied.get(AT + path), proxied.get(path)
        assert with_it.status_code == without.status_code == 200, path
        assert with_it.headers.get("etag") == without.headers.get("etag")
        if path != "/metrics":
            assert with_it.content == without.content
    assert proxied.get(AT).text == proxied.get(f"{AT}/").text
    for path in ("/searching", f"{AT}{AT}/map", "//search/map", f"{AT}//map"):
        assert proxied.get(f"{BASE}{path}").status_code == 404, path


def test_what_programs_get_is_under_the_path(proxied: TestClient, client: TestClient) -> None:
    document = parsed(proxied.get("/api/v1/openapi.json").text)
    assert document.pop("servers") == [{"url": AT}]
    assert document == parsed(client.get("/api/v1/openapi.json").text)
    following = str(parsed(proxied.get(f"{AT}/api/v1/search?q=gout&n=1").text)["next"])
    assert following.startswith(f"{AT}/api/v1/search?") and proxied.get(following).status_code == 200
    assert str(parsed(client.get("/api/v1/search?q=gout&n=1").text)["next"]).startswith("/api/v1/search?")


def test_a_redirect_stays_under_the_path(proxied: TestClient) -> None:
    for path in (f"{AT}/?q=gout&from=2001&to=", "/?q=gout&from=2001&to="):
        answer = proxied.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{AT}/?q=gout&year=2001-")


def test_errors_of_programs_are_json_under_the_path(proxied: TestClient) -> None:
    error_of(proxied.get(f"{AT}/api/v1/search?n=x"), 400, "bad_request")  # type: ignore[arg-type]
    assert proxied.get(f"{AT}/nope").headers["content-type"].startswith("text/html")


def test_metrics_name_the_routes_without_the_path(proxied: TestClient) -> None:
    proxied.get(f"{AT}/status")
    text = proxied.get(f"{AT}/metrics").text
    assert 'route="/status"' in text and 'route="static"' in text and AT + "/" not in text


def test_the_token_and_the_name_are_still_checked(library: IndexFolder) -> None:
    with client_of(library.path, proxy=build_proxy_rules(AT), token="0123456789abcdef") as client:
        assert client.get(f"{AT}/").status_code == 401
        assert client.get(f"{AT}/healthz").status_code == client.get("/healthz").status_code == 200
        assert client.get(f"{AT}/", headers={"Host": "evil.example"}).status_code == 421
        answer = client.post(f"{AT}/api/v1/batch", json={}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 401
    with client_of(library.path, proxy=build_proxy_rules(AT)) as client:
        assert client.get(f"{AT}/static/style.css").headers["cache-control"] == "no-cache"
        answer = client.post(f"{AT}/api/v1/batch", json={}, headers={"Origin": "https://evil.example"})
        error_of(answer, 403, "origin")  # type: ignore[arg-type]


# X-Forwarded-Prefix


@pytest.fixture(scope="module")
def behind(library: IndexFolder) -> Iterator[TestClient]:
    """A client at the address of a trusted proxy."""
    rules = build_proxy_rules("", ["10.0.0.0/8", "::1"])
    with client_of(library.path, proxy=rules, peer="10.1.2.3") as client:
        yield client


def root_of(client: TestClient, *values: str, path: str = "/status") -> str:
    """The path that a page is under."""
    answer = client.get(path, headers=[(HEADER, value) for value in values])
    assert answer.status_code == 200, answer.text
    return str(lxml.html.document_fromstring(answer.text).get("data-root"))


@pytest.mark.parametrize(
    ("values", "root"),
    [
        ((), ""), (("",), ""), (("/",), ""), (("/lib",), "/lib"), (("/lib/",), "/lib"), ((" /lib ",), "/lib"),
        (("/a/b-c/d_e/f.g~h",), "/a/b-c/d_e/f.g~h"), (("/..a",), "/..a"), (("", "/lib"), "/lib"),
    ],
    ids=str,
)  # fmt: skip
def test_a_trusted_proxy_moves_the_site(behind: TestClient, values: tuple[str, ...], root: str) -> None:
    assert root_of(behind, *values) == root
    assert root_of(behind, *values, path=f"{root}/status") == root


def test_the_header_goes_before_the_option(library: IndexFolder) -> None:
    with client_of(library.path, proxy=build_proxy_rules(AT, ["10.0.0.9"]), peer="10.0.0.9") as client:
        assert root_of(client) == AT
        assert root_of(client, "/other") == "/other"
        assert root_of(client, "/") == ""


@pytest.mark.parametrize(
    "values",
    [
        ("lib",), ("//evil.example",), ("/a//b",), ("/a?b",), ("/a#b",), ("/a\tb",), ("/a b",), ("/a,/b",), ("/..",),
        ("/a/../b",), ("/.",), ("/a/./b",), ("/a\\b",), ("https://evil.example",), ('/"><script>',), ("/%2f",), ("/é",),
        ("/a//",), ("//",), ("/a", "/b"), ("/" + "a" * 300,), ("/map",), ("/static/x",), ("/api",),
    ],
    ids=lambda values: values[0][:20],
)  # fmt: skip
def test_a_malformed_path_of_a_trusted_proxy_is_refused(behind: TestClient, values: tuple[str, ...]) -> None:
    sent = [(HEADER.encode(), value.encode("latin-1")) for value in values]
    answer = behind.get("/status", headers=sent)
    assert HEADER in error_of(answer, 400, "bad_prefix")  # type: ignore[arg-type]
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("peer", ["10.0.0.8", "203.0.113.5", "::ffff:10.0.0.8", "testclient", "10.0.0.99"])
@pytest.mark.parametrize("value", ["/spoofed", "//evil.example", "/map"])
def test_the_header_of_anyone_else_is_ignored_and_reported_once(
    library: IndexFolder, peer: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    rules = build_proxy_rules(AT, ["10.0.0.9", "192.0.2.0/24"])
    with client_of(library.path, proxy=rules, peer=peer) as client, caplog.at_level(logging.WARNING, "engine.serve"):
        for _ in range(3):
            answer = client.get("/status", headers={HEADER: value})
            assert answer.status_code == 200 and value not in answer.text.replace(f"{AT}/map", "")
            assert root_of(client) == AT
    found = [record.getMessage() for record in caplog.records]
    assert found == [f"{HEADER} from {peer} is ignored. If that is your proxy: --trusted-proxy ADDRESS"]


@pytest.mark.parametrize("peer", ["10.0.0.9", "192.0.2.77", "::1", "::ffff:10.0.0.9", "fe80::5%eth0"])
def test_the_addresses_of_proxies(peer: str) -> None:
    rules = build_proxy_rules("", ["10.0.0.9", "192.0.2.0/24", "[::1]", "fe80::/10"])
    assert rules.is_trusted(peer)
    assert not ProxyRules().is_trusted(peer)
    assert not any(rules.is_trusted(other) for other in ("10.0.0.8", "192.0.3.1", "", "unix", "::2", "/run/socket"))


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.1/8", "10.0.0", "*", "10.0.0.0/33", "::g"])
def test_a_proxy_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=re.escape(f"--trusted-proxy is {text!r}, expected an IP address or a network")
    ):
        build_proxy_rules("", [text])


@pytest.mark.parametrize("path", ["search", "//", "/a//b", "/a?q", "/a\n", "/a b", "http://x/", "/a/..", "/é", "/%20"])
def test_a_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="--root-path is .*, expected a path like /search"):
        build_proxy_rules(path)


@pytest.mark.parametrize("path", ["/map", "/static", "/api/engine", "/record", "/metrics/"])
def test_a_path_that_begins_like_a_page_is_refused(library: IndexFolder, path: str) -> None:
    with (
        pytest.raises(UsageError, match="--root-path is .*, which begins like a page of the server"),
        client_of(library.path, proxy=build_proxy_rules(path)),
    ):
        pass


def test_links_outside_of_a_request_are_at_the_top() -> None:
    assert (get_root(), link("/map"), link(""), link("?q=a")) == ("", "/map", "", "?q=a")
