"""Mirrors of update files on this machine: HTTP with every fault a server can have."""

import gzip
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Shelf:
    """What the server serves and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    md5: dict[str, str] = field(default_factory=dict)  # instead of the right one
    cut: dict[str, list[int]] = field(default_factory=dict)  # per answer: bytes after which the connection ends
    hang: set[str] = field(default_factory=set)
    html: set[str] = field(default_factory=set)
    errors: dict[str, list[int]] = field(default_factory=dict)  # per answer: a status instead of the file
    resumes: bool = True
    page: bytes | None = None  # instead of the listing
    headers: dict[str, str] = field(default_factory=dict)  # of the listing
    framing: dict[str, str] = field(default_factory=dict)  # how the end is told: "chunked", "none"; else by length
    login: str | None = None  # Authorization header that is required
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # (name, Range header)
    logins: list[str] = field(default_factory=list)  # Authorization headers that came
    queries: list[str] = field(default_factory=list)  # query strings that came
    url: str = ""

    def add(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def listing(self) -> bytes:
        if self.page is not None:
            return self.page
        names = [n for name in self.files for n in (name, f"{name}.md5")] + ["README.txt", "stats/"]
        return "".join(f'<a href="{name}">{name}</a>\n' for name in names).encode()

    def body(self, name: str) -> bytes | None:
        if name == "":
            return self.listing()
        if name.endswith(".md5"):
            plain = name.removesuffix(".md5")
            if plain not in self.files:
                return None
            digest = self.md5.get(plain, hashlib.md5(self.files[plain]).hexdigest())
            return f"MD5({plain})= {digest}\n".encode()
        if name in self.html:
            return b"<html><body>Please log in</body></html>"
        return self.files.get(name)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shelf: Shelf

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        path, _, query = self.path.partition("?")
        name = path.rsplit("/", 1)[-1]
        asked = self.headers.get("Range", "")
        self.shelf.asked.append((name, asked))
        self.shelf.queries.append(query)
        self.shelf.logins.append(self.headers.get("Authorization", ""))
        if name in self.shelf.hang:
            time.sleep(1)
        elif not self.misbehave(name):
            self.answer(name, asked)

    def misbehave(self, name: str) -> bool:
        if name in self.shelf.redirects:
            self.send_response(302)
            self.send_header("Location", self.shelf.redirects[name])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.shelf.login and self.headers.get("Authorization") != self.shelf.login:
            self.send_error(401)
        elif self.shelf.errors.get(name):
            self.send_error(self.shelf.errors[name].pop(0))
        else:
            return False
        return True

    def answer(self, name: str, asked: str) -> None:
        body = self.shelf.body(name)
        if body is None:
            self.send_error(404)
            return
        self.send_body(name, body, asked)

    def send_body(self, name: str, body: bytes, asked: str) -> None:
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.shelf.resumes else 0
        if start >= len(body) > 0 and asked:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for key, value in self.shelf.headers.items() if name == "" else ():
            self.send_header(key, value)
        self.send_framed(body[start:], self.shelf.framing.get(name, "length"), start, self.shelf.cut.get(name))

    def send_framed(self, rest: bytes, framing: str, start: int, cuts: list[int] | None) -> None:
        if framing == "length":
            self.send_header("Content-Length", str(len(rest)))
        elif framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = cuts.pop(0) - start if cuts else None
        sent = rest[:end]
        if framing == "chunked":
            sent = b"%x\r\n" % len(rest) + sent + (b"\r\n0\r\n\r\n" if end is None else b"")
        self.wfile.write(sent)


@contextmanager
def http_mirror(shelf: Shelf) -> Iterator[Shelf]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneShelf", (Handler,), {"shelf": shelf}))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    shelf.url = f"http://127.0.0.1:{server.server_address[1]}/pubmed/updatefiles/"
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def content(text: str) -> bytes:
    """A file that is gzip, some 40 bytes."""
    return gzip.compress(text.encode() * 1000, mtime=0)
