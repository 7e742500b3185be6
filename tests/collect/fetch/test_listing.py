"""Listings as servers really write them, and listings that are cut short."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.collect.fetch.address import read_address
from engine.collect.fetch.client import Mirror, TransferError
from engine.collect.fetch.listing import _find_links, list_updates
from engine.collect.fetch.updates import fetch_updates
from tests.collect.fetch.mirrors import Shelf, content, http_mirror

ONE, TWO = "pubmed26n1301.xml.gz", "pubmed26n1302.xml.gz"
HOME = "https://example.org/pubmed/updatefiles/"
APACHE = f"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /pubmed/updatefiles</title></head><body><table>
<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/pubmed/">Parent Directory</a></td></tr>
<tr><td><a href="{ONE}">pubmed26n1301.xml.g..&gt;</a></td></tr>
<tr><td><a href="{ONE}.md5">pubmed26n1301.xml.g..&gt;</a></td></tr>
<tr><td><a href="{TWO}">pubmed26n1302.xml.g..&gt;</a></td></tr></table></body></html>"""
NGINX = f"""<html>\r\n<head><title>Index of /pubmed/updatefiles/</title></head>\r\n<body>\r\n<h1>Index</h1><hr><pre><a href="../">../</a>
<a href="{ONE}">{ONE}</a>      01-Dec-2026 14:05  48M\r\n<a href="{TWO}">{TWO}</a>  02-Dec-2026 14:05  51M\r\n</pre><hr></body>\r\n</html>"""
IIS = f"""<html><head><title>example.org - /pubmed/updatefiles/</title></head><body><H1>example.org - /pubmed/updatefiles/</H1><hr>
<pre><A HREF="/pubmed/">[To Parent Directory]</A><br><br>12/1/2026  2:05 PM 50331648 <A HREF="/pubmed/updatefiles/{ONE}">{ONE}</A><br>
12/2/2026  2:05 PM 50331648 <A HREF="/pubmed/updatefiles/{TWO}">{TWO}</A><br></pre><hr></body></html>"""
PYTHON = f"""<!DOCTYPE HTML>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n</head>\n<body>\n<hr>\n<ul>
<li><a href="{ONE}">{ONE}</a></li>\n<li><a href="{TWO}">{TWO}</a></li>\n</ul>\n<hr>\n</body>\n</html>"""
LIGHTTPD = f"""<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><body><table><tbody><tr class="d"><td class="n"><a href="../">..</a>/</td></tr>
<tr><td class="n"><a href="{ONE}">{ONE}</a></td></tr><tr><td><a href="{TWO}">{TWO}</a></td></tr></tbody></table></body></html>"""
STYLES = {
    "apache": APACHE, "nginx": NGINX, "iis": IIS, "python": PYTHON, "lighttpd": LIGHTTPD,
    "single quotes": f"<a href='{ONE}'>1</a><A class=x HREF='{TWO}'>2</A>",
    "no quotes": f"<a href={ONE}>1</a><a href={TWO} class=file>2</a>",
    "other attributes first": f'<a title="x > y" class="f" href = "{ONE}">1</a><a\nhref="{TWO}">2</a>',
    "absolute addresses": f'<a href="{HOME}{ONE}">1</a><a href="//example.org/pubmed/updatefiles/{TWO}">2</a>',
    "dot": f'<a href="./{ONE}">1</a><a href="../updatefiles/{TWO}">2</a>',
    "percent-encoded": '<a href="pubmed26n1301%2Exml%2Egz">1</a><a href="%70ubmed26n1302.xml.gz">2</a>',
    "entities": f'<a href="pubmed26n1301&#46;xml.gz">1</a><a href=" {TWO} ">2</a>',
    "query and fragment": f'<a href="{ONE}?C=N&amp;O=D">1</a><a href="{TWO}#top">2</a>',
    "behind a proxy": f'<a href="/inner/updatefiles/{ONE}">1</a><a href="{TWO}">2</a>',
    "links that go nowhere": f'<a name=x>0</a><a href="http://[">0</a><a href="">0</a><a href="{ONE}">1</a><a href="{TWO}">2</a>',
}  # fmt: skip


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with http_mirror(Shelf(files={ONE: content("one"), TWO: content("two")})) as made:
        yield made


def names(shelf: Shelf) -> tuple[str, ...]:
    return list_updates(Mirror(read_address(shelf.url), timeout=5, pause=0, back_off=0))


