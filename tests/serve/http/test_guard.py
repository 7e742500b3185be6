"""What every request passes, and what every response has."""

import base64
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lxml.html
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from engine.errors import EncoderError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.serve.app import _respond_to_error
from engine.serve.http.access import _is_loopback, build_access
from engine.serve.http.limits import MAX_BODY
from tests.conftest import segment_of
from tests.serve.conftest import BASE, ODD, PORT, Told, client_of, error_of, parsed, tell

TOKEN = "0123456789abcdef"
OTHER = "https://example.org"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
BATCH = b'{"queries": ["gout"]}'


def code(told: Told) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert told.values("content-type") == ["application/json"]
    assert told.values("content-length") == [str(len(told.body))]
    return told.status, parsed(told.body.decode())["error"]["code"]  # type: ignore[index]


def check_safe(told: Told) -> None:
    """A response has what every one has, each once."""
    for name, value in SAFE.items():
        assert told.values(name) == [value], (told.status, name)
    assert len(told.values("cache-control")) == 1
    assert not [name for name, _ in told.headers if name.startswith("access-control-")]
    assert not told.values("server") and not told.values("x-powered-by")


# The name of the server


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LocalHost:{PORT}", f"[::1]:{PORT}"])
def test_a_request_by_a_name_of_the_server_is_answered(app: ASGIApp, host: str) -> None:
    assert tell(app, "/", ("host", host), own=False).status == 200


@pytest.mark.parametrize(
    "hosts",
    [
        (), ("",), ("evil.com",), (f"evil.com:{PORT}",), (f"127.0.0.1.evil.com:{PORT}",), ("127.0.0.1.evil.com",),
        (f"localhost.:{PORT}",), ("localhost",), ("127.0.0.1",), ("[::1]",), ("127.0.0.1:8001",), ("localhost:80",),
        ("127.0.0.1:",), (f"127.0.0.1:{PORT}0",), (f" 127.0.0.1:{PORT}",), (f"127.0.0.1:{PORT} ",),
        (f"user@127.0.0.1:{PORT}",), (f"127.1:{PORT}",), (f"0.0.0.0:{PORT}",), (f"2130706433:{PORT}",),
        (f"127.0.0.1:{PORT}/",), (f"127.0.0.1:{PORT}, evil.com",), (f"127.0.0.1:{PORT}", "evil.com"),
        ("evil.com", f"127.0.0.1:{PORT}"), (f"127.0.0.1:{PORT}", f"127.0.0.1:{PORT}"), (f"[::1:{PORT}",),
        (f"::1:{PORT}",), (f"[::ffff:127.0.0.1]:{PORT}",), ("<script>alert(1)</script>",), ("\xff",),
    ],
    ids=str,
)  # fmt: skip
def test_a_request_by_any_other_name_is_refused(app: ASGIApp, hosts: tuple[str, ...]) -> None:
    for path in ("/", "/healthz", "/api/v1/search", "/metrics", "/static/page.js"):
        told = tell(app, path, *[("host", host) for host in hosts], own=False, query="q=gout")
        assert code(told) == (421, "host")
        check_safe(told)


def test_forwarded_names_mean_nothing(app: ASGIApp) -> None:
    for name in ("x-forwarded-host", "forwarded", "x-original-host", "x-host"):
        assert tell(app, "/", ("host", "evil.com"), (name, f"127.0.0.1:{PORT}"), own=False).status == 421
        assert tell(app, "/", (name, "evil.com")).status == 200


def test_names_may_be_added(library: IndexFolder) -> None:
    with client_of(library.path, names=("Search.Example.org",)) as client:
        for host in ("search.example.org", "SEARCH.example.ORG", f"search.example.org:{PORT}", f"127.0.0.1:{PORT}"):
            assert tell(client.app, "/", ("host", host), own=False).status == 200
        for host in ("search.example.org:80", "example.org", "x.search.example.org", "search.example.org.evil.com"):
            assert tell(client.app, "/", ("host", host), own=False).status == 421


