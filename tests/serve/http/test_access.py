from base64 import b64encode

import pytest

from engine.errors import UsageError
from engine.serve.http.access import Access, _check_origin, _is_loopback, bracket_host, build_access

TOKEN = "0123456789abcdef"
LOCAL = build_access("127.0.0.1", 8000)
PUBLIC = build_access(
    "0.0.0.0", 8000, names=("Search.example.org", "10.0.0.7"), token=TOKEN, origins=("https://Example.org/",)
)


def basic(text: str | bytes) -> str:
    return "Basic " + b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "LocalHost:8000", "[::1]:8000"])
def test_a_server_of_this_machine_goes_by_its_own_names(host: str) -> None:
    assert LOCAL.is_known_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.com", "evil.com:8000", "127.0.0.1.evil.com", "127.0.0.1.evil.com:8000", "localhost.", "localhost.:8000",
        "localhost.evil.com:8000", "evil.com#127.0.0.1:8000", "user@127.0.0.1:8000", "127.0.0.1", "localhost", "[::1]", "::1:8000",
        "127.0.0.1:", "127.0.0.1:80", "127.0.0.1:80000", "127.0.0.1:08000", "127.0.0.1:8000:8000", " 127.0.0.1:8000", "127.0.0.1:8000 ",
        "127.0.0.2:8000", "127.1:8000", "0.0.0.0:8000", "2130706433:8000", "[::1]:8001", "[::]:8000", "[::ffff:127.0.0.1]:8000",
        "127.0.0.1:8000, evil.com", "ｌocalhost:8000",
    ],
)  # fmt: skip
def test_no_other_name_passes(host: str) -> None:
    assert not LOCAL.is_known_host(host)


def test_at_the_port_of_http_the_name_alone_will_do() -> None:
    access = build_access("127.0.0.1", 80)
    assert all(access.is_known_host(host) for host in ("localhost", "127.0.0.1", "[::1]", "localhost:80"))
    assert not access.is_known_host("localhost:8000") and not access.is_known_host("evil.com")


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_address_of_version_6_has_brackets(host: str) -> None:
    access = build_access(host, 8000)
    assert access.is_known_host("[::1]:8000") and not access.is_known_host("::1:8000")


def test_another_loopback_address_is_known_too() -> None:
    access = build_access("127.0.0.2", 8000)
    assert access.is_known_host("127.0.0.2:8000") and access.is_known_host("localhost:8000")


@pytest.mark.parametrize("host", ["search.example.org", "SEARCH.example.org:8000", "10.0.0.7:8000", "10.0.0.7"])
def test_a_server_for_others_goes_by_the_names_it_was_given(host: str) -> None:
    assert PUBLIC.is_known_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "0.0.0.0:8000",
        "search.example.org:80",
        "x.search.example.org",
        "example.org",
    ],
)
def test_a_server_for_others_goes_by_no_other_name(host: str) -> None:
    assert not PUBLIC.is_known_host(host)


