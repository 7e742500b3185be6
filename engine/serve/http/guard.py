"""The outermost middleware: refuses requests not meant for this server, and adds security headers to responses."""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.errors import UsageError
from engine.serve.http.access import Access, is_review_path
from engine.serve.http.failures import BodyError, Failure
from engine.serve.http.limits import BODY_SECONDS, MAX_BODY, MAX_HEAD
from engine.serve.http.prefix import Prefix, enter_root, strip_root

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",  # a search text can be about patients
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_REFERRER_OF_FORMS = "same-origin"  # with no-referrer, browsers send "Origin: null" with the forms of a page
_SAFE = ("GET", "HEAD", "OPTIONS")
_OPEN = ("/healthz", "/readyz")  # need no token
_CHALLENGE = (("WWW-Authenticate", 'Bearer, Basic realm="abstract-engine", charset="UTF-8"'),)
_PREFLIGHT = (  # answer to the preflight request of an allowed origin
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match"),
    ("Access-Control-Max-Age", "600"),
)


class Guard:
    """ASGI middleware that refuses requests not meant for this server and adds headers to every response."""

    def __init__(self, app: ASGIApp, access: Access, prefix: Prefix) -> None:
        self.app, self.access, self.prefix = app, access, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        root, malformed = self.find_root(scope)
        scope["path"] = strip_root(scope["path"], root)  # in place: the metrics name the page, too

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                caching = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                sent = MutableHeaders(scope=message)
                if is_review_path(scope["path"]):
                    sent.setdefault("Referrer-Policy", _REFERRER_OF_FORMS)
                _add_headers(sent, self.find_cors_origin(scope, headers), caching)
            await send(message)

        refusal = self.explain_refusal(scope, headers) or malformed
        if refusal is not None:
            await answer(refusal, scope, send_with_headers)
        elif self.is_preflight(scope, headers):
            await answer(Failure(HTTPStatus.NO_CONTENT, "", "", _PREFLIGHT), scope, send_with_headers)
        else:
            with enter_root(root):
                await self.app(scope, _limit_body(receive), send_with_headers)

    def find_root(self, scope: Scope) -> tuple[str, Failure | None]:
        """Return the path of the site for a request, and why it is refused if its proxy names a malformed one."""
        try:
            return self.prefix.find_root(scope), None
        except UsageError as err:
            return "", Failure(HTTPStatus.BAD_REQUEST, "bad_prefix", str(err))

    def explain_refusal(self, scope: Scope, headers: Headers) -> Failure | None:
        """Return why a request is refused; None if it is not."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.access.is_known_host(hosts[0]):
            host = ", ".join(hosts)[:80] or "none"
            message = f"The Host header is {host!r}, which is not a name of this server."
            return Failure(HTTPStatus.MISDIRECTED_REQUEST, "host", message)
        if _measure_head(scope) > MAX_HEAD:
            message = f"URL and headers are too long, expected {MAX_HEAD:,} bytes at most."
            return Failure(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_long", message)
        if self.is_preflight(scope, headers):  # browsers send it without the token
            return None
        if scope["path"] not in _OPEN and not self.access.is_admitted(headers.get("authorization", ""), scope["path"]):
            message = "An access token is required: Authorization: Bearer …"
            return Failure(HTTPStatus.UNAUTHORIZED, "token", message, _CHALLENGE)
        if scope["method"] not in _SAFE and self.is_foreign(scope, headers):
            return Failure(HTTPStatus.FORBIDDEN, "origin", "The request comes from a page of another site.")
        if (length := headers.get("content-length", "0")).isdecimal() and int(length[:20]) > MAX_BODY:
            return _respond_too_long()
        return None

    def is_preflight(self, scope: Scope, headers: Headers) -> bool:
        """Return whether a request is the CORS preflight of an allowed origin."""
        return scope["method"] == "OPTIONS" and bool(self.find_cors_origin(scope, headers))

    def is_foreign(self, scope: Scope, headers: Headers) -> bool:
        """Return whether the headers name a page of another site as sender. Programs send no such headers."""
        origin = headers.get("origin")
        if origin is not None:
            return not (self.access.is_own(origin) or self.find_cors_origin(scope, headers))
        return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")

    def find_cors_origin(self, scope: Scope, headers: Headers) -> str:
        """Return the other origin that may read the answer; "" if there is none. Nobody else's page reads a review."""
        origin = headers.get("origin", "")
        return origin if origin in self.access.origins and not is_review_path(scope["path"]) else ""


def _add_headers(headers: MutableHeaders, origin: str, caching: str) -> None:
    """Add the headers of every response; caching is the default of Cache-Control."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", caching)
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "ETag, Engine-Generation"
        headers.add_vary_header("Origin")


def _measure_head(scope: Scope) -> int:
    """Return the number of bytes of URL and headers."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope.get("raw_path") or b"") + len(scope["query_string"]) + fields


def _respond_too_long() -> Failure:
    """Return the failure of a body over the limit."""
    message = f"The body is too long, expected {MAX_BODY:,} bytes at most. Send several smaller requests."
    return Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_long", message)


def _limit_body(receive: Receive) -> Receive:
    """Return receive, wrapped so that a body that is too long or too slow raises BodyError."""
    n_bytes, is_complete, latest = 0, False, time.monotonic() + BODY_SECONDS

    async def receive_within_limits() -> Message:
        nonlocal n_bytes, is_complete
        if is_complete:  # the next message is the disconnect, which may come at any time
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), latest - time.monotonic())
        except TimeoutError as err:
            late = f"The body did not arrive within {BODY_SECONDS:g} seconds."
            raise BodyError(Failure(HTTPStatus.REQUEST_TIMEOUT, "slow_body", late)) from err
        n_bytes, is_complete = n_bytes + len(message.get("body", b"")), not message.get("more_body", False)
        if n_bytes > MAX_BODY:
            raise BodyError(_respond_too_long())
        return message

    return receive_within_limits


async def answer(failure: Failure, scope: Scope, send: Send) -> None:
    """Send a failure as JSON, without a body for status 204 and for HEAD."""
    body = b"" if failure.status == HTTPStatus.NO_CONTENT else json.dumps(failure.fields).encode()
    headers = [(name.lower().encode(), value.encode()) for name, value in failure.headers]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(failure.status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
