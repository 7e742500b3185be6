"""A real server and raw connections: what is slow, malformed, too long or too much."""

import contextlib
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CURRENT, ROOT
from tests.serve.conftest import Running, next_answer, rest, serving

SECONDS = 0.6  # in the place of the limits of a real server
MOST = 40  # connections
PATCH = f"""
from engine.serve.http import connection, guard
connection.HEAD_SECONDS = guard.BODY_SECONDS = connection.TAKE_SECONDS = {SECONDS}
connection.MAX_CONNECTIONS = {MOST}
made = connection.Connection.connection_made
def small_made(self, transport):
    transport.get_extra_info("socket").setsockopt(1, 7, 4096)  # SO_SNDBUF: else the kernel takes all of an answer
    made(self, transport)
connection.Connection.connection_made = small_made
"""
SECRET = "secretquestion"  # nothing of a query may be in the log


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "indexes"
    shutil.copytree(CURRENT, folder / "toy")
    return folder


@pytest.fixture(scope="module")
def server(indexes: Path) -> Iterator[Running]:
    """A server as it is."""
    with serving(indexes) as found:
        yield found
        assert found.process.poll() is None
        assert SECRET not in found.said


@pytest.fixture(scope="module")
def small(indexes: Path) -> Iterator[Running]:
    """A server with little patience."""
    with serving(indexes, patch=PATCH) as found:
        yield found
        assert found.process.poll() is None
        assert "Traceback" not in found.said


def check_alive(server: Running) -> None:
    """Others are served, and at once."""
    began = time.monotonic()
    status, _, body = server.get("/healthz")
    assert (status, body) == (200, b"ok\n") and time.monotonic() - began < 2


def closed_after(line: socket.socket, began: float) -> float:
    """Seconds until the server has closed a connection without a word."""
    assert rest(line) == b""
    return time.monotonic() - began


# Slow


def test_a_connection_on_which_nothing_comes_is_closed(small: Running) -> None:
    with small.connect() as line:
        began = time.monotonic()
        check_alive(small)
        assert SECONDS * 0.9 < closed_after(line, began) < SECONDS + 2


def test_a_head_that_comes_byte_by_byte_is_given_up(small: Running) -> None:
    with small.connect() as line:
        began = time.monotonic()
        request = small.head("GET /healthz", f"X-Long: {'x' * 1000}")
        sent = 0
        while time.monotonic() - began < SECONDS * 4:
            try:
                line.sendall(request[sent : sent + 1])
            except (ConnectionResetError, BrokenPipeError):
                break
            sent += 1
            time.sleep(SECONDS / 10)
        assert 5 < sent < 30
        check_alive(small)


def test_a_second_head_is_given_up_like_the_first(small: Running) -> None:
    with small.connect() as line:
        line.sendall(small.head("GET /healthz"))
        assert next_answer(line).endswith(b"ok\n")
        line.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        assert SECONDS * 0.9 < closed_after(line, time.monotonic()) < SECONDS + 2
    with small.connect() as line:
        began = time.monotonic()
        line.sendall(small.head("GET /healthz") + b"GET /he")
        assert rest(line).endswith(b"ok\n") and time.monotonic() - began < SECONDS + 2


def test_an_answer_leaves_time_for_the_next_request(small: Running) -> None:
    with small.connect() as line:
        for _ in range(3):
            line.sendall(small.head("GET /healthz"))
            assert next_answer(line).endswith(b"ok\n")
            time.sleep(SECONDS * 1.5)  # between requests nothing is begun
        line.sendall(small.head("GET /healthz", "Connection: close"))
        assert rest(line).endswith(b"ok\n")


def test_requests_sent_at_once_are_answered_in_order(small: Running) -> None:
    paths = ("/healthz", "/readyz", "/api/v1/nope", "/healthz")
    requests = [small.head(f"GET {path}") for path in paths[:-1]] + [small.head("GET /healthz", "Connection: close")]
    found = small.raw(b"".join(requests))
    assert [int(piece[:3]) for piece in found.split(b"HTTP/1.1 ")[1:]] == [200, 200, 404, 200]


def test_a_body_that_does_not_come_is_given_up(small: Running) -> None:
    with small.connect() as line:
        line.sendall(small.head("POST /api/v1/batch", "Content-Length: 100") + b'{"queries"')
        began = time.monotonic()
        check_alive(small)
        found = next_answer(line)
        assert found.startswith(b"HTTP/1.1 408 ") and b"content-security-policy: default-src 'none'" in found
        assert b"slow_body" in found and time.monotonic() - began < SECONDS + 2