@pytest.mark.parametrize("name", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_probes_on_the_machine_itself_may_use_loopback(name: str) -> None:
    assert PUBLIC.is_known_host(name)
    assert build_access("::", 8000, names=("a.org",), token=TOKEN).is_known_host(name)
    for host in ("10.0.0.7", "search.example.org"):  # where nothing listens at loopback
        assert not build_access(host, 8000, names=("a.org",), token=TOKEN).is_known_host(name)


def test_further_names_of_a_server_of_this_machine() -> None:
    access = build_access("localhost", 8000, names=("box.local",))
    assert all(access.is_known_host(host) for host in ("box.local", "box.local:8000", "localhost:8000"))
    assert not access.is_known_host("localhost") and access.token is None


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8000", "https://localhost:8000", "http://LOCALHOST:8000", "http://[::1]:8000"]
)
def test_pages_of_the_server_itself_are_its_own(origin: str) -> None:
    assert LOCAL.is_own(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "", "null", "127.0.0.1:8000", "file://127.0.0.1:8000", "ftp://localhost:8000", "http://localhost", "http://localhost:8001",
        "http://evil.com", "http://127.0.0.1:8000@evil.com", "http://evil.com@127.0.0.1:8000", "http://127.0.0.1:8000.evil.com",
        "//127.0.0.1:8000", "http://evil.com/127.0.0.1:8000", "http://[", "http://[::1", "http://]", "http://[evil]:8000",
    ],
)  # fmt: skip
def test_no_other_page_is_its_own(origin: str) -> None:
    assert not LOCAL.is_own(origin)


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}", f"bearer {TOKEN}", f"  BEARER   {TOKEN}  ", basic(f"anyone:{TOKEN}"), basic(f":{TOKEN}"),
        basic(f"é:{TOKEN}"), "basic  " + basic(f"x:{TOKEN}").split()[1] + " ",
    ],
)  # fmt: skip
def test_the_token_is_taken_as_bearer_or_as_a_password(header: str) -> None:
    assert PUBLIC.is_admitted(header)


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", TOKEN, f"Token {TOKEN}", f"Bearer{TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}",
        f"Bearer x {TOKEN}", f"Bearer :{TOKEN}", f"Digest {TOKEN}", f"Basic {TOKEN}", f"Basic x:{TOKEN}", basic(TOKEN), basic(f"{TOKEN}:"),
        basic(f"{TOKEN}:x"), basic(f"x:{TOKEN}:"), basic(f"x:y:{TOKEN}"), basic(b"\xff:" + TOKEN.encode()), basic(f"x:{TOKEN}")[:-1], "Basic ====",
        "Basic é", "Basic a", "Basic " + basic(f"x:{TOKEN}").split()[1][:5] + "\n" + basic(f"x:{TOKEN}").split()[1][5:],
        "Bearer é", "Bearer \ud800", "Bearer " + "é" * 16, "Bearer \x00",
    ],
)  # fmt: skip
def test_nothing_else_is_the_token(header: str) -> None:
    assert not PUBLIC.is_admitted(header)


def test_a_token_may_hold_a_colon() -> None:
    access = Access(frozenset(), "password:with:colons")
    assert access.is_admitted(basic("x:password:with:colons"))
    assert access.is_admitted("Bearer password:with:colons")


@pytest.mark.parametrize(
    "token", ["pässwörd-pässwörd", "password password", "password\tpassword", "password-password\n"]
)
def test_a_token_that_no_client_can_send_as_it_is_is_refused(token: str) -> None:
    with pytest.raises(
        UsageError, match=r"^the token contains blanks or non-ASCII characters. To make one: openssl rand"
    ):
        build_access("127.0.0.1", 8000, token=token)


def test_without_a_token_nobody_is_asked() -> None:
    assert LOCAL.is_admitted("") and LOCAL.is_admitted("Bearer x") and LOCAL.is_admitted("Basic é")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "search.example.org", "localhost.example.org", ""])
def test_others_need_a_token_and_a_name(host: str) -> None:
    with pytest.raises(UsageError, match=r"other machines, so a token \(ENGINE_TOKEN or --token-file\) is required"):
        build_access(host, 8000, names=("search.example.org",))
    with pytest.raises(UsageError, match=r"other machines, so a public host name \(--allow-host\) is required"):
        build_access(host, 8000, token=TOKEN)
    with pytest.raises(UsageError, match=r"a token.* For example: .*--allow-host"):
        build_access(host, 8000)
    assert build_access(host, 8000, names=("search.example.org",), token=TOKEN).token == TOKEN


@pytest.mark.parametrize("token", ["", "secret", TOKEN[:-1]])
def test_a_short_token_is_refused_wherever_the_server_is(token: str) -> None:
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(UsageError, match=rf"^the token has {len(token)} characters, expected 16 or more"):
            build_access(host, 8000, names=("a.org",), token=token)


