"""Listing of a mirror's folder, as written by Apache, nginx, IIS, lighttpd or Python's http.server."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

import lxml.etree
import lxml.html

from engine.collect.fetch.client import Cause, Mirror, TransferError, explain_failure, read_page

NAME = re.compile(r"pubmed[0-9]{2}n[0-9]{4}\.xml\.gz")
_LIMIT = 32 << 20  # bytes; PubMed's listing has a few hundred kilobytes


def list_updates(mirror: Mirror) -> tuple[str, ...]:
    """Return the names of the update files in the mirror's folder, oldest first.

    Raises:
        TransferError: the listing can't be read, was cut short, or names no update file.
    """
    page = read_page(mirror, "", _LIMIT)
    with explain_failure(mirror):
        lowered = page.content.lower()
        if b"<html" in lowered and b"</html" not in lowered:
            raise TransferError("the listing has no end (</html>), so it was cut short", Cause.MIRROR)
        if b"<html" not in lowered and not page.has_length:
            raise TransferError("the server does not say where the listing ends, so it may be cut short", Cause.REFUSED)
        names = _find_links(page.content, page.url, page.charset)
        updates = tuple(sorted(name for name in names if NAME.fullmatch(name)))
        if not updates:
            raise TransferError(
                "lists no file like pubmed26n1300.xml.gz. Use the address of the folder updatefiles/", Cause.REFUSED
            )
    return updates


def _find_links(content: bytes, url: str, charset: str | None = None) -> set[str]:
    """Return the names of the files that the HTML page at `url` links to in its own folder.

    Links to other folders are ignored. A folder with the same last name counts as the same: a proxy may serve it
    under another path.
    """
    try:
        parser = lxml.html.HTMLParser(encoding=charset, huge_tree=True)
    except LookupError:  # an unknown charset
        parser = lxml.html.HTMLParser(huge_tree=True)
    try:
        page = lxml.html.document_fromstring(content, parser=parser)
    except (lxml.etree.ParserError, lxml.etree.XMLSyntaxError):  # an empty page
        return set()
    home = _get_folder(url)
    names = set()
    for link in page.iter("a"):
        try:
            target = urljoin(url, (link.get("href") or "").strip())
            folder, name = _get_folder(target), unquote(urlsplit(target).path).rpartition("/")[2]
        except ValueError:  # an invalid address such as "http://["
            continue
        if folder == home or (home[-1:] and folder[-1:] == home[-1:]):
            names.add(name)
    return names - {""}


def _get_folder(url: str) -> list[str]:
    """Return the folder names in the path of an address, without the file."""
    return [part for part in unquote(urlsplit(url).path).rpartition("/")[0].split("/") if part]
