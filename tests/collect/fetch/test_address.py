import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.collect.fetch.address import read_address
from engine.collect.fetch.client import Mirror
from engine.collect.fetch.updates import DownloadResult, fetch_updates
from engine.errors import UsageError
from tests.collect.fetch.mirrors import Shelf, content, http_mirror

ONE = "pubmed26n1301.xml.gz"
LOGIN = "Basic YW5uOnNlY3JldC9AdDpw"  # ann:secret/@t:p
SECRETS = ("secret", "ann", "t0ken", LOGIN[6:])


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf(login=LOGIN)
    made.add(ONE, content("one"))
    with http_mirror(made):
        yield made


def with_login(shelf: Shelf, login: str = "ann:secret%2F%40t%3Ap", query: str = "") -> Mirror:
    address = read_address(shelf.url.replace("://", f"://{login}@") + query)
    return Mirror(address, timeout=5, pause=0, back_off=0)


def fetch(mirror: Mirror, folder: Path) -> DownloadResult:
    said: list[str] = []
    done = fetch_updates(mirror, folder, said.append)
    for text in (*said, *done.failures, str(mirror), repr(mirror), repr(done)):
        assert not any(secret in text for secret in SECRETS), text
    return done


def test_an_address_by_hand() -> None:
    address = read_address(" https://ann:secret%2F@example.org:8443/pub%20med/updatefiles?sig=t0ken ")
    assert address.build_url(ONE) == f"https://example.org:8443/pub%20med/updatefiles/{ONE}?sig=t0ken"
    assert str(address) == "https://***@example.org:8443/pub%20med/updatefiles/?***"
    assert address.describe(ONE) == f"https://***@example.org:8443/pub%20med/updatefiles/{ONE}?***"
    assert address.login == ("ann", "secret/")
    assert "secret" not in repr(address) and "t0ken" not in repr(address)
    plain = read_address("http://example.org")
    assert (plain.build_url(), plain.authorization, str(plain)) == ("http://example.org/", None, "http://example.org/")


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/", "/data", "gopher://x/", "https://", "https:///x", "https://ann:secret@", "", "ann:secret@example.org",
        "https://ann:secret@example.org:port/", "https://ann:sec/ret@example.org/", "https://ann:secret word@example.org/",
        "https://[::1/?t=secret", "https://example.org/\x00?secret",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_mirror_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not the address of a mirror: expected https://HOST/FOLDER/") as caught:
        read_address(text)
    assert "sec" not in str(caught.value) and "ann" not in str(caught.value)


def test_ftp_is_refused_with_the_address_that_works() -> None:
    with pytest.raises(UsageError, match="FTP is not supported. NCBI serves the same files over HTTPS") as caught:
        read_address("ftp://ann:secret@ftp.ncbi.nlm.nih.gov:21/pubmed/updatefiles/")
    assert str(caught.value).endswith("Use https://ftp.ncbi.nlm.nih.gov/pubmed/updatefiles/")
    assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match=r"Most such servers serve .* Use https://mirror.example.org/pubmed$"):
        read_address("FTP://mirror.example.org/pubmed")


def test_user_name_and_password_are_sent_and_never_shown(shelf: Shelf, tmp_path: Path) -> None:
    assert fetch(with_login(shelf), tmp_path).names == (ONE,)
    assert set(shelf.logins) == {LOGIN}


@pytest.mark.parametrize("fault", ["login", "listing", "file", "hang", "refused", "redirect", "html"])
def test_no_failure_shows_a_secret(shelf: Shelf, tmp_path: Path, fault: str) -> None:
    mirror = with_login(shelf, query="?sig=t0ken")
    match fault:
        case "login":
            mirror = with_login(shelf, "ann:secret", "?sig=t0ken")
        case "listing":
            shelf.errors[""] = [500] * 3
        case "file":
            shelf.errors[ONE] = [404]
        case "hang":
            shelf.hang.add(ONE)
            mirror = replace(mirror, timeout=0.1)
        case "refused":
            address = read_address("http://ann:secret@127.0.0.1:9/?sig=t0ken")
            mirror = replace(mirror, address=address)
        case "redirect":
            shelf.redirects[ONE] = "ftp://ann:secret@127.0.0.1/x?sig=t0ken"
        case "html":
            shelf.html.add(ONE)
            shelf.page = f'<a href="{ONE}">'.encode()
    (message,) = fetch(mirror, tmp_path).failures
    assert message.startswith("http://***@127.0.0.1")
    if fault == "login":
        assert "401 Unauthorized. Check the user name and password in the url of index.toml" in message


def test_no_exception_carries_the_secrets(shelf: Shelf, tmp_path: Path) -> None:
    from engine.collect.fetch.client import TransferError, read_page

    shelf.redirects[""] = "ftp://ann:secret@127.0.0.1/x?sig=t0ken"
    mirror = with_login(shelf, query="?sig=" + SECRETS[2])
    with pytest.raises(TransferError, match=r"redirected to ftp://127\.0\.0\.1, which is not followed") as caught:
        read_page(mirror, "", 1000)
    text = "".join(traceback.format_exception(caught.value))
    assert not any(secret in text for secret in ("ann:", "secret@", "t0ken"))


def test_a_query_string_goes_with_every_request(shelf: Shelf, tmp_path: Path) -> None:
    assert fetch(with_login(shelf, query="?sig=t0ken"), tmp_path).names == (ONE,)
    assert set(shelf.queries) == {"sig=t0ken"}


def test_a_redirect_to_another_server_gets_no_password(shelf: Shelf, tmp_path: Path) -> None:
    with http_mirror(Shelf(files=dict(shelf.files))) as other:
        shelf.redirects[ONE] = f"{other.url}{ONE}"
        assert fetch(with_login(shelf), tmp_path).names == (ONE,)
    assert other.asked == [(ONE, "")] and other.logins == [""]


def test_a_redirect_on_the_same_server_keeps_the_password(shelf: Shelf, tmp_path: Path) -> None:
    shelf.redirects[ONE] = "/elsewhere/real"
    shelf.add("real", shelf.files[ONE])
    shelf.page = f'<a href="{ONE}">'.encode()
    assert fetch(with_login(shelf), tmp_path).names == (ONE,)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://ann:secret@127.0.0.1/x"])
def test_a_redirect_that_is_not_safe_is_not_followed(shelf: Shelf, tmp_path: Path, target: str) -> None:
    shelf.redirects[ONE] = target
    (message,) = fetch(with_login(shelf), tmp_path).failures
    assert "not followed" in message or "is not allowed" in message
