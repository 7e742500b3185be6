"""The server process: listens on a socket and serves the site until it is stopped."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import uvicorn

from engine.errors import EngineError
from engine.platform import prepare_listener
from engine.serve.app import build_app
from engine.serve.http.access import bracket_host, build_access
from engine.serve.http.connection import Connection
from engine.serve.http.limits import MAX_HEAD
from engine.serve.http.prefix import build_proxy_rules
from engine.serve.work.openreview import ReviewRules

_KEEP_ALIVE = 20  # seconds that a connection stays open between two requests
_SWITCH_SECONDS = 0.0005  # after which a thread lets another one run; Python's own 5 ms add up for whoever decides
_GRACE = 5  # seconds for running requests to finish at shutdown


@dataclass(frozen=True, slots=True)
class Address:
    """The address to listen on, and who may send requests."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free port
    names: tuple[str, ...] = ()  # further host names of the server
    token: str | None = None
    origins: tuple[str, ...] = ()  # other origins whose pages may read answers
    root_path: str = ""  # path of the site behind a proxy; "" at the top of its host
    proxies: tuple[str, ...] = ()  # addresses or networks of proxies that may name another path
    reviewers: Mapping[str, str] = field(default_factory=dict)  # name and token of each reviewer


class Server(uvicorn.Server):
    """A uvicorn server that calls back when it is ready and notes whether SIGINT ended it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready
        self.is_interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note whether the signal is SIGINT, and begin to shut down."""
        self.is_interrupted = sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer requests, and report that the server is ready."""
        await super().startup(sockets)
        if self.started:
            self.ready()


def serve(
    folders: Sequence[Path], address: Address, ready: Callable[[str], None], review: ReviewRules | None = None
) -> None:
    """Serve indexes until SIGINT or SIGTERM; call ready with the URL of the page once the server answers.

    With a review, the server keeps the decisions of its reviewers; without one, it writes nothing.

    Raises:
        UsageError: the address can be reached from other machines, and the token or the host name is missing; or the
            path or a proxy is malformed.
        EngineError: the address is in use, or an index can't be opened.
        KeyboardInterrupt: SIGINT ended the server.
    """
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):  # no stream of this system
        faulthandler.enable(all_threads=False)  # else a file that is cut off below the server ends it without a line
    if review is not None:  # work goes on in the background
        sys.setswitchinterval(_SWITCH_SECONDS)
    proxy = build_proxy_rules(address.root_path, address.proxies)
    with _listen_at(address) as listener:
        port = listener.getsockname()[1]
        access = build_access(
            address.host,
            port,
            names=address.names,
            token=address.token,
            origins=address.origins,
            reviewers=address.reviewers,
            writes=review is not None,
        )
        config = uvicorn.Config(
            build_app(folders, access, proxy=proxy, review=review),
            http=Connection,
            ws="none",
            lifespan="on",
            access_log=False,  # it would contain the search texts
            server_header=False,
            log_level="warning",
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEAD,
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        url = f"http://{bracket_host(address.host)}:{port}{proxy.root_path}/"
        server = Server(config, lambda: ready(url))
        server.run(sockets=[listener])
        if server.is_interrupted:  # uvicorn loses the signal if its loop ends first
            raise KeyboardInterrupt


@contextlib.contextmanager
def _listen_at(address: Address) -> Iterator[socket.socket]:
    """Yield a socket bound to an address.

    Raises:
        EngineError: the address is in use, or doesn't belong to this machine.
    """
    try:
        candidates = socket.getaddrinfo(address.host.strip("[]"), address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, socket_address = candidates[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as err:
        raise EngineError(f"--host {address.host} is not an address of this machine: {err.strerror or err}") from err
    with listener:
        try:
            prepare_listener(listener)
            listener.bind(socket_address)
        except OSError as err:
            where = f"{address.host}:{address.port}"
            raise EngineError(f"can't listen on {where}: {err.strerror}. To use any free port: --port 0") from err
        yield listener
