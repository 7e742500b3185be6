"""Address of a mirror, with its credentials kept apart from the parts that may be shown."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from engine.errors import UsageError
from engine.redaction import HIDDEN, redact_url, redact_urls

SCHEMES = ("https", "http")
_SAFE = "/%:@!$&'()*+,;=~"  # not quoted in a path
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_SHORTEST_SECRET = 4  # characters; a shorter one is hidden in addresses only, because it may be part of a word


@dataclass(frozen=True, slots=True)
class MirrorAddress:
    """Address of a mirror's folder. `str` and `repr` show no secret."""

    scheme: str
    host: str  # with the port, if one was given
    path: str  # of the folder, quoted; ends with "/"
    query: str = field(default="", repr=False)  # sent with every request
    login: tuple[str, str] | None = field(default=None, repr=False)  # user name and password

    def __str__(self) -> str:
        """Return the address without secrets."""
        return self.describe()

    def describe(self, name: str = "") -> str:
        """Return the address of a file in the folder, or of the folder, without secrets."""
        login = f"{HIDDEN}@" if self.login else ""
        return f"{self.scheme}://{login}{self.host}{self.path}{name}{f'?{HIDDEN}' if self.query else ''}"

    def build_url(self, name: str = "") -> str:
        """Return the address to request for a file in the folder, or for the folder; it may contain secrets."""
        return f"{self.scheme}://{self.host}{self.path}{name}{f'?{self.query}' if self.query else ''}"

    @property
    def authorization(self) -> str | None:
        """The Authorization header (HTTP Basic), or None if the address has no user name."""
        if self.login is None:
            return None
        return "Basic " + base64.b64encode(":".join(self.login).encode("utf-8")).decode("ascii")

    def hide(self, text: str) -> str:
        """Return a text without the secrets of this address and of any address in the text."""
        secrets = {self.query, *(value for _, value in parse_qsl(self.query))}
        if self.login:
            user, password = self.login
            secrets |= {password or user, quote(password or user, safe=""), (self.authorization or "")[6:]}
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, HIDDEN)
        return redact_urls(text)


def read_address(text: str) -> MirrorAddress:
    """Parse the address of a mirror's folder.

    Raises:
        UsageError: the text is not an http or https address. The message shows no secret.
    """
    text = text.strip()
    scheme, _, rest = text.partition("://")
    if scheme.lower() == "ftp":
        raise UsageError(_advise_https(text))
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        is_usable = False
    if not is_usable or not rest or _UNSAFE.search(text):
        raise UsageError(
            f"{redact_url(text)!r} is not the address of a mirror: expected https://HOST/FOLDER/. "
            "In a user name or password, write / ? # @ : % and blanks percent-encoded, like %2F"
        )
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    path = quote(parts.path, safe=_SAFE)
    return MirrorAddress(
        parts.scheme,
        host,
        path if path.endswith("/") else path + "/",
        parts.query,
        (unquote(user), unquote(password)) if login else None,
    )


def _advise_https(text: str) -> str:
    """Return the message for an ftp address."""
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2].partition(":")[0]
    advice = f"https://{host}{parts.path}"
    owner = "NCBI serves" if host.lower().endswith("nih.gov") else "Most such servers serve"
    return f"{redact_url(text)}: FTP is not supported. {owner} the same files over HTTPS. Use {advice}"
