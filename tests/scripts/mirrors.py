"""Mirrors of update files on this machine: HTTP with every fault a server can have, and FTP."""

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
    asked: list[tuple[str, str]] = field(default_factory=list)  # (name, Range header)
    url: str = ""

    def add(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def listing(self) -> bytes:
        names = [n for name in self.files for n in (name, f"{name}.md5")] + ["README.txt", "stats/"]
        return "".join(f'<a href="{name}">{name}</a>\n' for name in names).encode()

    def body(self, name: str) -> bytes | None:
        if name == "":
            return self.listing()
        if name.endswith(".md5"):
            plain = name.removesuffix(".md5")
            digest = self.md5.get(plain, hashlib.md5(self.files[plain]).hexdigest())
            return f"MD5({plain})= {digest}\n".encode()
        if name in self.html:
            return b"<html><body>Please log in</body></html>"
        return self.files.get(name)


def handler(shelf: Shelf) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            name = self.path.rsplit("/", 1)[-1]
            asked = self.headers.get("Range", "")
            shelf.asked.append((name, asked))
            if name in shelf.hang:
                time.sleep(3)
                return
            if shelf.errors.get(name):
                self.send_error(shelf.errors[name].pop(0))
                return
            body = shelf.body(name)
            if body is None:
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and shelf.resumes else 0
            if start >= len(body) > 0 and asked:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            cuts = shelf.cut.get(name)
            self.wfile.write(body[start : cuts.pop(0)] if cuts else body[start:])

    return Handler


@contextmanager
def http_mirror(shelf: Shelf) -> Iterator[Shelf]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(shelf))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    shelf.url = f"http://127.0.0.1:{server.server_address[1]}/pubmed/updatefiles/"
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