def test_the_usual_port_may_be_left_out() -> None:
    usual = build_access("127.0.0.1", 80)
    assert all(usual.is_known_host(host) for host in ("127.0.0.1", "localhost:80", "[::1]"))
    assert build_access("::1", 8000).hosts == build_access("127.0.0.1", 8000).hosts
    other = build_access("127.0.0.2", 8000)
    assert other.is_known_host("127.0.0.2:8000") and not other.is_known_host("127.0.0.2")
    public = build_access("0.0.0.0", 8000, names=("a.org",), token="x" * 16)
    assert {"a.org", "a.org:8000"} < public.hosts and not public.is_known_host("a.org:80")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_is_this_machine_alone(host: str) -> None:
    assert _is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.evil.com", "127.0.0.1.evil.com", "", "127.1"])
def test_all_else_may_be_reached_by_others(host: str) -> None:
    assert not _is_loopback(host)
    with pytest.raises(UsageError, match="can be reached from other machines, so a token"):
        build_access(host, 8000, names=("a.org",))
    with pytest.raises(UsageError, match="so a public host name"):
        build_access(host, 8000, token="x" * 16)
    known = {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"} if host in ("0.0.0.0", "::") else set()
    assert build_access(host, 8000, token="x" * 16, names=("a.org",)).hosts == {"a.org", "a.org:8000"} | known


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="the token has 15 characters, expected 16 or more"):
        build_access("127.0.0.1", 8000, token="x" * 15)
    for name in ("", " ", "*", "*.example.org", "http://example.org", "a b", "user@example.org"):
        with pytest.raises(UsageError, match="is not a host name"):
            build_access("127.0.0.1", 8000, names=(name,))
    for origin in (
        "",
        "*",
        "null",
        "example.org",
        "ftp://example.org",
        "https://",
        "https://a.org/page",
        "https://a?b",
    ):
        with pytest.raises(UsageError, match="is not an origin"):
            build_access("127.0.0.1", 8000, origins=(origin,))
    assert build_access("127.0.0.1", 8000, origins=("HTTPS://Example.org/",)).origins == {OTHER}


# Pages of other sites


@pytest.mark.parametrize(
    "headers",
    [
        (("origin", "https://evil.com"),), (("origin", "null"),), (("origin", "http://localhost:8001"),),
        (("origin", "http://127.0.0.1.evil.com"),), (("origin", f"http://127.0.0.1:{PORT}.evil.com"),),
        (("origin", f"ftp://127.0.0.1:{PORT}"),), (("origin", f"127.0.0.1:{PORT}"),), (("origin", ""),),
        (("origin", "http://evil.com"), ("sec-fetch-site", "same-origin")),
        (("sec-fetch-site", "cross-site"),), (("sec-fetch-site", "same-site"),), (("sec-fetch-site", ""),),
        (("origin", f"http://evil.com@127.0.0.1:{PORT}"),), (("origin", OTHER),),
    ],
    ids=str,
)  # fmt: skip
def test_a_page_of_another_site_can_post_nothing(app: ASGIApp, headers: tuple[tuple[str, str], ...]) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        told = tell(app, "/api/v1/batch", *headers, method=method, body=(BATCH,))
        assert code(told) == (403, "origin")
        check_safe(told)
    read = tell(app, "/api/v1/search", *headers, query="q=gout")
    assert read.status == 200
    check_safe(read)


@pytest.mark.parametrize("origin", ["http://[::1", "http://[evil]", "http://]", "http://[v1.x]:8000"])
def test_an_origin_that_is_no_address_can_post_nothing(app: ASGIApp, origin: str) -> None:
    told = tell(app, "/api/v1/batch", ("origin", origin), method="POST", body=(BATCH,))
    assert code(told) == (403, "origin")


@pytest.mark.parametrize(
    "headers",
    [
        (), (("origin", BASE),), (("origin", f"http://localhost:{PORT}"), ("sec-fetch-site", "cross-site")),
        (("origin", f"http://[::1]:{PORT}"),), (("origin", f"https://127.0.0.1:{PORT}"),),
        (("sec-fetch-site", "same-origin"),), (("sec-fetch-site", "none"),),
    ],
    ids=str,
)  # fmt: skip
def test_the_own_page_and_programs_may_post(app: ASGIApp, headers: tuple[tuple[str, str], ...]) -> None:
    told = tell(app, "/api/v1/batch", *headers, method="POST", body=(BATCH,))
    assert told.status == 200
    check_safe(told)


PREFLIGHT = (("origin", OTHER), ("access-control-request-method", "POST"))


