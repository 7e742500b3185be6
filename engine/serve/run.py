"""Run the site on a socket until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from engine.errors import EngineError
from engine.serve.app import build_app
from engine.serve.http.access import bracket_host, build_access
from engine.serve.http.connection import Connection
from engine.serve.http.limits import MAX_HEAD

_KEEP_ALIVE = 20  # seconds that a connection stays open between two requests
_GRACE = 5  # seconds that answers under way have to finish


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, and who may ask."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any that is free
    names: tuple[str, ...] = ()  # that the server is reached by beside its own
    token: str | None = None
    origins: tuple[str, ...] = ()  # of pages elsewhere that may read answers


class Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready
        self.is_interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note that it is to end, and by what."""
        self.is_interrupted = sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self.ready()


def serve(folders: Sequence[Path], address: Address, ready: Callable[[str], None]) -> None:
    """Serve indexes until SIGINT or SIGTERM; ready is called with the address of the page once it answers.

    Raises:
        UsageError: an address that needs a token or a name.
        EngineError: the address is taken, or an index can't be opened.
        KeyboardInterrupt: it was ended by SIGINT.
    """
    with _listen_at(address) as listener:
        port = listener.getsockname()[1]
        access = build_access(address.host, port, names=address.names, token=address.token, origins=address.origins)
        config = uvicorn.Config(
            build_app(folders, access),
            http=Connection,
            ws="none",
            lifespan="on",
            access_log=False,  # it would hold what people search
            server_header=False,
            log_level="warning",
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEAD,
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        url = f"http://{bracket_host(address.host)}:{port}/"
        server = Server(config, lambda: ready(url))
        server.run(sockets=[listener])
        if server.is_interrupted:  # which is lost where the loop ends before it is told
            raise KeyboardInterrupt


@contextlib.contextmanager
def _listen_at(address: Address) -> Iterator[socket.socket]:
    """A socket bound to an address.

    Raises:
        EngineError: the address is taken or is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(address.host.strip("[]"), address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as err:
        raise EngineError(f"--host {address.host} is no address of this machine: {err.strerror or err}") from err
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
        except OSError as err:
            where = f"{address.host}:{address.port}"
            raise EngineError(f"{where} can't be listened at: {err.strerror}. Try another: --port 0") from err
        yield listener
