"""One connection as uvicorn serves it, with limits on their number and on the time for requests and answers."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.serve.http.guard import HEADERS
from engine.serve.http.limits import HEAD_SECONDS, MAX_CONNECTIONS, MAX_HEAD, TAKE_SECONDS


class Connection(H11Protocol):
    """Closes a connection on which no whole request arrives, or no answer is taken, in time: uvicorn waits for ever."""

    waiting: asyncio.TimerHandle | None = None  # for a request
    taking: asyncio.TimerHandle | None = None  # of an answer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
        else:
            self.watch()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        super().data_received(data)
        ahead = self.conn.their_state is h11.DONE and len(self.conn.trailing_data[0]) < MAX_HEAD
        if self.flow.read_paused and ahead:
            self.flow.resume_reading()  # else it is not seen that a client goes which has begun another request
        self.watch()

    def on_response_complete(self) -> None:
        """After an answer: what has arrived of the next request counts from now."""
        super().on_response_complete()
        self.watch()
        self.watch_taking()

    def pause_writing(self) -> None:
        """Wait until the client has taken some of its answer."""
        super().pause_writing()
        self.watch_taking()

    def resume_writing(self) -> None:
        """Go on, now that the client has taken some."""
        super().resume_writing()
        self.watch_taking()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.unwatch()
        self.unwatch_taking()
        super().connection_lost(exc)

    def watch(self) -> None:
        """Give a request that has begun, or is the first, its time, and a body that is no longer read."""
        state = self.conn.their_state
        begun = state is h11.IDLE and (self.cycle is None or bool(self.conn.trailing_data[0]))
        unread = state is h11.SEND_BODY and self.cycle is not None and self.cycle.response_complete
        if not (begun or unread):
            self.unwatch()
        elif self.waiting is None:
            self.waiting = self.loop.call_later(HEAD_SECONDS, self.give_up)

    def unwatch(self) -> None:
        """Let the time be."""
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None

    def give_up(self) -> None:
        """Close a connection whose request did not arrive."""
        self.waiting = None
        if not self.transport.is_closing():
            self.transport.close()

    def watch_taking(self) -> None:
        """Give the client its time, from now on, to take some of what waits for it."""
        self.unwatch_taking()
        if size := self.transport.get_write_buffer_size():
            self.taking = self.loop.call_later(TAKE_SECONDS, self.look_at_taking, size)

    def unwatch_taking(self) -> None:
        """Let that time be."""
        if self.taking is not None:
            self.taking.cancel()
            self.taking = None

    def look_at_taking(self, before: int) -> None:
        """Cut a connection of which nothing was taken since so many bytes waited; closing it would wait for them."""
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self.watch_taking()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, with the headers that every response has."""
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
