"""Secrets in web addresses, hidden wherever an address is shown: user names, passwords, query strings."""

from __future__ import annotations

import re

HIDDEN = "***"
_IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(\S*@)?([^\s?#]*)([?#]\S+)?")
_WHOLE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)?(.*@)?([^?#]*)([?#].+)?", re.DOTALL)


def redact_url(url: str) -> str:
    """Return an address with its user name, password, query string and fragment hidden, even if it is malformed.

    >>> redact_url("https://ann:secret@example.org/pubmed/?token=1")
    'https://***@example.org/pubmed/?***'
    """
    return _WHOLE.sub(_hide, url, count=1)


def redact_urls(text: str) -> str:
    """Return a text with the secrets of all addresses in it hidden. Hides too much rather than too little."""
    return _IN_TEXT.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    """Return one address without its secrets."""
    scheme, login, place, query = match.groups(default="")
    return f"{scheme}{HIDDEN + '@' if login else ''}{place}{query[:1] + HIDDEN if query else ''}"