def test_no_other_site_may_read_unless_it_is_named(app: ASGIApp) -> None:
    told = tell(app, "/api/v1/batch", *PREFLIGHT, method="OPTIONS")
    assert told.status == 405
    check_safe(told)


@pytest.fixture
def open_to_other(library: IndexFolder) -> Iterator[ASGIApp]:
    with client_of(library.path, origins=(OTHER,)) as client:
        yield client.app


def test_a_site_that_is_named_may_read_and_post(open_to_other: ASGIApp) -> None:
    told = tell(open_to_other, "/api/v1/batch", *PREFLIGHT, method="OPTIONS")
    assert (told.status, told.body) == (204, b"")
    assert told.values("access-control-allow-origin") == [OTHER]
    assert told.values("access-control-expose-headers") == ["ETag, Engine-Generation"]
    assert told.values("access-control-allow-methods") == ["GET, POST"]
    assert told.values("access-control-allow-headers") == ["Authorization, Content-Type, If-None-Match"]
    assert told.values("vary") == ["Origin"] and told.values("content-security-policy") == [CSP]
    for method, path, body in (("GET", "/api/v1/status", b""), ("POST", "/api/v1/batch", BATCH)):
        told = tell(open_to_other, path, ("origin", OTHER), method=method, body=(body,))
        assert told.status == 200
        assert told.values("access-control-allow-origin") == [OTHER] and told.values("vary") == ["Origin"]
        assert not told.values("access-control-allow-credentials")
    failed = tell(open_to_other, "/api/v1/search", ("origin", OTHER))
    assert (failed.status, failed.values("access-control-allow-origin")) == (400, [OTHER])


@pytest.mark.parametrize(
    "origin", ["https://evil.com", "null", "http://example.org", f"{OTHER}.evil.com", f"{OTHER}:444"]
)
def test_naming_one_site_opens_to_no_other(open_to_other: ASGIApp, origin: str) -> None:
    preflight = tell(open_to_other, "/api/v1/batch", ("origin", origin), method="OPTIONS")
    assert preflight.status == 405
    check_safe(preflight)
    check_safe(tell(open_to_other, "/api/v1/status", ("origin", origin)))
    assert tell(open_to_other, "/api/v1/batch", ("origin", origin), method="POST", body=(BATCH,)).status == 403
    assert tell(open_to_other, "/", ("host", "evil.com"), ("origin", OTHER), own=False).status == 421


# The token


@pytest.fixture(scope="module")
def locked(library: IndexFolder) -> Iterator[ASGIApp]:
    with client_of(library.path, token=TOKEN, origins=(OTHER,)) as client:
        yield client.app


