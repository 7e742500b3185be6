"""Fixtures: one site for all tests that change nothing, and private ones for those that do."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from engine.index.generations.folder import IndexFolder
from engine.query.index import Index, open_index
from engine.reindex.runs.run import index_sources
from engine.serve.app import build_app
from engine.serve.http.access import build_access
from engine.serve.http.prefix import ProxyRules
from engine.serve.work.desk import Desk
from tests.conftest import CURRENT, ROOT, copy_toy, jsonl, order_of, silent
from tests.warmprocess import Forked, find_warm_process

PORT = 8000
BASE = f"http://127.0.0.1:{PORT}"
ROWS: tuple[dict[str, object], ...] = (
    {"id": "gut", "title": "Gout of the gut", "abstract": "Gout in the gut. It hurts.", "year": 2031, "journal": "Gut",
     "mesh": ["Gout", "Animals"], "authors": ["Smith, Jo", "Doe, Ann"], "publication_types": ["Review"],
     "keywords": ["urate"], "languages": ["fre"], "retracted": True, "doi": "10.1000/gut.1"},
    {"id": "lancet", "title": "Gout again", "year": 2032, "journal": "The Lancet", "mesh": ["Humans"]},
    {"pmid": 77, "title": "Seven and seventy", "abstract": " ".join(f"Sentence {n} is {'very ' * (n % 4)}short." for n in range(60)), "journal": "Sevens",
     "authors": [f"Author {n}" for n in range(9)]},
)  # fmt: skip
# What a record may hold that must not become markup, or be lost.
ODD = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title></p></main><h1>out</h1>",
    "{{7*7}} {% raw %} ${7*7}",
    "]]> <!-- -->",
    "quotes \" ' ` &amp; &lt;b&gt; &#60;",
    "right \u202eto left\u202c",
    "mojibake Ã© â€™ ï¿½",
    "p < 0.05 & n > 3",
)


@contextlib.contextmanager
def client_of(
    *folders: Path,
    base: str = BASE,
    desk: Desk | None = None,
    proxy: ProxyRules | None = None,
    peer: str = "127.0.0.1",
    **rules: object,
) -> Iterator[TestClient]:
    """A client at the address peer of a site over indexes; rules are those of access_for."""
    access = build_access("127.0.0.1", PORT, **rules)  # type: ignore[arg-type]
    app = build_app(folders, access, proxy=proxy, desk=desk, batches=desk)
    who = (peer, 50_000)
    with TestClient(app, base_url=base, raise_server_exceptions=False, follow_redirects=False, client=who) as client:
        yield client


@dataclass(frozen=True)
class Told:
    """A response as the application sends it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


def tell(
    app: ASGIApp,
    path: str = "/healthz",
    *headers: tuple[str, str],
    method: str = "GET",
    query: str = "",
    body: Sequence[bytes] = (b"",),
    own: bool = True,
) -> Told:
    """Send the application one request just so; own: with the right name in Host."""
    told: list[Message] = []
    given = ([("host", f"127.0.0.1:{PORT}")] if own else []) + list(headers)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given],
        "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", PORT), "state": {},
    }  # fmt: skip
    pieces = [
        {"type": "http.request", "body": piece, "more_body": n < len(body)} for n, piece in enumerate(body, start=1)
    ]

    async def receive() -> Message:
        return pieces.pop(0) if pieces else await asyncio.Future()  # the client stays

    async def send(message: Message) -> None:
        told.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    start, *rest = told
    found = tuple((name.decode(), value.decode("latin-1")) for name, value in start["headers"])
    return Told(start["status"], found, b"".join(piece.get("body", b"") for piece in rest))