def test_a_body_that_comes_byte_by_byte_is_given_up(small: Running) -> None:
    with small.connect() as line:
        line.sendall(small.head("POST /api/v1/batch", "Content-Length: 100") + b'{"queries"')
        began, found = time.monotonic(), b""
        line.settimeout(SECONDS / 10)
        while not found and time.monotonic() - began < SECONDS * 6:
            line.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                found = line.recv(65_536)
        assert found.startswith(b"HTTP/1.1 408 ") and SECONDS * 0.9 < time.monotonic() - began < SECONDS + 2


@pytest.mark.parametrize("more", [(), ("Connection: close",)])
def test_an_answer_that_nobody_takes_is_given_up(small: Running, more: tuple[str, ...]) -> None:
    whole = small.get("/api/v1/search?q=gout&n=43")[2]
    with unread(small) as line:
        line.sendall(small.head("GET /api/v1/search?q=gout&n=43", *more) * (1 if more else 40))
        time.sleep(SECONDS * 4)
        check_alive(small)
        found = rest(line)  # what the kernel held
        assert found.startswith(b"HTTP/1.1 200 OK") and len(found) < len(whole)


@contextlib.contextmanager
def unread(server: Running) -> Iterator[socket.socket]:
    """A connection that takes next to nothing before it is read."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        line.settimeout(10)
        line.connect(("127.0.0.1", server.port))
        yield line


def test_an_answer_that_is_taken_slowly_comes_whole(small: Running) -> None:
    whole = small.get("/api/v1/search?q=gout&n=43")[2]
    with unread(small) as line:
        line.sendall(small.head("GET /api/v1/search?q=gout&n=43", "Connection: close"))
        found, began = b"", time.monotonic()
        while piece := line.recv(1_000):
            found += piece
            time.sleep(0.02)
    assert found.partition(b"\r\n\r\n")[2] == whole and time.monotonic() - began > SECONDS


def test_each_answer_on_a_connection_has_its_own_time(small: Running) -> None:
    path = "/api/v1/search?q=gout&n="
    whole = small.get(path + "43")[2]
    with unread(small) as line:
        line.sendall(small.head(f"GET {path}12"))
        time.sleep(SECONDS / 2)  # it waits to be taken
        assert next_answer(line).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        line.sendall(small.head(f"GET {path}43", "Connection: close"))
        found = b""
        while piece := line.recv(1_000):
            found += piece
            time.sleep(0.02)
    assert time.monotonic() - began > SECONDS
    assert found.partition(b"\r\n\r\n")[2] == whole


SLOW = """
import time
from engine.query.answers import answer
fetch_hits = answer.fetch_hits
def fetch_slowly(*args):
    time.sleep(0.2)
    return fetch_hits(*args)
