import pytest

from engine.redaction import redact_url, redact_urls


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a/", "https://example.org/a/"),
        ("https://ann:secret@example.org:8443/a", "https://***@example.org:8443/a"),
        ("https://ann@example.org/", "https://***@example.org/"),
        ("https://example.org/a?token=secret#x", "https://example.org/a?***"),
        ("https://ann:sec/r@e t@example.org/?x=secret", "https://***@example.org/?***"),
        ("ann:secret@example.org/a", "***@example.org/a"),
        ("/data/updatefiles", "/data/updatefiles"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_addresses_in_a_text_lose_their_secrets_and_nothing_else_changes() -> None:
    text = "GET 'https://ann:secret@a.org/x?t=1' failed, see http://b.org/y#z and ann@example.org. Is it a/?"
    assert (
        redact_urls(text)
        == "GET 'https://***@a.org/x?*** failed, see http://b.org/y#*** and ann@example.org. Is it a/?"
    )
