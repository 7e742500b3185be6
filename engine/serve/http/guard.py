"""What every request and every response passes before and after anything else."""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.serve.http.access import Access
from engine.serve.http.failures import BodyError, Failure
from engine.serve.http.limits import BODY_SECONDS, MAX_BODY, MAX_HEAD

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",  # what is searched can be about patients
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/healthz", "/readyz")  # without a token
_CHALLENGE = (("WWW-Authenticate", 'Bearer, Basic realm="abstract-engine", charset="UTF-8"'),)
_PREFLIGHT = (  # what a browser is told before a page of an origin that may read answers asks
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match"),
    ("Access-Control-Max-Age", "600"),
)


class Guard:
    """Refuses requests that are not meant for this server, and gives every response the same headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                _add_headers(MutableHeaders(scope=message), self.find_cors_origin(headers), kept)
            await send(message)

        refused = self.explain_refusal(scope, headers)
        if refused is not None:
            await answer(refused, scope, dressed)
        elif self.is_preflight(scope, headers):
            await answer(Failure(HTTPStatus.NO_CONTENT, "", "", _PREFLIGHT), scope, dressed)
        else:
            await self.app(scope, _limit_body(receive), dressed)

    def explain_refusal(self, scope: Scope, headers: Headers) -> Failure | None:
        """Why a request is refused; None where it is not."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.access.is_known_host(hosts[0]):
            found = ", ".join(hosts)[:80] or "none"
            return Failure(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host",
                f"The name in Host is {found!r}, which is none of this server's.",
            )
        if _measure_head(scope) > MAX_HEAD:
            message = f"Address and headers are longer than the {MAX_HEAD:,} bytes that are taken."
            return Failure(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_long", message)
        if self.is_preflight(scope, headers):  # which comes without the token
            return None
        if scope["path"] not in _OPEN and not self.access.is_admitted(headers.get("authorization", "")):
            return Failure(HTTPStatus.UNAUTHORIZED, "token", "A token is needed: Authorization: Bearer …", _CHALLENGE)
        if scope["method"] not in _SAFE and self.is_foreign(headers):
            return Failure(HTTPStatus.FORBIDDEN, "origin", "The request comes from a page of another site.")
        if (length := headers.get("content-length", "0")).isdecimal() and int(length[:20]) > MAX_BODY:
            return _respond_too_long()
        return None

    def is_preflight(self, scope: Scope, headers: Headers) -> bool:
        """Whether a browser asks if a page of an origin that may read answers may ask."""
        return scope["method"] == "OPTIONS" and headers.get("origin", "") in self.access.origins

    def is_foreign(self, headers: Headers) -> bool:
        """Whether a browser says that a page of another site asks. Programs say nothing of the kind."""
        origin = headers.get("origin")
        if origin is not None:
            return not (self.access.is_own(origin) or origin in self.access.origins)
        return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")

    def find_cors_origin(self, headers: Headers) -> str:
        """The origin that may read the answer; "" for no other than this server's."""
        origin = headers.get("origin", "")
        return origin if origin in self.access.origins else ""


def _add_headers(headers: MutableHeaders, origin: str, kept: str) -> None:
    """Add what every response has; kept says whether a client may keep one that does not say so itself."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", kept)
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "ETag, Engine-Generation"
        headers.add_vary_header("Origin")


def _measure_head(scope: Scope) -> int:
    """Bytes of address and headers."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope.get("raw_path") or b"") + len(scope["query_string"]) + fields


def _respond_too_long() -> Failure:
    """The body is over the limit."""
    message = f"The body is longer than the {MAX_BODY:,} bytes that are taken. Ask for less at once."
    return Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_long", message)


def _limit_body(receive: Receive) -> Receive:
    """The same source of a body, which gives up on one that is too long or too slow."""
    taken, whole, latest = 0, False, time.monotonic() + BODY_SECONDS

    async def inner() -> Message:
        nonlocal taken, whole
        if whole:  # what comes now is that the client has gone, whenever that is
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), latest - time.monotonic())
        except TimeoutError as err:
            late = f"The body did not arrive within {BODY_SECONDS:g} seconds."
            raise BodyError(Failure(HTTPStatus.REQUEST_TIMEOUT, "slow_body", late)) from err
        taken, whole = taken + len(message.get("body", b"")), not message.get("more_body", False)
        if taken > MAX_BODY:
            raise BodyError(_respond_too_long())
        return message

    return inner


async def answer(failure: Failure, scope: Scope, send: Send) -> None:
    """Send what is to be said of a failure as JSON."""
    body = b"" if failure.status == HTTPStatus.NO_CONTENT else json.dumps(failure.fields).encode()
    headers = [(name.lower().encode(), value.encode()) for name, value in failure.headers]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(failure.status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
