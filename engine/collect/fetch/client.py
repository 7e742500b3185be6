"""Requests to a mirror or a service: bounded, complete or an error, without secrets in messages."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import IO, TypeVar
from urllib.parse import urlsplit

from engine.collect.fetch.address import SCHEMES, MirrorAddress
from engine.errors import DownloadError

_CHUNK = 1 << 20
_TRIES = 3  # per file; each one resumes where the last one broke off
GZIP = b"\x1f\x8b"
_AGENT = "abstract-engine"
_INFLATE = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # Content-Encoding -> window bits of zlib
_WORTH_ANOTHER_TRY = {408, 425, 429}  # of 4xx
_LOGIN = {401, 403, 407}
_MAX_DETAIL = 64 << 10  # bytes of the body of an error answer

_T = TypeVar("_T")


class Cause(Enum):
    """Why a transfer failed, which decides what is tried next."""

    MIRROR = "mirror"  # no answer, a server error or a broken transfer: try again
    CONTENT = "content"  # not the content that the mirror states: try again
    REFUSED = "refused"  # trying again would not help: continue with the next file
    DISK = "disk"  # the local disk can't be written: stop


class TransferError(DownloadError):
    """One file could not be fetched."""

    def __init__(self, message: str, cause: Cause, *, wait: float = 0.0, detail: bytes = b"") -> None:
        super().__init__(message)
        self.cause = cause
        self.wait = wait  # seconds that the server asks to wait before the next try
        self.detail = detail  # start of the body of an error answer; it may repeat a secret, so it is never shown


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror of update files, with the limits and pauses of requests to it."""

    address: MirrorAddress
    timeout: float = 60.0  # seconds without a byte before a request fails
    pause: float = 0.5  # seconds between files
    back_off: float = 5.0  # seconds before the second try, doubled for each further one
    max_bytes: int = 2 << 30  # per file; PubMed's largest have about 100 MB
    max_seconds: float = 3600.0  # per file
    spare_bytes: int = 64 << 20  # disk space to leave free


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirect handler for http and https that never leaves https, and never sends the password to another server."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request for the new address.

        Raises:
            TransferError: the server redirects to an unsafe address, or a request whose fields would get lost.
        """
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if req.data is not None:  # its fields may hold a secret, and are meant for this server
            fp.close()
            target = f"{new.scheme}://{new.netloc.rpartition('@')[2]}"
            raise TransferError(f"redirected to {target}, which is not followed. Use that address", Cause.REFUSED)
        if new.scheme not in SCHEMES or "@" in new.netloc or (old.scheme, new.scheme) == ("https", "http"):
            fp.close()
            target = f"{new.scheme}://{new.netloc.rpartition('@')[2]}"
            raise TransferError(f"redirected to {target}, which is not followed: expected https", Cause.REFUSED)
        follow = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.get_header("Authorization")
        if follow is not None and login and old.netloc == new.netloc:  # the scheme is the same, or now https
            follow.add_unredirected_header("Authorization", login)
        return follow


def _build_opener() -> urllib.request.OpenerDirector:
    """Return an opener that only supports http and https, not file or ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def open_url(mirror: Mirror, name: str = "", form: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
    """Request a file of the mirror's folder, or its listing; the caller closes the response.

    A form (application/x-www-form-urlencoded) is sent by POST, so that its fields are in no address.
    """
    fields = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
    request = urllib.request.Request(mirror.address.build_url(name), form, headers=fields)
    if mirror.address.authorization:  # "unredirected", because urllib would send it to any server
        request.add_unredirected_header("Authorization", mirror.address.authorization)
    response: http.client.HTTPResponse = _build_opener().open(request, timeout=mirror.timeout)
    return response


@dataclass(frozen=True, slots=True)
class _SmallBody:
    """The complete body of a small response."""

    content: bytes
    url: str  # after redirects; may contain secrets
    charset: str | None
    has_length: bool  # whether the response marks its end; if not, it may have been cut short


def read_page(mirror: Mirror, name: str, limit: int, form: bytes | None = None) -> _SmallBody:
    """Request a small file, the listing for "", or the answer to a form, and return it unpacked.

    Raises:
        TransferError: it was cut short, has more than `limit` bytes, or has an unknown encoding.
    """
    with explain_failure(mirror, name), closing(open_url(mirror, name, form)) as response:
        if response.status != 200:
            raise TransferError(f"the server answered {response.status} {response.reason}", Cause.MIRROR)
        length = read_content_length(response)
        body = bytearray()
        for chunk in read_chunks(response, mirror.max_seconds):
            body += chunk
            if len(body) > limit:
                raise TransferError(f"more than {limit:,} bytes, expected fewer", Cause.REFUSED)
        if length is not None and len(body) != length:
            raise TransferError(f"broke off after {len(body):,} of {length:,} bytes", Cause.MIRROR)
        encoding = (response.headers["Content-Encoding"] or "identity").strip().lower()
        content = _decode_body(bytes(body), encoding, limit)
        charset = response.headers.get_content_charset()
        has_length = response.chunked or length is not None or encoding in _INFLATE
        return _SmallBody(content, response.geturl(), charset, has_length)


def read_content_length(response: http.client.HTTPResponse) -> int | None:
    """Return the length of the body in bytes as the server states it, or None."""
    text = response.headers["Content-Length"]
    return int(text) if text and text.isascii() and text.isdigit() and not response.chunked else None


def read_chunks(response: http.client.HTTPResponse, max_seconds: float) -> Iterator[bytes]:
    """Yield the body in chunks of at most 1 MiB. A transfer that breaks off yields fewer bytes than the server states.

    Raises:
        TransferError: the transfer takes longer than `max_seconds`.
    """
    end = time.monotonic() + max_seconds
    left = read_content_length(response)
    while left != 0 and (chunk := response.read1(_CHUNK if left is None else min(_CHUNK, left))):
        yield chunk
        left = None if left is None else left - len(chunk)
        if time.monotonic() > end:
            raise TransferError(f"not complete after {max_seconds:,.0f} seconds", Cause.MIRROR)


def _decode_body(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding; some servers compress even if the request excludes it.

    Raises:
        TransferError: the compressed data ends early, is broken or unpacks to more than `limit` bytes.
    """
    if body.startswith(GZIP):
        encoding = "gzip"
    if encoding not in _INFLATE:
        if encoding != "identity":
            raise TransferError(f"Content-Encoding {encoding[:40]!r}, expected none or gzip", Cause.REFUSED)
        return body
    inflater = zlib.decompressobj(_INFLATE[encoding])
    try:
        content = inflater.decompress(body, limit + 1)
    except zlib.error as err:
        raise TransferError(f"broken {encoding} data", Cause.CONTENT) from err
    if len(content) > limit:
        raise TransferError(f"more than {limit:,} bytes, expected fewer", Cause.REFUSED)
    if not inflater.eof:
        raise TransferError(f"the {encoding} data ends early", Cause.MIRROR)
    return content


@contextmanager
def explain_failure(mirror: Mirror, name: str = "") -> Iterator[None]:
    """Convert network errors inside the block to a one-line message with the address and without secrets.

    Raises:
        TransferError: an error occurred.
    """
    wait, detail = 0.0, b""
    try:
        yield
    except TransferError as err:
        message, cause, wait, detail = str(err), err.cause, err.wait, err.detail
    except urllib.error.HTTPError as err:
        message, cause = _explain_status(err.code, str(err.reason))
        wait, detail = _read_wait(err.headers["Retry-After"]), _read_detail(err)
    except (OSError, EOFError, ValueError, http.client.HTTPException) as err:
        reason = getattr(err, "reason", None) or err
        cause = Cause.MIRROR
        if isinstance(reason, TimeoutError):
            message = "no answer in time; the server hangs or is out of reach"
        elif isinstance(reason, http.client.IncompleteRead):
            message = "broke off before its end"
        else:
            message = str(reason) or type(reason).__name__
    else:
        return
    shown = mirror.address.describe(name)
    text = message if shown in message else f"{shown}: {mirror.address.hide(message)}"
    # "from None": the exception itself may contain the address with its secrets
    raise TransferError(text, cause, wait=wait, detail=detail) from None


def _read_wait(text: str | None) -> float:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; 0 where it asks for none."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 0.0


def _read_detail(error: urllib.error.HTTPError) -> bytes:
    """Return the start of the body of an error answer, as much as can be read, and close it."""
    with error, suppress(OSError, ValueError, http.client.HTTPException):
        return error.read(_MAX_DETAIL)
    return b""


def _explain_status(code: int, reason: str) -> tuple[str, Cause]:
    """Return the message and the cause for an HTTP error status."""
    permanent = 400 <= code < 500 and code not in _WORTH_ANOTHER_TRY
    advice = ". Check the user name and password in the url of index.toml" if code in _LOGIN else ""
    return f"the server answered {code} {reason}{advice}", Cause.REFUSED if permanent else Cause.MIRROR


def try_again(mirror: Mirror, action: Callable[[], _T]) -> _T:
    """Call an action until it succeeds, at most three times.

    Raises:
        TransferError: the last try failed, or the error is one that another try can't fix.
    """
    for attempt in range(_TRIES - 1):
        try:
            return action()
        except TransferError as err:
            if err.cause in (Cause.REFUSED, Cause.DISK):
                raise
        time.sleep(mirror.back_off * 2**attempt)
    return action()