answer.fetch_hits = fetch_slowly
"""


@pytest.mark.parametrize("more", [b"", b"\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"x" * 1_000])
def test_clients_that_have_gone_leave_room_for_others(indexes: Path, more: bytes) -> None:
    with serving(indexes, patch=SLOW) as server:
        lines = [server.connect() for _ in range(66)]
        for n, line in enumerate(lines):
            line.sendall(server.head(f"GET /api/v1/search?q=gout+{n}"))
        time.sleep(0.3)
        for line in lines:
            line.sendall(more)
        time.sleep(0.2)
        for line in lines:
            line.close()
        for _ in range(30):  # 3 seconds at most: all answers would take 6 or more
            time.sleep(0.1)
            figures = server.get("/metrics")[2]
            if b"engine_requests_inside 0.0" in figures:
                break
        assert (
            b"engine_requests_inside 0.0" in figures and b'status="499"' in figures and b'status="400"' not in figures
        )
        assert server.get("/api/v1/search?q=pain")[0] == 200
        assert "Traceback" not in server.said and "ERROR" not in server.said and "never retrieved" not in server.said


def test_nothing_is_logged_of_a_body_that_nobody_asked_for(indexes: Path) -> None:
    patch = "from engine.serve.work import desk\ndesk.Desk.places = property(lambda self: 0, lambda self, n: None)"
    with serving(indexes, patch=patch) as server:
        for _ in range(5):
            head = server.head("GET /api/v1/search?q=gout", "Transfer-Encoding: chunked", "Connection: close")
            found = server.raw(head + b"11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n")
            assert found.startswith((b"HTTP/1.1 503 ", b"HTTP/1.1 413 "))
        time.sleep(0.2)
        assert "Traceback" not in server.said and "never retrieved" not in server.said


def test_a_body_that_nobody_waits_for_does_not_keep_a_connection_open(small: Running) -> None:
    with small.connect(0.5) as line:
        line.sendall(small.head("POST /healthz", "Content-Length: 60000"))
        assert next_answer(line).startswith(b"HTTP/1.1 405 ")
        began = time.monotonic()
        while time.monotonic() - began < 8:  # longer than an idle connection is kept
            try:
                line.sendall(b"x")
                time.sleep(0.25)
            except (ConnectionResetError, BrokenPipeError):
                return
    pytest.fail("still open")


def test_many_slow_connections_leave_room_for_others(small: Running) -> None:
    lines = [small.connect() for _ in range(MOST - 5)]
    try:
        for line in lines:
            line.sendall(b"GET / HTTP/1.1\r\n")
        check_alive(small)
        for line in lines:
            assert rest(line) == b""
    finally:
        for line in lines:
            line.close()
    check_alive(small)


def test_a_connection_too_many_takes_the_place_of_the_longest_idle(small: Running) -> None:
    time.sleep(0.1)
    lines = [small.connect() for _ in range(MOST)]
    try:
        time.sleep(0.1)
        check_alive(small)
        assert rest(lines[0]) == b""
        lines[1].sendall(small.head("GET /healthz"))
        assert next_answer(lines[1]).endswith(b"ok\n")
    finally:
        for line in lines:
            line.close()
    time.sleep(0.2)
    check_alive(small)


def test_one_address_keeps_few_idle_connections(indexes: Path) -> None:
    patch = "from engine.serve.http import connection\nconnection.MAX_IDLE, connection.IDLE_SECONDS = 3, 0.0\n"
    with serving(indexes, patch=patch) as server:
        lines = [server.connect() for _ in range(3)]
        for line in (lines[1], lines[2], lines[0]):  # from the oldest to the youngest, once the server knows all
            line.sendall(server.head("GET /healthz"))
            assert next_answer(line).endswith(b"ok\n")
        with server.connect() as more:
            more.sendall(server.head("GET /healthz"))
            assert next_answer(more).endswith(b"ok\n")
        assert rest(lines[1]) == b""
        for line in (lines[0], lines[2]):
            line.sendall(server.head("GET /healthz"))
            assert next_answer(line).endswith(b"ok\n")
            line.close()
        lines[1].close()


# Malformed


def test_two_lengths_are_refused_and_the_connection_closed(server: Running) -> None:
    request = server.head("POST /api/v1/batch", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n"
    found = server.raw(request + server.head("GET /healthz"))
    assert found.count(b"HTTP/1.1 ") == 1 and found.startswith(b"HTTP/1.1 400 ")


def test_targets_in_absolute_form_are_answered(server: Running) -> None:
    own = f"http://127.0.0.1:{server.port}"
    assert server.get(f"{own}/healthz")[2] == b"ok\n"
    assert server.get(f"{own}/api/v1/search?q=gout&n=1")[2] == server.get("/api/v1/search?q=gout&n=1")[2]
    assert server.get(own)[0] == 200
    assert server.get("http://evil.example/healthz")[0] == 421  # the host of the target counts
    assert server.raw(
        f"GET {own}/healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode()
    ).endswith(b"ok\n")
    assert server.get("http:///healthz")[0] == 404


def test_what_any_client_can_send_is_not_logged(server: Running) -> None:
    before = server.said
    upgrade = ("Connection: Upgrade, close", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: a")
    assert server.raw(server.head("GET /healthz", *upgrade)).endswith(b"ok\n")
    found = server.raw(b"GARBAGE\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 400 ") and b"\r\ncache-control: no-store\r\n" in found
    assert server.said == before


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, b"\x00" * 100 + b"\r\n\r\n",
        b"GET /\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", b"GET / HTTP/1.1\r\n folded\r\n\r\n",
        b"POST /api/v1/batch HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/batch HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET\r\n\r\n",
    ],
    ids=lambda value: repr(value[:40]),
)  # fmt: skip
def test_what_is_no_http_is_refused_with_the_same_headers(server: Running, request_: bytes) -> None:
    found = server.raw(request_, 5.0)
    assert found.startswith(b"HTTP/1.1 400 Bad Request\r\n"), found[:200]
    head, _, body = found.partition(b"\r\n\r\n")
    for header in (b"content-security-policy: default-src 'none'; script-src 'self'", b"x-content-type-options: nosniff",
                   b"x-frame-options: DENY", b"referrer-policy: no-referrer"):  # fmt: skip
        assert header in head
    assert b"connection: close" in head.lower() and b"Invalid HTTP request" in body
    check_alive(server)


def test_what_is_no_http_after_a_request_is_refused_too(server: Running) -> None:
    found = server.raw(server.head("GET /healthz") + b"GARBAGE\r\n\r\n", 5.0)
    assert found.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 400 Bad Request" in found
    assert found.count(b"content-security-policy") == 2


@pytest.mark.parametrize("size", [70_000, 150_000, 5_000_000])
@pytest.mark.parametrize("where", ["line", "header", "headers"])
def test_a_head_over_the_limit_is_refused(server: Running, size: int, where: str) -> None:
    long = "x" * size
    request = {
        "line": server.head(f"GET /healthz?{long}"),
        "header": server.head("GET /healthz", f"X-Long: {long}"),
        "headers": server.head("GET /healthz", *[f"X-{n}: {'x' * 100}" for n in range(size // 100)]),
    }[where]
    with server.connect(5.0) as line:
        with contextlib.suppress(OSError):  # it may be closed before all is sent
            line.sendall(request)
            line.shutdown(socket.SHUT_WR)
        found = rest(line)
    assert not found or found.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 414 ")), found[:60]
    check_alive(server)


def test_a_head_within_the_limit_is_taken(server: Running) -> None:
    long = "x" * 60_000
    assert server.get(f"/healthz?{long}")[0] == 200
    assert server.get("/healthz", f"X-Long: {long}")[0] == 200
    assert server.get(f"/api/v1/search?q={'%20' * 15_000}a")[0] == 200
    assert server.get(f"/api/v1/search?q={'%20' * 20_500}a")[0] == 400


def test_a_body_over_the_limit_is_refused_before_it_has_come(server: Running) -> None:
    for request in (
        server.head("POST /api/v1/batch", "Content-Length: 1000000000"),
        server.head("POST /api/v1/batch", "Transfer-Encoding: chunked") + b"10001\r\n" + b"x" * 0x10001,
    ):
        with server.connect(5.0) as line:
            line.sendall(request)
            assert next_answer(line).startswith(b"HTTP/1.1 413 ")
    check_alive(server)


def test_a_query_of_a_million_bytes_is_refused_at_once(server: Running) -> None:
    body = b'{"queries": ["' + b"a" * 1_000_000 + b'"]}'
    with server.connect() as line:
        began = time.monotonic()
        line.sendall(server.head("POST /api/v1/batch", f"Content-Length: {len(body)}"))
        assert next_answer(line).startswith(b"HTTP/1.1 413 ") and time.monotonic() - began < 1


def test_a_client_that_goes_away_leaves_no_trace(server: Running) -> None:
    before = server.said.count("Traceback")
    for request in (
        server.head("POST /api/v1/batch", "Content-Length: 100") + b'{"quer',
        server.head("POST /api/v1/batch", "Transfer-Encoding: chunked") + b"5\r\n{",
        server.head("POST /api/v1/batch", "Transfer-Encoding: chunked") + b"zz\r\n",
        server.head(f"GET /api/v1/search?q={SECRET}&n=1000"),
        b"GET /",
        b"",
    ):
        line = server.connect()
        line.sendall(request)
        line.close()
    time.sleep(0.5)
    check_alive(server)
    assert server.said.count("Traceback") == before
    _, _, body = server.get("/metrics")
    assert b'status="500"' not in body


# Many


def test_three_hundred_requests_at_once_are_answered_or_told_to_wait(server: Running) -> None:
    statuses: Counter[int] = Counter()
    lock, start = threading.Lock(), threading.Barrier(300)

    def ask(n: int) -> None:
        start.wait(timeout=60)
        status, headers, _ = server.get(f"/api/v1/search?q={SECRET}+{n}&n=40&explain=true")
        with lock:
            statuses[status] += 1
            assert status == 200 or headers["retry-after"] == "1"

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert statuses.total() == 300 and set(statuses) <= {200, 503}
    assert statuses[200] >= 66  # all that may be inside at once
    check_alive(server)


def test_no_query_is_written_down(server: Running) -> None:
    for path in (f"/?q={SECRET}", f"/api/v1/search?q={SECRET}", f"/api/v1/search?n=x&q={SECRET}", f"/record?id={SECRET}",
                 f"/export?format=ris&q={SECRET}", f"/map?q={SECRET}", f"/{SECRET}", f"/?{SECRET}=1",
                 f"/api/v1/search?q={SECRET}&mode=hybrid&where={SECRET}", f"/api/v1/search?q=%EF%BF%BD&i={SECRET}"):  # fmt: skip
        assert server.get(path)[0] in (200, 400, 404)
    body = f'{{"queries": ["{SECRET}"]}}'.encode()
    found = server.raw(server.head("POST /api/v1/batch", f"Content-Length: {len(body)}", "Connection: close") + body)
    assert found.startswith(b"HTTP/1.1 200 ") and SECRET.encode() in found
    assert SECRET not in server.said
    assert SECRET.encode() not in server.get("/metrics")[2]


# Names that lead elsewhere

NAMES = ("..", "../toy", "..%2ftoy", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%2Fetc%2Fpasswd", "/etc/passwd", "a%00b", "%00",
         "x" * 300, "CON", "nul", "C:", "C%3A%5Cwindows", "..%5C..", "%EF%BC%8E%EF%BC%8E", "toy%2F..%2Ftoy", "toy/", ".",
         "%25%32%65", "toy%00", "generations", "LOCK", "CURRENT", "file%3A%2F%2F%2Fetc%2Fpasswd", "~root", "$HOME")  # fmt: skip
PATHS = ("/..", "/../", "/%2e%2e%2f", "/../../etc/passwd", "//etc/passwd", "/%2Fetc%2Fpasswd", "/static/../app.py",
         "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/%2e%2e%2fapp.py", "/static//etc/passwd",
         "/static/%2fetc%2fpasswd", "/static/a%00b", "/static/" + "x" * 300, "/static/CON", "/static/", "/static",
         "/static/..", "/static/.", "/static/..%5capp.py", "/static/%EF%BC%8E%EF%BC%8E/app.py", "/a%00b", "/CON",
         "/" + "x" * 300, "/static/page.js%00", "/static/%C0%AE%C0%AE/app.py", "/templates/base.html",
         "/static/../static/../app.py", "/api/v1/../../etc/passwd", "/static/~root", "/app.py", "/engine/serve/app.py")  # fmt: skip

HOOK = """
import os, sys
from pathlib import Path
opened = open(os.environ["OPENED"], "a", buffering=1)
def note(event, given):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(given[0], (str, bytes)):
        opened.write(os.path.realpath(os.fsdecode(given[0])).replace("\\n", "?") + "\\n")
