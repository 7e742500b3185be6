"""Access control: host names of the server, access tokens, and other origins whose pages may read answers."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from engine.errors import UsageError

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HTTP_PORT = 80
_MIN_TOKEN = 16  # characters
_MAKE_TOKEN = "To make one: openssl rand -hex 32"
REVIEW = "/review"  # the path that the pages of a review begin with
API_REVIEW = "/api/v1/review"  # and that of what programs change on a server that keeps one


@dataclass(frozen=True, slots=True)
class Access:
    """The host names, the token and the origins that requests are checked against."""

    hosts: frozenset[str]  # allowed values of the Host header, lower case, with the port unless it is the default
    token: str | None = None  # None: no token is required
    origins: frozenset[str] = frozenset()  # other origins whose pages may read answers, like "https://example.org"
    reviewers: Mapping[str, str] = field(default_factory=dict)  # name of each reviewer who has a token -> the token
    is_local: bool = True  # reached from this machine only, unless a proxy forwards to it

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

    def is_admitted(self, authorization: str, path: str = "/") -> bool:
        """Return whether the Authorization header lets a client have a page.

        It is the access token or that of a reviewer, as Bearer or as the Basic password of a browser. Where reviewers
        have tokens, the pages of a review need one of these.
        """
        if self.reviewers and is_review_path(path):
            return self.find_reviewer(authorization) is not None
        if self.token is None and (self.is_local or not self.reviewers):
            return True
        given = _read_token(authorization)
        return _is_same(given, self.token) or self.find_reviewer(authorization) is not None

    def find_reviewer(self, authorization: str) -> str | None:
        """Return the name of the reviewer whose token the Authorization header has; None if it is nobody's."""
        given = _read_token(authorization)
        found = [name for name, token in self.reviewers.items() if _is_same(given, token)]  # always as many steps
        return found[0] if found else None


def is_review_path(path: str) -> bool:
    """Return whether a path is one of a review."""
    return any(path == root or path.startswith(f"{root}/") for root in (REVIEW, API_REVIEW))


def _read_token(authorization: str) -> str | None:
    """Return the token in an Authorization header, as Bearer or as the Basic password; None without one."""
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return None


def _is_same(given: str | None, token: str | None) -> bool:
    """Return whether a given token is the right one, in a time that does not tell how much of it is right."""
    if given is None or token is None:
        return False
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode("utf-8"))


def build_access(
    host: str,
    port: int,
    *,
    names: Iterable[str] = (),
    token: str | None = None,
    origins: Iterable[str] = (),
    reviewers: Mapping[str, str] | None = None,
    writes: bool = False,
) -> Access:
    """Return the access rules of a server that listens on host and port.

    names: its further host names.
    reviewers: name and token of each reviewer.
    writes: whether it keeps the decisions of a review.

    Raises:
        UsageError: other machines can reach it, but a token or the host name is missing; or a token, name or origin is
            malformed.
    """
    local, names, reviewers = _is_loopback(host), tuple(names), dict(reviewers or {})
    _check_tokens(token, reviewers)
    if not local and (not (token or reviewers) or not names):
        has_token = bool(token or reviewers)
        missing = "a public host name (--allow-host)" if has_token else "a token (ENGINE_TOKEN or --token-file)"
        raise UsageError(
            f"--host {host} can be reached from other machines, so {missing} is required. For example: "
            f"ENGINE_TOKEN=$(openssl rand -hex 32) engine serve --host {host} --allow-host search.example.org"
        )
    if writes and not reviewers and (not local or (names and token is None)):
        raise UsageError(
            "the review can be reached from other machines, so each reviewer needs a token. For example: "
            "openssl rand -hex 32 > ann.token, then engine serve --review NAME --reviewer ann=ann.token"
        )
    known = [*_LOOPBACK] if local or _is_every(host) else []
    known += [bracket_host(host)] if local else []
    bare = [name for name in known if port == _HTTP_PORT] + [_check_host_name(name) for name in names]
    hosts = (
        {f"{name}:{port}" for name in known} | set(bare) | {f"{name}:{port}" for name in map(_check_host_name, names)}
    )
    known_hosts, known_origins = frozenset(name.lower() for name in hosts), frozenset(map(_check_origin, origins))
    return Access(known_hosts, token, known_origins, reviewers, local)


def _check_tokens(token: str | None, reviewers: Mapping[str, str]) -> None:
    """Check the access token and those of reviewers.

    Raises:
        UsageError: one is too short, has blanks or other letters than ASCII, or is given twice.
    """
    given = [("the token", token)] if token is not None else []
    given += [(f"the token of the reviewer {name}", value) for name, value in reviewers.items()]
    for what, value in given:
        if len(value or "") < _MIN_TOKEN:
            raise UsageError(f"{what} has {len(value or '')} characters, expected {_MIN_TOKEN} or more. {_MAKE_TOKEN}")
        if not (value and value.isascii() and value.isprintable() and " " not in value):
            raise UsageError(f"{what} contains blanks or non-ASCII characters. {_MAKE_TOKEN}")
    owners: dict[str | None, str] = {}
    for what, value in given:
        if value in owners:
            raise UsageError(f"{what} is also {owners[value]}, expected another one. {_MAKE_TOKEN}")
        owners[value] = what


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
