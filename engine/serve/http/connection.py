"""The HTTP/1.1 connection of uvicorn, with limits on the number of connections and on slow clients.

Requests are read more strictly than h11 reads them, and what any client can cause is not logged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import urlsplit

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.serve.http.guard import HEADERS
from engine.serve.http.limits import HEAD_SECONDS, IDLE_SECONDS, MAX_CONNECTIONS, MAX_HEAD, MAX_IDLE, TAKE_SECONDS

_log = logging.getLogger("engine.serve.connection")
_log.setLevel(logging.ERROR)  # a warning for each malformed request or upgrade would let any client fill the log


class _StrictReader(h11.Connection):
    """The reader of requests, which takes targets in absolute form and refuses two lengths."""

    def next_event(self) -> Any:
        """Return the next event.

        Raises:
            h11.RemoteProtocolError: the request is malformed, or has both a length and a transfer coding.
        """
        event = super().next_event()
        if not isinstance(event, h11.Request):
            return event
        names = {name for name, _ in event.headers}
        if {b"content-length", b"transfer-encoding"} <= names:  # RFC 9112, 6.1: how requests are smuggled past proxies
            self._process_error(self.their_role)
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return _use_origin_form(event) if event.target[:4].lower() == b"http" else event


def _use_origin_form(request: h11.Request) -> h11.Request:
    """Return a request for "http://host/path" as one for "/path" of this host, which replaces the header Host.

    As RFC 9112, 3.2.2 wants it. Another target stays as it is.
    """
    try:
        parts = urlsplit(request.target.decode("ascii"))
    except ValueError:
        return request
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return request
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    headers.append((b"host", parts.netloc.rpartition("@")[2].encode("ascii")))
    version = request.http_version
    return h11.Request(method=request.method, target=target.encode("ascii"), headers=headers, http_version=version)


class Connection(H11Protocol):
    """A connection that is closed if a request or the reading of an answer takes too long; uvicorn waits for ever."""

    request_timer: asyncio.TimerHandle | None = None  # while a request arrives
    reading_timer: asyncio.TimerHandle | None = None  # while the client reads an answer

    idle_since = 0.0  # when the connection was opened or the last answer ended, in seconds of the loop

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.conn = _StrictReader(h11.SERVER, self.config.h11_max_incomplete_event_size or MAX_HEAD)
        self.logger = _log

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a new connection; where a client has too many without a request, or all have, close the oldest."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        others = [each for each in self.connections if isinstance(each, Connection) and each is not self]
        idle = [each for each in others if each.is_idle]
        ours = [each for each in idle if each.peer == self.peer and each.idle_since <= self.idle_since - IDLE_SECONDS]
        if len(ours) >= MAX_IDLE:
            _close_oldest(ours)
        elif len(others) >= MAX_CONNECTIONS:
            if not idle:
                transport.abort()
                return
            _close_oldest(idle)
        self.watch()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered, though the head of one may be on its way."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and not self.transport.is_closing()

    @property
    def peer(self) -> str:
        """The address of the client."""
        return self.client[0] if self.client else ""

    def _should_upgrade(self) -> bool:
        """Return False: an upgrade to WebSockets is not wanted, and the request is answered as any other."""
        return False

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        super().data_received(data)
        ahead = self.conn.their_state is h11.DONE and len(self.conn.trailing_data[0]) < MAX_HEAD
        if self.flow.read_paused and ahead:
            self.flow.resume_reading()  # else a disconnect after the start of the next request goes unnoticed
        self.watch()

    def on_response_complete(self) -> None:
        """Start the time limit of the next request after an answer, if some of it has arrived."""
        self.idle_since = self.loop.time()
        super().on_response_complete()
        self.watch()
        self.watch_reading()

    def pause_writing(self) -> None:
        """Pause until the client has read some of its answer."""
        super().pause_writing()
        self.watch_reading()

    def resume_writing(self) -> None:
        """Continue after the client has read some of its answer."""
        super().resume_writing()
        self.watch_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers of a closed connection."""
        self.unwatch()
        self.unwatch_reading()
        super().connection_lost(exc)

    def watch(self) -> None:
        """Limit the time for a first or started request, and for a body that nobody reads any more."""
        state = self.conn.their_state
        is_started = state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))
        is_unread = state is h11.SEND_BODY and self.cycle is not None and self.cycle.response_complete
        if not (is_started or is_unread):
            self.unwatch()
        elif self.request_timer is None:
            self.request_timer = self.loop.call_later(HEAD_SECONDS, self.give_up)

    def unwatch(self) -> None:
        """Stop the timer of the request."""
        if self.request_timer is not None:
            self.request_timer.cancel()
            self.request_timer = None

    def give_up(self) -> None:
        """Close a connection whose request did not arrive in time."""
        self.request_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def watch_reading(self) -> None:
        """Limit the time, from now on, in which the client must read some of its answer."""
        self.unwatch_reading()
        if size := self.transport.get_write_buffer_size():
            self.reading_timer = self.loop.call_later(TAKE_SECONDS, self.check_reading, size)

    def unwatch_reading(self) -> None:
        """Stop the timer of the answer."""
        if self.reading_timer is not None:
            self.reading_timer.cancel()
            self.reading_timer = None

    def check_reading(self, before: int) -> None:
        """Abort a connection that still has `before` bytes to send; closing it would wait until they are read."""
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self.watch_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer malformed HTTP with status 400 and the headers of every response."""
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        headers += [(b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _close_oldest(idle: list[Connection]) -> None:
    """Close the connection that has been idle for longest."""
    min(idle, key=lambda each: each.idle_since).transport.abort()