@dataclass
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes] | Forked
    port: int
    output: Path

    @property
    def said(self) -> str:
        """What it has written to standard output and standard error."""
        return self.output.read_text(encoding="utf-8")

    def connect(self, seconds: float = 10.0) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def head(self, line: str, *more: str) -> bytes:
        """The head of a request with the right name in Host."""
        return "\r\n".join((f"{line} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more, "", "")).encode("latin-1")

    def raw(self, request: bytes, seconds: float = 10.0) -> bytes:
        """All that it answers to some bytes until it closes the connection."""
        with self.connect(seconds) as line:
            line.sendall(request)
            return rest(line)

    def get(self, path: str, *more: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to one request."""
        found = self.raw(self.head(f"GET {path}", "Connection: close", *more))
        head, _, body = found.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers, body


def next_answer(line: socket.socket) -> bytes:
    """The next answer on a connection, head and body; what comes when it is closed."""
    found = b""
    while piece := line.recv(65_536):
        found += piece
        head, end, body = found.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: ([0-9]+)", head)
        if end and length and len(body) >= int(length[1]):
            break
    return found


def rest(line: socket.socket) -> bytes:
    """All that still comes on a connection; one that is reset gives nothing more."""
    found = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while piece := line.recv(65_536):
            found += piece
    return found


@contextlib.contextmanager
def serving(folder: Path, *args: str, patch: str = "", is_new: bool = False, **settings: str) -> Iterator[Running]:
    """`engine serve` over the indexes in a folder; patch is run before it begins; is_new: not forked, but started."""
    output = folder.parent / f"output-{uuid.uuid4().hex}"
    environment = {name: value for name, value in os.environ.items() if name not in ("ENGINE_INDEX", "ENGINE_TOKEN")}
    environment |= {"ENGINE_INDEXES": str(folder), "PYTHONPATH": str(ROOT), **settings}
    arguments = ["serve", "--port", "0", *args]
    process: subprocess.Popen[bytes] | Forked
    if is_new:
        with output.open("wb") as file:
            command = [sys.executable, "-m", "engine", *arguments]
            process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    else:
        process = find_warm_process().fork(arguments, (output, output), environment, patch=patch)
    try:
        yield Running(process, port_of(process, output), output)
    finally:
        process.kill()
        process.wait(timeout=20)


def port_of(process: subprocess.Popen[bytes] | Forked, output: Path) -> int:
    """The port that a server says that it listens at."""
    for _ in range(6000):
        said = output.read_text() if output.exists() else ""
        if found := re.search(r"^http://127\.0\.0\.1:([0-9]+)/ serves ", said, re.MULTILINE):
            return int(found[1])
        assert process.poll() is None, output.read_text()
        time.sleep(0.01)
    pytest.fail(f"the server does not begin: {output.read_text()}")


def parsed(text: str) -> dict[str, object]:
    """Strict JSON: without NaN and infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    found: dict[str, object] = json.loads(text, parse_constant=refuse)
    return found


def error_of(response: SimpleNamespace, status: int, code: str) -> str:
    """The message of an error in JSON."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/json"
    content = parsed(response.text)
    error = content["error"]
    assert set(content) == {"error"} and set(error) == {"code", "message"}  # type: ignore[call-overload]
    assert error["code"] == code  # type: ignore[index]
    return str(error["message"])  # type: ignore[index]


def indexed(folder: IndexFolder, rows: Sequence[dict[str, object]], **order: object) -> None:
    """Index rows into an index with its own encoder."""
    source = jsonl(folder.path.parent.parent / "rows.jsonl", rows)
    index_sources(folder, order_of(source, **order), silent)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> IndexFolder:
    """The toy index with a few records of many fields, generation 3; not to be written to."""
    base = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_CACHE", str(base / "cache"))
        folder = IndexFolder(base / "indexes" / "toy")
        shutil.copytree(CURRENT, folder.path)
        indexed(folder, ROWS)
    return folder


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy index as it was first, searched exactly; not to be written to."""
    path = tmp_path_factory.mktemp("served-old") / "indexes" / "old"
    copy_toy(path)
    return path


@pytest.fixture(scope="session")
def client(library: IndexFolder, old: Path) -> Iterator[TestClient]:
    """A client of a site that serves both."""
    with client_of(library.path, old) as found:
        yield found


@pytest.fixture(scope="session")
def app(client: TestClient) -> ASGIApp:
    """The site itself."""
    return client.app


@pytest.fixture(scope="session")
def index(library: IndexFolder) -> Iterator[Index]:
    """What the site should answer, asked directly."""
    with open_index(library.path) as found:
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> IndexFolder:
    """A private copy of the toy index of the newest format, generation 2, at tmp_path/indexes/toy."""
    folder = IndexFolder(tmp_path / "indexes" / "toy")
    shutil.copytree(CURRENT, folder.path)
    return folder


@pytest.fixture
def publish(fresh: IndexFolder) -> Callable[..., None]:
    """Index rows into the private copy: publish(row, …)."""

    def run(*rows: dict[str, object], **order: object) -> None:
        indexed(fresh, rows, **order)

    return run
