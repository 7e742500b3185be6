"""Access control: host names of the server, the access token, and other origins whose pages may read answers."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.errors import UsageError

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT = 80
_MIN_TOKEN = 16  # characters


@dataclass(frozen=True, slots=True)
class Access:
    """The host names, the token and the origins that requests are checked against."""

    hosts: frozenset[str]  # allowed values of the Host header, lower case, with the port unless it is the default
    token: str | None = None  # None: no token is required
    origins: frozenset[str] = frozenset()  # other origins whose pages may read answers, like "https://example.org"

    def is_known_host(self, host: str) -> bool:
        """Return whether a Host header names this server. Refusing other names prevents DNS rebinding."""
        return host.lower() in self.hosts

    def is_own(self, origin: str) -> bool:
        """Return whether an origin is the server itself."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and self.is_known_host(parts.netloc)

    def is_admitted(self, authorization: str) -> bool:
        """Return whether the Authorization header has the token: as Bearer, or as the Basic password of a browser."""
        if self.token is None:
            return True
        scheme, _, value = authorization.strip().partition(" ")
        token = value.strip()
        if scheme.lower() == "basic":
            try:
                token = base64.b64decode(token, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, ValueError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode("utf-8"))


def build_access(
    host: str, port: int, *, names: Iterable[str] = (), token: str | None = None, origins: Iterable[str] = ()
) -> Access:
    """Return the access rules of a server that listens on host and port; names are its further host names.

    Raises:
        UsageError: other machines can reach it, but the token or the host name is missing; or a token, name or origin
            is malformed.
    """
    local, names = _is_loopback(host), tuple(names)
    if token is not None and len(token) < _MIN_TOKEN:
        raise UsageError(
            f"the token has {len(token)} characters, expected {_MIN_TOKEN} or more. To make one: openssl rand -hex 32"
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token contains blanks or non-ASCII characters. To make one: openssl rand -hex 32")
    if not local and (token is None or not names):
        missing = "a token (ENGINE_TOKEN or --token-file)" if token is None else "a public host name (--allow-host)"
        raise UsageError(
            f"--host {host} can be reached from other machines, so {missing} is required. For example: "
            f"ENGINE_TOKEN=$(openssl rand -hex 32) engine serve --host {host} --allow-host search.example.org"
        )
    known = [*_LOOPBACK] if local or _is_every(host) else []
    known += [bracket_host(host)] if local else []
    bare = [name for name in known if port == _HTTP_PORT] + [_check_host_name(name) for name in names]
    hosts = (
        {f"{name}:{port}" for name in known} | set(bare) | {f"{name}:{port}" for name in map(_check_host_name, names)}
    )
    return Access(frozenset(name.lower() for name in hosts), token, frozenset(map(_check_origin, origins)))


def _is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_every(host: str) -> bool:
    """Return whether an address stands for all interfaces, so that local probes may use loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def bracket_host(host: str) -> str:
    """Return a host as written in URLs: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _check_host_name(name: str) -> str:
    """Return the value of --allow-host unchanged.

    Raises:
        UsageError: it is a URL, a pattern or blank.
    """
    if not name.strip() or set(name) & set("/*@ "):
        raise UsageError(f"--allow-host {name[:80]!r} is not a host name, expected one like search.example.org")
    return name


def _check_origin(text: str) -> str:
    """Return the value of --cors as browsers send an origin.

    Raises:
        UsageError: it is not an origin.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise UsageError(f"--cors {text[:80]!r} is not an origin, expected one like https://example.org")
    return f"{parts.scheme}://{parts.netloc}".lower()
