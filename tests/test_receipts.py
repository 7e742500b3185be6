"""JSON objects that carry the SHA-256 of the rest of themselves."""

import hashlib

import pytest

from engine.receipts import format_json, open_json, seal_json

CONTENTS: tuple[dict[str, object], ...] = (
    {"a": 1},
    {"z": 1},
    {"a": [], "z": {"sha256": "0" * 64, "y": [{"sha256": "f" * 64}]}},
    {"files": [{"name": "größe", "sha256": "0" * 64}], "sha1": 'line\n "sha256": "x"', "sha512": None},
)


@pytest.mark.parametrize("content", CONTENTS)
def test_the_seal_is_the_hash_of_the_object_without_it(content: dict[str, object]) -> None:
    digest = hashlib.sha256(format_json(content).encode()).hexdigest()
    text = seal_json(content)
    assert text == format_json(content | {"sha256": digest})
    assert open_json(text.encode()) == content


@pytest.mark.parametrize("content", CONTENTS)
def test_any_changed_byte_is_noticed(content: dict[str, object]) -> None:
    raw = seal_json(content).encode()
    for at in range(len(raw)):
        assert open_json(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]) is None
        assert open_json(raw[:at]) is None and open_json(raw[:at] + raw[at + 1 :]) is None


def test_a_seal_in_another_place_is_noticed() -> None:
    first, last, other, end = seal_json({"a": 1, "z": 2}).splitlines()[1:5]
    assert "sha256" in last
    assert open_json("\n".join(["{", first, last, other, end, ""]).encode()) == {"a": 1, "z": 2}
    assert open_json("\n".join(["{", last, first, other, end, ""]).encode()) is None
    assert open_json("\n".join(["{", first, last, last, other, end, ""]).encode()) is None
    assert open_json("\n".join(["{", first, last.replace('"sha256"', '"sha256" '), other, end, ""]).encode()) is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b'"sha256"', b"{}\n", b'{"sha256": 1}', b"\xff", b"[" * 100_000])
def test_what_was_never_sealed_is_not_opened(raw: bytes) -> None:
    assert open_json(raw) is None
