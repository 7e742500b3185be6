"""Fetch PubMed's update files from a mirror: checked by MD5, resumable, one request at a time.

Used by nightly_reindex. A file appears under its own name only when all of it is there and its MD5 is right; until then
it is NAME.part, which the next run goes on with.
"""

from __future__ import annotations

import ftplib
import hashlib
import http.client
import os
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

NAME = re.compile(r"pubmed\d\dn\d{4}\.xml\.gz")
MD5 = re.compile(r"\b[0-9a-fA-F]{32}\b")
AGENT = "abstract-engine nightly_reindex"
CHUNK = 1 << 20
LISTING_LIMIT = 32 << 20  # bytes; PubMed's listing has some hundred kilobytes
TRIES = 3  # per file, each going on where the last one broke off
GZIP = b"\x1f\x8b"
SCHEMES = ("http", "https", "ftp")
RECHECKED = 5  # newest files whose MD5 is asked again every time: PubMed has replaced a file the day after


class MirrorError(Exception):
    """The mirror could not be read, or what it gave is not what it should be."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where update files come from and how gently they are asked for."""

    url: str  # of the folder, http, https or ftp
    timeout: float = 60.0  # seconds without a byte before a server counts as hanging
    pause: float = 0.5  # seconds between requests
    back_off: float = 5.0  # seconds before a second try, doubled for each further one


class Stream(Protocol):
    """Bytes on their way."""

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""
        ...

    def close(self) -> None:
        """End the transfer."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is being sent."""

    stream: Stream
    start: int  # the byte at which it really starts: 0 where the server can't resume
    size: int | None  # of the whole file, where the server says


class Transfer(Protocol):
    """How bytes come from a mirror: over HTTP or FTP."""

    def names(self) -> list[str]:
        """Names of the files in the folder."""
        ...

    def open(self, name: str, start: int) -> Opened:
        """Begin to receive a file, from some byte on if the server can."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class OverHttp:
    """A folder listing in HTML, files with Range requests."""

    def __init__(self, mirror: Mirror) -> None:
        self.base = mirror.url if mirror.url.endswith("/") else mirror.url + "/"
        self.timeout = mirror.timeout

    def request(self, url: str, **headers: str) -> http.client.HTTPResponse:
        """Open one address; transfer() has seen to it that it is http or https."""
        asked = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers})
        found: http.client.HTTPResponse = urllib.request.urlopen(asked, timeout=self.timeout)
        return found

    def names(self) -> list[str]:
        """Names in the links of the listing."""
        with closing(self.request(self.base)) as listing:
            text = listing.read(LISTING_LIMIT).decode("utf-8", "replace")
        return re.findall(r'href="(?:[^"]*/)?([^"/]+)"', text)

    def open(self, name: str, start: int) -> Opened:
        """Ask for a file, or for the rest of it."""
        url = urllib.parse.urljoin(self.base, name)
        try:
            found = self.request(url, **({"Range": f"bytes={start}-"} if start else {}))
        except urllib.error.HTTPError as err:
            if err.code != 416:  # nothing is left after `start`: begin again
                raise
            err.close()
            found = self.request(url)
        resumed = found.status == 206 and (found.headers["Content-Range"] or "").startswith(f"bytes {start}-")
        begin = start if resumed else 0
        length = found.headers["Content-Length"]
        return Opened(found, begin, begin + int(length) if length and length.isdigit() else None)

    def close(self) -> None:
        """Every request has its own connection."""


class OverFtp:
    """An FTP folder, anonymous unless the address says otherwise."""

    def __init__(self, mirror: Mirror) -> None:
        parts = urllib.parse.urlsplit(mirror.url)
        self.ftp = ftplib.FTP(timeout=mirror.timeout)
        self.ftp.connect(parts.hostname or "", parts.port or ftplib.FTP_PORT)
        self.ftp.login(parts.username or "anonymous", parts.password or "anonymous@")
        self.ftp.cwd(urllib.parse.unquote(parts.path) or "/")
        self.ftp.voidcmd("TYPE I")

    def names(self) -> list[str]:
        """Names as the server lists them."""
        return [name.rsplit("/", 1)[-1] for name in self.ftp.nlst()]

    def open(self, name: str, start: int) -> Opened:
        """Retrieve a file, or the rest of it."""
        self.ftp.voidcmd("TYPE I")
        size = self.ftp.size(name)
        start = start if size is not None and start < size else 0
        data = self.ftp.transfercmd(f"RETR {name}", rest=start or None)
        return Opened(FtpStream(data, self.ftp), start, size)

    def close(self) -> None:
        """End the session."""
        self.ftp.close()


class FtpStream:
    """The bytes of one file; closing it also takes the server's word that it was all."""

    def __init__(self, data: socket.socket, ftp: ftplib.FTP) -> None:
        self.data, self.ftp = data, ftp

    def read(self, size: int, /) -> bytes:
        """The next bytes; none at the end."""
        return self.data.recv(size)

    def close(self) -> None:
        """End the transfer."""
        self.data.close()
        self.ftp.voidresp()


@contextmanager
def transfer(mirror: Mirror) -> Iterator[Transfer]:
    """A connection to the mirror.

    Raises:
        MirrorError: an address of another kind.
    """
    scheme = urllib.parse.urlsplit(mirror.url).scheme.lower()
    if scheme not in SCHEMES:  # urllib would open file:// as well
        raise MirrorError(f"{mirror.url!r} is no address of a mirror: expected {', '.join(SCHEMES)}")
    found: Transfer = OverFtp(mirror) if scheme == "ftp" else OverHttp(mirror)
    try:
        yield found
    finally:
        found.close()