@pytest.mark.parametrize("name", ["", " ", "\t", "http://a.org", "a.org/", "*", "*.a.org", "me@a.org", "a.org b.org"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--allow-host '.*' is not a host name"):
        build_access("127.0.0.1", 8000, names=("good.org", name))


def test_names_may_come_one_by_one() -> None:
    assert (
        build_access("127.0.0.1", 8000, names=iter(("a.org",))).hosts
        == build_access("127.0.0.1", 8000, names=("a.org",)).hosts
    )


def test_origins_are_kept_as_browsers_send_them() -> None:
    assert PUBLIC.origins == {"https://example.org"}
    assert _check_origin("HTTP://Example.org:8080/") == "http://example.org:8080"


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "null",
        "example.org",
        "https://",
        "ftp://example.org",
        "https://example.org/page",
        "https://example.org?x=1",
        "https://[",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(UsageError, match=r"^--cors '.*' is not an origin, expected one like https://example.org$"):
        build_access("127.0.0.1", 8000, origins=(origin,))


def test_what_can_be_reached_from_this_machine_alone() -> None:
    assert all(map(_is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST")))
    assert not any(map(_is_loopback, ("0.0.0.0", "::", "10.0.0.1", "", "localhost.", "127.0.0.1.evil.com", "a.org")))


def test_brackets_are_put_around_version_6_alone() -> None:
    assert [bracket_host(host) for host in ("::1", "[::1]", "127.0.0.1", "localhost")] == [
        "[::1]",
        "[::1]",
        "127.0.0.1",
        "localhost",
    ]


REVIEWERS = {"ann": "a" * 16, "bob": "b" * 16}


def test_where_reviewers_have_tokens_a_review_needs_one_of_these() -> None:
    access = build_access("127.0.0.1", 8000, token=TOKEN, reviewers=REVIEWERS, writes=True)
    for header, who in (
        (f"Bearer {'a' * 16}", "ann"),
        (basic(f"anyone:{'b' * 16}"), "bob"),
        (f"Bearer {TOKEN}", None),
        ("", None),
    ):
        assert access.find_reviewer(header) == who
        for path in ("/review", "/review/decide"):
            assert access.is_admitted(header, path) is (who is not None)
        assert access.is_admitted(header, "/") is (header != "")
        assert access.is_admitted(header, "/reviews") is (header != "")
    opened = build_access("127.0.0.1", 8000, reviewers=REVIEWERS, writes=True)
    assert opened.is_admitted("", "/") and not opened.is_admitted("", "/review")
    alone = build_access("127.0.0.1", 8000, writes=True)
    assert alone.is_admitted("", "/review") and alone.find_reviewer(f"Bearer {'a' * 16}") is None


def test_a_public_server_may_have_the_tokens_of_reviewers_only() -> None:
    access = build_access("0.0.0.0", 8000, names=("a.org",), reviewers=REVIEWERS, writes=True)
    assert not access.is_admitted("", "/") and not access.is_admitted(f"Bearer {TOKEN}", "/")
    assert access.is_admitted(f"Bearer {'a' * 16}", "/")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"host": "0.0.0.0", "names": ("a.org",), "token": TOKEN, "writes": True}, "each reviewer needs a token"),
        ({"host": "127.0.0.1", "names": ("a.org",), "writes": True}, "each reviewer needs a token"),
        ({"host": "0.0.0.0", "reviewers": REVIEWERS, "writes": True}, "host name .--allow-host. is required"),
        ({"host": "127.0.0.1", "reviewers": {"ann": "short"}}, "the token of the reviewer ann has 5 characters"),
        ({"host": "127.0.0.1", "reviewers": {"ann": "é" * 16}}, "of the reviewer ann contains blanks or non-ASCII"),
        (
            {"host": "127.0.0.1", "reviewers": {"ann": "a" * 16, "bob": "a" * 16}},
            "of the reviewer bob is also the token of the reviewer ann",
        ),
        (
            {"host": "127.0.0.1", "token": "a" * 16, "reviewers": {"ann": "a" * 16}},
            "of the reviewer ann is also the token",
        ),
    ],
)
def test_tokens_of_reviewers_are_checked(rules: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_access(rules.pop("host"), 8000, **rules)
