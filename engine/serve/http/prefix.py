"""The path of the site behind a proxy: removed from requests before all else, and put before every link."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
from collections.abc import Collection, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from engine.errors import UsageError

HEADER = "X-Forwarded-Prefix"
log = logging.getLogger("engine.serve")
_MAX_LENGTH = 200  # characters
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")  # no segment is "." or ".."
_EXPECTED = "a path like /search, of letters, digits and . _ ~ -"
_ROOT: ContextVar[str] = ContextVar("root_path", default="")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def get_root() -> str:
    """Return the path of the site in the request that is being answered, like "/search"; "" at the top of its host."""
    return _ROOT.get()


@contextlib.contextmanager
def enter_root(root: str) -> Iterator[None]:
    """Put all links under a path while a request is answered."""
    token = _ROOT.set(root)
    try:
        yield
    finally:
        _ROOT.reset(token)


def link(path: str) -> str:
    """Return the address of a page, given its path within the site; a path that doesn't begin with "/" is unchanged."""
    return get_root() + path if path.startswith("/") else path


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """The path of the site, and the proxies that may name another one in X-Forwarded-Prefix."""

    root_path: str = ""  # "" at the top of its host
    trusted: tuple[_Network, ...] = ()

    def is_trusted(self, peer: str) -> bool:
        """Return whether an address is one of a trusted proxy; False if it is no IP address."""
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # an IPv4 client of a socket for both
        return any((mapped or address) in network for network in self.trusted)


def build_proxy_rules(root_path: str = "", proxies: Iterable[str] = ()) -> ProxyRules:
    """Return the rules for a site at root_path, with the addresses or networks of its proxies.

    Raises:
        UsageError: the path is malformed, or a proxy is neither an address nor a network.
    """
    return ProxyRules(_tidy_path(root_path, "--root-path"), tuple(map(_read_network, proxies)))


def _tidy_path(path: str, name: str) -> str:
    """Return a path without its last slash; name is what gave it.

    Raises:
        UsageError: it is malformed.
    """
    tidy = path.removesuffix("/")
    if len(tidy) > _MAX_LENGTH or (tidy and not _PATH.fullmatch(tidy)):
        raise UsageError(f"{name} is {path[:80]!r}, expected {_EXPECTED}, {_MAX_LENGTH} characters at most")
    return tidy


def _read_network(text: str) -> _Network:
    """Return the network that a value of --trusted-proxy names; an address is a network of one.

    Raises:
        UsageError: it is neither.
    """
    try:
        return ipaddress.ip_network(text.strip().strip("[]"))
    except ValueError as err:
        raise UsageError(
            f"--trusted-proxy is {text[:80]!r}, expected an IP address or a network like 10.0.0.0/8 ({err})"
        ) from err


class Prefix:
    """The path of the site, which is removed from requests and put before links.

    Requests without it are the same: some proxies remove it themselves. So the path must not begin like a page.
    """

    def __init__(self, rules: ProxyRules, pages: Collection[str]) -> None:
        """Take the paths of the pages.

        Raises:
            UsageError: the path of the site begins like one of them.
        """
        self.rules = rules
        self.pages = frozenset(map(_get_first_segment, pages))
        self.has_warned = False
        self.check_root(rules.root_path, "--root-path")

    def find_root(self, scope: Scope) -> str:
        """Return the path of the site for a request: as its trusted proxy says, or else as configured.

        Raises:
            UsageError: the proxy gives a malformed path, or two.
        """
        values = [value for value in Headers(scope=scope).getlist(HEADER) if value.strip()]
        if not values:
            return self.rules.root_path
        peer = (scope.get("client") or ("",))[0]
        if not self.rules.is_trusted(peer):
            self.warn_of(peer)
            return self.rules.root_path
        if len(values) > 1:
            raise UsageError(f"{HEADER} was sent {len(values)} times, expected once")
        root = _tidy_path(values[0].strip(), HEADER)
        self.check_root(root, HEADER)
        return root

    def check_root(self, root: str, name: str) -> None:
        """Check that a path doesn't begin like a page; name is what gave it.

        Raises:
            UsageError: it does.
        """
        if root and _get_first_segment(root) in self.pages:
            raise UsageError(f"{name} is {root!r}, which begins like a page of the server. Choose a path like /engine")

    def warn_of(self, peer: str) -> None:
        """Report, once, that the header of a client that is no trusted proxy is ignored."""
        if not self.has_warned:
            self.has_warned = True
            who = peer or "a client without an address"
            log.warning("%s from %s is ignored. If that is your proxy: --trusted-proxy ADDRESS", HEADER, who)


def _get_first_segment(path: str) -> str:
    """Return the first segment of a path, without slashes."""
    return path.strip("/").partition("/")[0]


def strip_root(path: str, root: str) -> str:
    """Return the path within the site.

    >>> [strip_root(path, "/search") for path in ("/search/map", "/map", "/search", "/searching")]
    ['/map', '/map', '/', '/searching']
    """
    if not root or not (path == root or path.startswith(f"{root}/")):
        return path
    return path[len(root) :] or "/"