def basic(text: str) -> str:
    """Name and password as browsers send them."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    "given",
    [f"Bearer {TOKEN}", f"bearer   {TOKEN} ", f"BEARER {TOKEN}", basic(f":{TOKEN}"), basic(f"anyone:{TOKEN}"),
     basic(f"x:{TOKEN}").replace("Basic", "basic")],
)  # fmt: skip
def test_the_token_opens(locked: ASGIApp, given: str) -> None:
    for path in ("/", "/api/v1/status", "/metrics", "/static/page.js"):
        assert tell(locked, path, ("authorization", given)).status == 200


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}0", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}",
     f"Bearer x{TOKEN}", f"Bearer :{TOKEN}", TOKEN, f"Token {TOKEN}", f"x Bearer {TOKEN}", "Basic", "Basic !!!", basic(TOKEN),
     basic(f"{TOKEN}:"), basic("a:b"), "Basic /////w==", "Basic é", "\xff\xfe"],
)  # fmt: skip
def test_without_the_token_there_is_nothing(locked: ASGIApp, given: str | None) -> None:
    headers = [] if given is None else [("authorization", given)]
    for path in ("/", "/api/v1/status", "/metrics", "/static/page.js", "/nope", "/healthz/", "//healthz", "/HEALTHZ"):
        told = tell(locked, path, *headers)
        assert code(told) == (401, "token")
        assert told.values("www-authenticate") == ['Bearer, Basic realm="abstract-engine", charset="UTF-8"']
        check_safe(told)
    for path in ("/healthz", "/readyz"):
        assert tell(locked, path, *headers).status == 200
    assert tell(locked, "/api/v1/batch", *headers, method="POST", body=(BATCH,)).status == 401


def test_the_name_and_the_origin_matter_with_a_token_too(locked: ASGIApp) -> None:
    given = ("authorization", basic(f":{TOKEN}"))
    assert tell(locked, "/", given, ("host", "evil.com"), own=False).status == 421
    assert (
        tell(locked, "/api/v1/batch", given, ("origin", "https://evil.com"), method="POST", body=(BATCH,)).status == 403
    )
    assert tell(locked, "/api/v1/batch", given, ("origin", OTHER), method="POST", body=(BATCH,)).status == 200


def test_a_browser_may_ask_whether_it_may_send_the_token(locked: ASGIApp) -> None:
    # A browser never sends it with this question.
    told = tell(locked, "/api/v1/batch", *PREFLIGHT, method="OPTIONS")
    assert told.status == 204 and told.values("access-control-allow-origin") == [OTHER]
    assert tell(locked, "/api/v1/batch", ("origin", "https://evil.com"), method="OPTIONS").status == 401


# The body


def test_a_body_over_the_limit_is_not_taken(app: ASGIApp) -> None:
    size = ("content-length", str(MAX_BODY + 1))
    for told in (
        tell(app, "/api/v1/batch", size, method="POST", body=(b"x" * (MAX_BODY + 1),)),
        tell(app, "/api/v1/batch", ("content-length", "9" * 25), method="POST", body=(b"x",)),
        tell(app, "/api/v1/batch", method="POST", body=(b"x" * (MAX_BODY + 1),)),
        tell(app, "/api/v1/batch", method="POST", body=(*(b"x" * 1024 for _ in range(64)), b"x")),
        tell(app, "/", size),
    ):
        assert code(told) == (413, "body_too_long")
        check_safe(told)
    assert tell(app, "/api/v1/batch", method="POST", body=(BATCH.ljust(MAX_BODY - 1), b" ")).status == 200
    pieces = tuple(BATCH[n : n + 1] for n in range(len(BATCH)))
    assert tell(app, "/api/v1/batch", method="POST", body=pieces).status == 200


def test_a_body_that_does_not_arrive_is_given_up(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from engine.serve.http import guard

    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)
    sent: list[dict] = []

    async def receive() -> dict:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/batch", "query_string": b"", "root_path": "",
             "headers": [(b"host", f"127.0.0.1:{PORT}".encode())], "http_version": "1.1"}  # fmt: skip
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408 and b"slow_body" in sent[1]["body"]


# Headers of every response


def test_every_response_has_the_same_headers(app: ASGIApp) -> None:
    tag = tell(app, "/", query="q=gout").values("etag")[0]
    for told, status in (
        (tell(app, "/", query="q=gout"), 200),
        (tell(app, "/", ("if-none-match", tag), query="q=gout"), 304),
        (tell(app, "/", query="q=+&n=5"), 303),
        (tell(app, "/", query="n=x"), 400),
        (tell(app, "/api/v1/search", query="n=x"), 400),
        (tell(app, "/nope"), 404),
        (tell(app, "/api/v1/nope"), 404),
        (tell(app, "/record", query="id=nope"), 404),
        (tell(app, "/static/nope.js"), 404),
        (tell(app, "/static/page.js"), 200),
        (tell(app, "/static/map.js"), 200),
        (tell(app, "/static/style.css"), 200),
        (tell(app, "/static/icon.svg"), 200),
        (tell(app, "/", method="POST", body=(b"x",)), 405),
        (tell(app, "/", method="OPTIONS"), 405),
        (tell(app, "/", method="HEAD"), 200),
        (tell(app, "/map"), 200),
        (tell(app, "/map/points", query="g=3"), 200),
        (tell(app, "/status"), 200),
        (tell(app, "/record", query="id=toy-01"), 200),
        (tell(app, "/export", query="q=gout&format=ris"), 200),
        (tell(app, "/search-record.json", query="q=gout"), 200),
        (tell(app, "/api/v1/openapi.json"), 200),
        (tell(app, "/metrics"), 200),
        (tell(app, "/readyz"), 200),
    ):
        assert told.status == status, told
        check_safe(told)


def test_a_failure_has_the_same_headers_and_says_nothing_of_itself(library: IndexFolder) -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError("a secret of the server")

    with client_of(library.path) as client:
        client.app.app.app.router.routes.extend([Route("/broken", broken), Route("/api/broken", broken)])
        for path, kind in (("/broken", "text/html; charset=utf-8"), ("/api/broken", "application/json")):
            response = client.get(path)
            assert response.status_code == 500 and response.headers["content-type"] == kind
            assert {name: response.headers.get_list(name) for name in SAFE} == {k: [v] for k, v in SAFE.items()}
            assert "secret" not in response.text and "RuntimeError" not in response.text
            assert "The server could not answer; its log says why." in response.text
        error_of(client.get("/api/broken"), 500, "internal")
        assert client.get("/healthz").status_code == 200


def damage(path: Path) -> None:
    """Overwrite all but the first page of a database in place."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