@pytest.mark.parametrize("style", STYLES)
def test_a_listing_of_any_server_is_read(style: str) -> None:
    updates = {name for name in _find_links(STYLES[style].encode(), HOME) if not name.endswith(".md5")}
    assert updates == {ONE, TWO}


def test_a_link_to_another_folder_is_not_a_file_of_this_one() -> None:
    page = f'<a href="../baseline/{ONE}">1</a><a href="old/{ONE}">1</a><a href="/{ONE}">1</a><a href="{TWO}">2</a>'
    assert _find_links(page.encode(), HOME) == {TWO}


@pytest.mark.parametrize("charset", [None, "utf-8", "iso-8859-1", "no-such-charset"])
def test_bytes_of_any_charset_are_read(charset: str | None) -> None:
    page = f'<a href="{ONE}">caf\xe9</a>'.encode("latin-1")
    assert _find_links(page, HOME, charset) == {ONE}


@pytest.mark.parametrize("content", [b"", b" ", b"<!-- -->", b"\xff\xfe", b"\x00"])
def test_a_page_without_links_has_none(content: bytes) -> None:
    assert _find_links(content, HOME) == set()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "not stated"])
def test_a_compressed_listing_is_read(shelf: Shelf, encoding: str) -> None:
    page = APACHE.encode()
    shelf.page = zlib.compress(page) if encoding == "deflate" else gzip.compress(page, mtime=0)
    shelf.headers = {} if encoding == "not stated" else {"Content-Encoding": encoding}
    assert names(shelf) == (ONE, TWO)


def test_a_listing_without_update_files_is_reported(shelf: Shelf) -> None:
    shelf.files.clear()
    with pytest.raises(
        TransferError, match=r"lists no file like pubmed26n1300.xml.gz. Use the address of the folder updatefiles/"
    ):
        names(shelf)


def cut_length(shelf: Shelf) -> None:
    shelf.cut[""] = [len(APACHE) - 60] * 3


def cut_chunked(shelf: Shelf) -> None:
    shelf.framing[""] = "chunked"
    shelf.cut[""] = [len(APACHE) - 60] * 3


def cut_without_length(shelf: Shelf) -> None:
    shelf.framing[""] = "none"
    shelf.page = APACHE.encode()[:-60]


def cut_by_the_server(shelf: Shelf) -> None:  # whole as HTTP, half as HTML: a script that died
    shelf.page = APACHE.encode()[:-60]


def cut_gzip(shelf: Shelf) -> None:
    shelf.page = gzip.compress(APACHE.encode(), mtime=0)[:-12]
    shelf.headers = {"Content-Encoding": "gzip"}


def broken_gzip(shelf: Shelf) -> None:
    shelf.page = b"\x1f\x8b\x08" + b"x" * 50


def other_encoding(shelf: Shelf) -> None:
    shelf.headers = {"Content-Encoding": "br"}


def no_end(shelf: Shelf) -> None:
    shelf.framing[""] = "none"
    shelf.page = f"<a href={ONE}>".encode()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_length, "broke off after "),
        (cut_chunked, "broke off before its end"),
        (cut_without_length, r"has no end \(</html>\), so it was cut short"),
        (cut_by_the_server, r"has no end \(</html>\), so it was cut short"),
        (cut_gzip, "the gzip data ends early"),
        (broken_gzip, "broken gzip data"),
        (other_encoding, "Content-Encoding 'br', expected none or gzip"),
        (no_end, "does not say where the listing ends, so it may be cut short"),
    ],
)
def test_a_listing_that_may_be_cut_short_is_never_a_success(shelf: Shelf, tmp_path: Path, spoil, message: str) -> None:
    shelf.page = APACHE.encode()
    spoil(shelf)
    with pytest.raises(TransferError, match=message):
        names(shelf)
    spoil(shelf)
    done = fetch_updates(Mirror(read_address(shelf.url), 5, pause=0, back_off=0), tmp_path, lambda _: None)
    assert done.names == () and len(done.failures) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_a_listing_larger_than_any_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("engine.collect.fetch.listing._LIMIT", 1000)
    page = APACHE.encode() + b" " * 1000
    shelf.page = page if kind == "plain" else gzip.compress(page, mtime=0)
    with pytest.raises(TransferError, match="more than 1,000 bytes, expected fewer"):
        names(shelf)


def test_a_listing_that_breaks_off_once_is_asked_for_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut[""] = [30]
    done = fetch_updates(Mirror(read_address(shelf.url), 5, pause=0, back_off=0), tmp_path, lambda _: None)
    assert done.names == (ONE, TWO) and done.failures == ()