sys.addaudithook(note)
"""


@pytest.fixture(scope="module")
def watched(indexes: Path) -> Iterator[tuple[Running, Path]]:
    """A server that writes down every file that it opens."""
    opened = indexes.parent / "opened"
    with serving(indexes, patch=HOOK, OPENED=str(opened)) as found:
        yield found, opened


def test_a_name_leads_nowhere_else(watched: tuple[Running, Path], indexes: Path) -> None:
    server, opened = watched
    server.get("/static/page.js")
    server.get("/")
    before = len(opened.read_text().splitlines())
    for name in NAMES:
        for path in (f"/api/v1/search?q=a&i={name}", f"/api/v1/record?id={name}", f"/record?id={name}", f"/?q=a&i={name}",
                     f"/api/v1/similar?id={name}", f"/api/v1/new?q=a&since={name}", f"/map?i={name}",
                     f"/export?q=a&format={name}", f"/export?q=a&format=ris&i={name}",
                     f"/map/points?g=2&i={name}", f"/map/at?g=2&row={name}"):  # fmt: skip
            status, headers, body = server.get(path)
            assert 400 <= status < 500, (path, status)
            assert b"root:" not in body and headers["x-content-type-options"] == "nosniff"
    for path in PATHS:
        status, _, body = server.get(path)
        assert 400 <= status < 500, (path, status)
        assert b"root:" not in body and b"import" not in body
    assert any(row.endswith("page.js") for row in opened.read_text().splitlines()[:before])
    check_opened(opened, before, indexes)


def check_opened(opened: Path, before: int, indexes: Path) -> None:
    """Nothing was opened but the indexes and the engine's own files."""
    engine = ROOT / "engine"
    for row in opened.read_text().splitlines()[before:]:
        assert Path(row).is_relative_to(indexes) or Path(row).is_relative_to(engine), row


def test_a_source_of_any_name_is_a_filter_and_no_file(watched: tuple[Running, Path], indexes: Path) -> None:
    server, opened = watched
    assert server.get("/api/v1/search?q=a&source=a&mode=hybrid")[0] == 200
    before = len(opened.read_text().splitlines())
    for name in ("..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "*"):
        assert server.get(f"/api/v1/search?q=a&source={name}&journal={name}&hide={name}")[0] == 200
    check_opened(opened, before, indexes)
