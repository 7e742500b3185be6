import gzip
import hashlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scripts.mirrors import Shelf, http_mirror

sys.path.insert(0, str(ROOT / "scripts"))
from pubmed_mirror import Mirror, MirrorError, fetch_updates

ONE, TWO = "pubmed26n1301.xml.gz", "pubmed26n1302.xml.gz"


def content(text: str) -> bytes:
    return gzip.compress(text.encode() * 1000, mtime=0)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    made.add(TWO, content("two"))
    made.add(ONE, content("one"))
    with http_mirror(made):
        yield made


def fetched(shelf: Shelf, folder: Path, timeout: float = 5) -> list[str]:
    return fetch_updates(Mirror(shelf.url, timeout, pause=0, back_off=0), folder, lambda _: None)


def test_new_files_come_oldest_first_whole_and_once(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "updatefiles"
    assert fetched(shelf, folder) == [ONE, TWO]
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == shelf.files
    shelf.asked.clear()
    assert fetched(shelf, folder) == []
    assert sorted(shelf.asked) == [("", ""), (f"{ONE}.md5", ""), (f"{TWO}.md5", "")]  # the listing, and nothing big


def test_a_file_that_the_mirror_replaced_is_fetched_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(TWO, b"\x1f\x8bbroken when it was published")
    fetched(shelf, tmp_path)
    shelf.add(TWO, content("mended"))
    assert fetched(shelf, tmp_path) == [TWO]
    assert (tmp_path / TWO).read_bytes() == content("mended")


def test_a_transfer_that_breaks_off_is_resumed_where_it_ended(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut[ONE] = [20, 33]
    assert fetched(shelf, tmp_path) == [ONE, TWO]
    assert [r for name, r in shelf.asked if name == ONE] == ["", "bytes=20-", "bytes=33-"]
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


def test_a_later_run_goes_on_with_what_an_earlier_one_left(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut[ONE] = [20, 25, 30]
    with pytest.raises(
        MirrorError, match=f"{ONE}: broke off after 30 of {len(shelf.files[ONE])} bytes, which are kept"
    ):
        fetched(shelf, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f"{ONE}.part"]
    shelf.asked.clear()
    fetched(shelf, tmp_path)
    assert (ONE, "bytes=30-") in shelf.asked
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


def test_a_server_that_cannot_resume_sends_it_all_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.resumes = False
    (tmp_path / f"{ONE}.part").write_bytes(shelf.files[ONE][:10])
    fetched(shelf, tmp_path)
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


@pytest.mark.parametrize("left", [b"", b"\x1f\x8bwhatever", b"x" * 100_000])
def test_what_another_run_left_can_be_anything(shelf: Shelf, tmp_path: Path, left: bytes) -> None:
    (tmp_path / f"{ONE}.part").write_bytes(left)
    fetched(shelf, tmp_path)
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


def test_a_wrong_md5_is_never_put_in_place_and_earlier_files_stay(shelf: Shelf, tmp_path: Path) -> None:
    shelf.md5[TWO] = "0" * 32
    found = hashlib.md5(shelf.files[TWO]).hexdigest()
    with pytest.raises(MirrorError, match=f"{TWO}: its MD5 is {found}, the mirror states {'0' * 32}"):
        fetched(shelf, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [ONE]


def test_html_in_place_of_gzip_is_told_and_not_kept(shelf: Shelf, tmp_path: Path) -> None:
    shelf.html.add(ONE)
    with pytest.raises(MirrorError, match=rf"{ONE}: the server sent b'<html><body>Please log in.* and not gzip"):
        fetched(shelf, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_listing_without_update_files_is_told(tmp_path: Path) -> None:
    with http_mirror(Shelf()) as empty, pytest.raises(MirrorError, match="lists no file like pubmed26n1300.xml.gz"):
        fetched(empty, tmp_path)


@pytest.mark.parametrize("name", ["", ONE, f"{ONE}.md5"])
def test_a_server_that_hangs_is_given_up(shelf: Shelf, tmp_path: Path, name: str) -> None:
    shelf.hang.add(name)
    with pytest.raises(MirrorError, match="no answer in time; the server hangs or is out of reach"):
        fetched(shelf, tmp_path, timeout=0.3)


def test_an_error_of_the_server_is_tried_again_and_then_told(shelf: Shelf, tmp_path: Path) -> None:
    shelf.errors[ONE] = [503, 500]
    assert fetched(shelf, tmp_path) == [ONE, TWO]
    shelf.errors[""] = [403]
    with pytest.raises(MirrorError, match="the server answered 403 Forbidden"):
        fetched(shelf, tmp_path)


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match=r"http://127.0.0.1:9/: .*Connection refused"):
        fetch_updates(Mirror("http://127.0.0.1:9/", 2, 0, 0), tmp_path, lambda _: None)


@pytest.mark.parametrize("url", ["file:///etc/", "/data", "gopher://x/"])
def test_only_http_and_ftp_are_mirrors(tmp_path: Path, url: str) -> None:
    with pytest.raises(MirrorError, match="is no address of a mirror: expected http, https, ftp"):
        fetch_updates(Mirror(url, 2, 0, 0), tmp_path, lambda _: None)


def test_an_md5_file_without_one_is_told(shelf: Shelf, tmp_path: Path) -> None:
    shelf.md5[ONE] = "unavailable"
    with pytest.raises(MirrorError, match=f"{ONE}.md5 holds no MD5: 'MD5.*unavailable'"):
        fetched(shelf, tmp_path)


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real FTP server on this machine, and the folder that it serves."""
    handlers = pytest.importorskip("pyftpdlib.handlers", reason="needs pyftpdlib (dev group)")
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.servers import FTPServer

    root = tmp_path / "served"
    (root / "pubmed" / "updatefiles").mkdir(parents=True)
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(str(root))
    kind = type("Handler", (handlers.FTPHandler,), {"authorizer": authorizer})
    server = FTPServer(("127.0.0.1", 0), kind)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            server.serve_forever(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"ftp://127.0.0.1:{server.address[1]}/pubmed/updatefiles/", root / "pubmed" / "updatefiles"
    done.set()
    thread.join()
    server.close_all()


def test_an_ftp_mirror_is_read_and_resumed(ftp: tuple[str, Path], tmp_path: Path) -> None:
    url, served = ftp
    for name, body in ((ONE, content("one")), (TWO, content("two"))):
        (served / name).write_bytes(body)
        (served / f"{name}.md5").write_text(f"MD5({name})= {hashlib.md5(body).hexdigest()}\n")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / f"{ONE}.part").write_bytes(content("one")[:10])
    mirror = Mirror(url, 5, 0, 0)
    assert fetch_updates(mirror, kept, lambda _: None) == [ONE, TWO]
    assert (kept / ONE).read_bytes() == content("one") and (kept / TWO).read_bytes() == content("two")
    assert fetch_updates(mirror, kept, lambda _: None) == []
    (served / f"{TWO}.md5").write_text("0" * 32)
    (kept / TWO).unlink()
    with pytest.raises(MirrorError, match="the mirror states 0000"):
        fetch_updates(mirror, kept, lambda _: None)
