import errno
import hashlib
import http.client
import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.collect.fetch import updates
from engine.collect.fetch.address import read_address
from engine.collect.fetch.client import Mirror
from engine.collect.fetch.updates import DownloadResult, fetch_updates
from tests.collect.fetch.mirrors import Shelf, content, http_mirror

ONE, TWO, THREE = (f"pubmed26n130{n}.xml.gz" for n in (1, 2, 3))


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    made.add(TWO, content("two"))
    made.add(ONE, content("one"))
    with http_mirror(made):
        yield made


def mirror(shelf: Shelf, **settings: object) -> Mirror:
    fast = Mirror(read_address(shelf.url), timeout=5, pause=0, back_off=0, spare_bytes=0)
    return replace(fast, **settings)  # type: ignore[arg-type]


def fetch(shelf: Shelf, folder: Path, **settings: object) -> DownloadResult:
    return fetch_updates(mirror(shelf, **settings), folder, lambda _: None)


def fetch_names(shelf: Shelf, folder: Path) -> list[str]:
    done = fetch(shelf, folder)
    assert done.failures == ()
    return list(done.names)


def failure(done: DownloadResult) -> str:
    (message,) = done.failures
    return message


def test_new_files_come_oldest_first_whole_and_once(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "updatefiles"
    assert fetch(shelf, folder) == DownloadResult((ONE, TWO), (ONE, TWO), ())
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == shelf.files
    shelf.asked.clear()
    assert fetch(shelf, folder) == DownloadResult((ONE, TWO), (), ())
    assert sorted(shelf.asked) == [("", ""), (f"{ONE}.md5", ""), (f"{TWO}.md5", "")]  # the listing, and nothing big


def test_a_file_that_the_mirror_replaced_is_fetched_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(TWO, b"\x1f\x8bbroken when it was published")
    fetch(shelf, tmp_path)
    shelf.add(TWO, content("repaired"))
    assert fetch_names(shelf, tmp_path) == [TWO]
    assert (tmp_path / TWO).read_bytes() == content("repaired")


def test_a_transfer_that_breaks_off_is_resumed_where_it_ended(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut[ONE] = [20, 33]
    assert fetch_names(shelf, tmp_path) == [ONE, TWO]
    assert [r for name, r in shelf.asked if name == ONE] == ["", "bytes=20-", "bytes=33-"]
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


def test_a_later_run_goes_on_with_what_an_earlier_one_left(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut[ONE] = [20, 25, 30]
    done = fetch(shelf, tmp_path)
    assert failure(done).endswith(f"{ONE}: broke off after 30 of {len(shelf.files[ONE])} bytes, which are kept")
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{ONE}.part", TWO]
    shelf.asked.clear()
    assert fetch_names(shelf, tmp_path) == [ONE]
    assert (ONE, "bytes=30-") in shelf.asked
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


def test_a_chunked_transfer_that_breaks_off_is_no_success_and_is_resumed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.framing[ONE] = "chunked"
    shelf.cut[ONE] = [20]
    assert fetch_names(shelf, tmp_path) == [ONE, TWO]
    assert [r for name, r in shelf.asked if name == ONE] == ["", "bytes=20-"]


def test_a_server_that_cannot_resume_sends_it_all_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.resumes = False
    (tmp_path / f"{ONE}.part").write_bytes(shelf.files[ONE][:10])
    fetch(shelf, tmp_path)
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


@pytest.mark.parametrize("left", [b"", b"\x1f\x8bwhatever", b"x" * 100_000])
def test_what_another_run_left_can_be_anything(shelf: Shelf, tmp_path: Path, left: bytes) -> None:
    (tmp_path / f"{ONE}.part").write_bytes(left)
    fetch(shelf, tmp_path)
    assert (tmp_path / ONE).read_bytes() == shelf.files[ONE]


def test_a_wrong_md5_is_never_put_in_place(shelf: Shelf, tmp_path: Path) -> None:
    shelf.md5[TWO] = "0" * 32
    md5 = hashlib.md5(shelf.files[TWO]).hexdigest()
    assert f"{TWO}: its MD5 is {md5}, the mirror states {'0' * 32}" in failure(fetch(shelf, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == [ONE]


def test_html_in_place_of_gzip_is_reported_and_not_kept(shelf: Shelf, tmp_path: Path) -> None:
    shelf.html.add(TWO)
    assert f"{TWO}: the server sent b'<html><body>Please log in" in failure(fetch(shelf, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == [ONE]


@pytest.mark.parametrize("name", ["", ONE, f"{ONE}.md5"])
def test_a_server_that_hangs_is_given_up(shelf: Shelf, tmp_path: Path, name: str) -> None:
    shelf.hang.add(name)
    done = fetch(shelf, tmp_path, timeout=0.1)
    assert "no answer in time; the server hangs or is out of reach" in failure(done)
    assert done.names == ((TWO,) if name else ())


def test_an_error_of_the_server_is_tried_again_and_then_reported(shelf: Shelf, tmp_path: Path) -> None:
    shelf.errors = {ONE: [503, 500], "": [503]}
    assert fetch_names(shelf, tmp_path) == [ONE, TWO]
    shelf.errors[""] = [403]
    assert "the server answered 403 Forbidden" in failure(fetch(shelf, tmp_path))


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    done = fetch_updates(Mirror(read_address("http://127.0.0.1:9/"), 2, 0, 0), tmp_path, lambda _: None)
    assert failure(done).startswith("http://127.0.0.1:9/: ") and "Connection refused" in failure(done)


def test_an_md5_file_without_one_is_reported(shelf: Shelf, tmp_path: Path) -> None:
    shelf.md5[ONE] = "unavailable"
    done = fetch(shelf, tmp_path)
    assert f"{ONE}.md5 holds no MD5: 'MD5({ONE})= unavailable'" in failure(done) and done.names == (TWO,)


@pytest.mark.parametrize("fault", ["not found", "no MD5 file", "wrong MD5", "HTML", "cut", "too large"])
def test_one_file_that_fails_keeps_no_later_one_from_coming(shelf: Shelf, tmp_path: Path, fault: str) -> None:
    shelf.add(THREE, content("three"))
    match fault:
        case "not found":
            shelf.errors[ONE] = [404]
        case "no MD5 file":
            shelf.errors[f"{ONE}.md5"] = [404]
        case "wrong MD5":
            shelf.md5[ONE] = "0" * 32
        case "HTML":
            shelf.html.add(ONE)
        case "cut":
            shelf.cut[ONE] = [1, 2, 3]
        case "too large":
            shelf.files[ONE] = b"\x1f\x8b" + bytes(500)
    done = fetch(shelf, tmp_path, max_bytes=400)
    assert done.names == (TWO, THREE) and f"/{ONE}" in failure(done)
    assert shelf.errors.get(ONE, []) == []  # 404 is not tried again


def test_every_failure_is_listed(shelf: Shelf, tmp_path: Path) -> None:
    shelf.errors = {ONE: [404], TWO: [410]}
    done = fetch(shelf, tmp_path)
    assert [message.rsplit(": ", 1)[1] for message in done.failures] == [
        "the server answered 404 Not Found",
        "the server answered 410 Gone",
    ]


def test_a_mirror_that_stops_answering_is_left_alone_after_three_files(shelf: Shelf, tmp_path: Path) -> None:
    names = [f"pubmed26n14{n:02}.xml.gz" for n in range(8)]
    for name in names:
        shelf.add(name, content(name))
        shelf.errors[name] = [500] * 3
    done = fetch(shelf, tmp_path)
    assert done.names == (ONE, TWO) and len(done.failures) == 4
    assert done.failures[3] == f"5 more files not tried, from {names[3]} on"


def test_a_file_larger_than_allowed_is_not_fetched(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add(TWO, b"\x1f\x8b" + bytes(5000))
    (tmp_path / f"{TWO}.part").write_bytes(shelf.files[TWO][:100])
    done = fetch(shelf, tmp_path, max_bytes=1000)
    assert "more than 1,000 bytes, the limit for an update file" in failure(done)
    assert [p.name for p in tmp_path.iterdir()] == [ONE]


@pytest.mark.parametrize("framing", ["none", "chunked"])
def test_a_body_without_a_length_is_cut_at_the_limit_and_nothing_is_kept(
    shelf: Shelf, tmp_path: Path, framing: str
) -> None:
    shelf.add(TWO, b"\x1f\x8b" + bytes(200_000))
    shelf.framing[TWO] = framing
    done = fetch(shelf, tmp_path, max_bytes=1000)
    assert "more than 1,000 bytes" in failure(done)
    assert [p.name for p in tmp_path.iterdir()] == [ONE]


def test_a_transfer_that_takes_too_long_ends_and_is_kept(shelf: Shelf, tmp_path: Path) -> None:
    done = fetch(shelf, tmp_path, max_seconds=-1)  # too long from the first byte on
    assert "not complete after -1 seconds" in done.failures[0] and done.names == ()


def free(n_bytes: int) -> object:
    return lambda _: namedtuple("usage", "total used free")(10**9, 10**9 - n_bytes, n_bytes)


def test_a_file_that_the_disk_cannot_hold_is_not_begun(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{ONE}.part").write_bytes(shelf.files[ONE][:10])
    monkeypatch.setattr(shutil, "disk_usage", free(1000))
    done = fetch(shelf, tmp_path, spare_bytes=980)
    assert f"1,000 bytes free, {len(shelf.files[ONE]) - 10 + 980:,} needed" in done.failures[0]
    assert done.failures[1] == f"1 more file not tried, from {TWO} on"
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_during_a_transfer_is_not_filled(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.files = {ONE: b"\x1f\x8b" + bytes(2_000_000)}
    shelf.framing[ONE] = "none"
    left = iter([10**9, *[5000] * 1000])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free(next(left))(path))  # type: ignore[operator]
    done = fetch(shelf, tmp_path, spare_bytes=100_000)
    assert "5,000 bytes free, 100,000 needed" in failure(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_keeps_no_part(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / f"{ONE}.part").write_bytes(shelf.files[ONE][:10])
    monkeypatch.setattr(updates, "_write_all", refuse)
    done = fetch(shelf, tmp_path)
    assert done.failures[0].endswith(
        f"{ONE}.part: {os.strerror(number)}. The partial file was deleted. Free disk space"
    )
    assert done.failures[1:] == (f"1 more file not tried, from {TWO} on",)
    assert list(tmp_path.iterdir()) == []


def test_another_error_of_the_disk_is_not_taken_for_one_of_the_network(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.part").mkdir()
    done = fetch(shelf, tmp_path)
    assert f"{tmp_path / ONE}.part: Is a directory" in done.failures[0]
    (tmp_path / "file").touch()
    done = fetch(shelf, tmp_path / "file" / "updatefiles")
    assert failure(done) == f"{tmp_path / 'file' / 'updatefiles'}: Not a directory"


def test_parts_that_no_run_would_go_on_with_are_deleted(shelf: Shelf, tmp_path: Path) -> None:
    fetch(shelf, tmp_path)
    stale, foreign = tmp_path / "pubmed25n1500.xml.gz.part", tmp_path / "mine.part"
    for path in (stale, foreign):
        path.write_bytes(b"x")
    fetch(shelf, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.part", ONE, TWO]


def test_bytes_that_were_not_asked_for_are_refused(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{ONE}.part").write_bytes(shelf.files[ONE][:10])
    plain = http.client.HTTPMessage.__getitem__
    monkeypatch.setattr(
        http.client.HTTPMessage,
        "__getitem__",
        lambda self, key: "bytes 5-9/40" if key == "Content-Range" else plain(self, key),
    )
    assert "the server answered 206 with other bytes than asked for" in fetch(shelf, tmp_path).failures[0]
    assert not (tmp_path / ONE).exists()