def fetch_updates(mirror: Mirror, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Fetch the update files that are not in the folder yet, oldest first; returns their names.

    Each is there when it is returned, whatever happens to a later one.

    Raises:
        MirrorError: the mirror can't be reached, hangs, or gives something else than it should.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = listed(mirror)
    there = [name for name in names if (folder / name).exists()]
    missing = [name for name in names if name not in set(there)]
    missing += [name for name in there[-RECHECKED:] if replaced(mirror, name, folder)]
    say(f"mirror: {len(names):,} update files, {len(missing):,} to fetch")
    fetched = []
    for name in sorted(missing):
        time.sleep(mirror.pause)
        fetch(mirror, name, folder)
        say(f"mirror: {name}, {(folder / name).stat().st_size:,} bytes")
        fetched.append(name)
    return fetched


def listed(mirror: Mirror) -> list[str]:
    """Names of the update files on the mirror, oldest first.

    Raises:
        MirrorError: it can't be read, or lists none.
    """
    with speaking_of(mirror.url), transfer(mirror) as connection:
        names = sorted({name for name in connection.names() if NAME.fullmatch(name)})
    if not names:
        raise MirrorError(f"{mirror.url} lists no file like pubmed26n1300.xml.gz. Is it the folder updatefiles/?")
    return names


def fetch(mirror: Mirror, name: str, folder: Path) -> None:
    """Fetch one file, in several tries.

    Raises:
        MirrorError: the last try failed.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with transfer(mirror) as connection:
                with speaking_of(f"{mirror.url.rstrip('/')}/{name}.md5"):
                    wanted = md5_of(connection, name)
                with speaking_of(f"{mirror.url.rstrip('/')}/{name}"):
                    fetch_once(connection, name, folder, wanted)
            return
        except MirrorError:
            if attempt == TRIES:
                raise
            time.sleep(mirror.back_off * 2 ** (attempt - 1))


def replaced(mirror: Mirror, name: str, folder: Path) -> bool:
    """Whether the mirror has another file under this name now than the one that is here.

    Raises:
        MirrorError: the mirror can't be read.
    """
    time.sleep(mirror.pause)
    with speaking_of(f"{mirror.url.rstrip('/')}/{name}.md5"), transfer(mirror) as connection:
        return md5_of(connection, name) != local_md5(folder / name)


def local_md5(path: Path) -> str:
    """The MD5 of a file here."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of(connection: Transfer, name: str) -> str:
    """The MD5 that the mirror states beside a file.

    Raises:
        MirrorError: it states none.
    """
    opened = connection.open(f"{name}.md5", 0)
    content = b""
    with closing(opened.stream):
        while len(content) < CHUNK and (chunk := opened.stream.read(4096)):
            content += chunk
    text = content.decode("ascii", "replace")
    found = MD5.search(text)
    if found is None:
        raise MirrorError(f"{name}.md5 holds no MD5: {text.strip()[:60]!r}")
    return found[0].lower()


def fetch_once(connection: Transfer, name: str, folder: Path, wanted: str) -> None:
    """Fetch what is missing of one file and put it in place.

    Raises:
        MirrorError: it broke off; or it is not gzip, or its MD5 is another one, and what was fetched is thrown away.
    """
    part = folder / f"{name}.part"
    start = part.stat().st_size if part.exists() else 0
    opened = connection.open(name, start)
    with part.open("r+b" if opened.start else "wb") as file, closing(opened.stream):
        file.seek(opened.start)
        file.truncate()
        while chunk := opened.stream.read(CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        if opened.size is not None and file.tell() < opened.size:
            raise MirrorError(f"{name}: broke off after {file.tell():,} of {opened.size:,} bytes, which are kept")
    check(part, name, wanted)
    part.replace(folder / name)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(part: Path, name: str, wanted: str) -> None:
    """Compare a fetched file with its MD5; throw it away when it is another one.

    Raises:
        MirrorError: it is not gzip, or its MD5 is another one.
    """
    with part.open("rb") as file:
        head = file.read(64)
    found = local_md5(part)
    if found == wanted:
        return
    part.unlink()
    if not head.startswith(GZIP):
        raise MirrorError(f"{name}: the server sent {head[:40]!r} and not gzip. Nothing of it was kept")
    raise MirrorError(f"{name}: its MD5 is {found}, the mirror states {wanted}. Nothing of it was kept")


@contextmanager
def speaking_of(what: str) -> Iterator[None]:
    """Turn what can go wrong on a network into one line.

    Raises:
        MirrorError: something went wrong.
    """
    try:
        yield
    except urllib.error.HTTPError as err:
        err.close()
        raise MirrorError(f"{what}: the server answered {err.code} {err.reason}") from err
    except TimeoutError as err:
        raise MirrorError(f"{what}: no answer in time; the server hangs or is out of reach") from err
    except (OSError, EOFError, http.client.HTTPException, ftplib.Error) as err:
        reason = getattr(err, "reason", None) or err
        if isinstance(reason, TimeoutError):
            raise MirrorError(f"{what}: no answer in time; the server hangs or is out of reach") from err
        raise MirrorError(f"{what}: {reason or type(err).__name__}") from err
