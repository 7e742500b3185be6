"""Who may ask: names under which the server is known, a token, and pages of other origins that may read answers."""

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
    """What a request must come with."""

    hosts: frozenset[str]  # values of the header Host, in small letters, with the port where it is part of the name
    token: str | None = None  # None: nobody is asked for one
    origins: frozenset[str] = frozenset()  # of pages elsewhere that may read answers: "https://example.org"

    def is_known_host(self, host: str) -> bool:
        """Whether the server goes by this name: a page elsewhere may have got its own name to point here."""
        return host.lower() in self.hosts

    def is_own(self, origin: str) -> bool:
        """Whether an origin is the server itself."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and self.is_known_host(parts.netloc)

    def is_admitted(self, authorization: str) -> bool:
        """Whether the header Authorization holds the token: as Bearer, or as the password of Basic, as browsers ask."""
        if self.token is None:
            return True
        scheme, _, value = authorization.strip().partition(" ")
        given = value.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, ValueError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode("utf-8"))


def build_access(
    host: str, port: int, *, names: Iterable[str] = (), token: str | None = None, origins: Iterable[str] = ()
) -> Access:
    """Who may ask a server that listens at an address; names are further ones that it is reached by.

    Raises:
        UsageError: others than this machine could reach it, and there is no token or no name; or one that can't be.
    """
    local, names = _is_loopback(host), tuple(names)
    if token is not None and len(token) < _MIN_TOKEN:
        raise UsageError(f"the token has {len(token)} characters, expected {_MIN_TOKEN} or more: openssl rand -hex 32")
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token holds blanks or other than ASCII, expected neither: openssl rand -hex 32")
    if not local and (token is None or not names):
        missing = "a token (ENGINE_TOKEN or --token-file)" if token is None else "the name it is reached by"
        raise UsageError(
            f"--host {host} can be reached from other machines, which needs {missing}. For example: "
            f"ENGINE_TOKEN=$(openssl rand -hex 32) engine serve --host {host} --allow-host search.example.org"
        )
    known = [*_LOOPBACK] if local or _is_every(host) else []
    known += [bracket_host(host)] if local else []
    bare = [name for name in known if port == _HTTP_PORT] + [_check_host_name(name) for name in names]
    hosts = (
        {f"{name}:{port}" for name in known} | set(bare) | {f"{name}:{port}" for name in map(_check_host_name, names)}
    )
    return Access(frozenset(one.lower() for one in hosts), token, frozenset(map(_check_origin, origins)))


def _is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_every(host: str) -> bool:
    """Whether an address stands for all of this machine, so that probes on it may use loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def bracket_host(host: str) -> str:
    """A host as URLs have it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _check_host_name(name: str) -> str:
    """A name for --allow-host as given.

    Raises:
        UsageError: it is a URL, a pattern or blank.
    """
    if not name.strip() or set(name) & set("/*@ "):
        raise UsageError(f"--allow-host {name[:80]!r} is no name of a host, expected one like search.example.org")
    return name


def _check_origin(text: str) -> str:
    """An origin as browsers send it.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise UsageError(f"--cors {text[:80]!r} is no origin, expected one like https://example.org")
    return f"{parts.scheme}://{parts.netloc}".lower()