@pytest.fixture
def damaged(fresh: IndexFolder) -> Iterator[TestClient]:
    """A client of a site whose corpus was damaged while it was served."""
    with client_of(fresh.path) as client:
        damage(segment_of(fresh, 2).database)
        yield client


def test_a_damaged_index_is_a_failure_of_the_server(damaged: TestClient, fresh: IndexFolder) -> None:
    with (
        closing(sqlite3.connect(segment_of(fresh, 2).database)) as database,
        pytest.raises(sqlite3.DatabaseError, match="malformed|not a database"),
    ):
        database.execute("SELECT * FROM abstracts").fetchall()
    for path in ("/api/v1/search?q=gout", "/api/v1/record?id=toy-01"):
        message = error_of(damaged.get(path), 500, "damaged")
        assert message == "The server could not answer; its log says why. Ask whoever runs it to run: engine verify"
    page = damaged.get("/?q=gout")
    assert page.status_code == 500 and "its log says why" in page.text and str(fresh.path) not in page.text
    assert page.headers["content-security-policy"] == CSP
    error_of(damaged.post("/api/v1/batch", json={"queries": ["gout"]}), 500, "damaged")


def test_the_log_says_why_the_server_failed(damaged: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert damaged.get("/api/v1/search?q=secretquestion").status_code == 500
    told = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert told and any("abstracts.db" in record.getMessage() for record in told)
    assert "secretquestion" not in caplog.text


# Pages without anything inline

PAGES = ("/", "/?q=gout", "/?q=gout&mode=hybrid&n=50&year=1995-2000", "/?q=zzz&year=1700", "/?like=toy-01", "/map",
         "/map?q=gout", "/map?i=old", "/record?id=toy-01", "/record?id=gut", "/record?id=77", "/status", "/watch", "/watch?q=gout&year=2000-", "/?n=x",
         "/nope", "/record?id=nope", *(f"/?q={text}" for text in ("<script>", "'\"><i onload=x>")))  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_no_page_holds_a_script_or_a_style_of_its_own(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = lxml.html.document_fromstring(response.content)
    assert page.xpath("//script")
    for element in page.iter():
        assert not [name for name in element.attrib if name.startswith("on") or name in ("style", "srcdoc")]
        for name in ("href", "src", "action", "formaction"):
            value = element.get(name, "/")
            assert value.startswith(("/", "#", "https://pubmed.ncbi.nlm.nih.gov/", "https://doi.org/")), value
            assert not value.startswith("//")
    assert all(one.get("src", "").startswith("/static/") and not one.text for one in page.xpath("//script"))
    assert not page.xpath("//style | //iframe | //object | //embed | //base | //meta[@http-equiv]")
    assert all(one.get("href").startswith("/static/") for one in page.xpath("//link"))
    for one in page.xpath("//a[@target='_blank']"):
        assert one.get("rel") == "noopener noreferrer"


def test_the_static_files_are_all_there_is(client: TestClient) -> None:
    for name, kind in (("page.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        response = client.get(f"/static/{name}")
        assert response.status_code == 200 and response.headers["content-type"].startswith(kind)
    for path in ("/static/", "/static", "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"):
        assert client.get(path).status_code == 404
    assert ODD[0] not in client.get(f"/static/{ODD[0]}").text


def test_a_question_without_a_vector_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    scope = {"type": "http", "method": "GET", "path": "/api/v1/search", "query_string": b"", "headers": []}
    response = _respond_to_error(Request(scope), EncoderError("query 'secretquestion' can't be searched: not finite"))
    assert response.status_code == 500
    assert "EncoderError: a text got no usable vector" in caplog.text and "secretquestion" not in caplog.text
