"""The HTTP/1.1 connection of uvicorn, with limits on the number of connections and on slow clients."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.serve.http.guard import HEADERS
from engine.serve.http.limits import HEAD_SECONDS, MAX_CONNECTIONS, MAX_HEAD, TAKE_SECONDS


class Connection(H11Protocol):
    """A connection that is closed if a request or the reading of an answer takes too long; uvicorn waits for ever."""

    request_timer: asyncio.TimerHandle | None = None  # while a request arrives
    reading_timer: asyncio.TimerHandle | None = None  # while the client reads an answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a new connection, unless too many are open."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self.watch()

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        super().data_received(data)
        ahead = self.conn.their_state is h11.DONE and len(self.conn.trailing_data[0]) < MAX_HEAD
        if self.flow.read_paused and ahead:
            self.flow.resume_reading()  # else a disconnect after the start of the next request goes unnoticed
        self.watch()

    def on_response_complete(self) -> None:
        """Start the time limit of the next request after an answer, if some of it has arrived."""
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
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
