import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.redaction import redact_urls
from engine.reindex.reports.nights import _MAX_READ, NIGHTS, Night, append_night, format_night, read_last_night
from tests.conftest import jsonl

NIGHT = {"index": "toy", "started": "2026-11-25T02:00:00+00:00", "status": "updated", "seconds": 1.5, "generation": 3}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (NIGHT, ""),
        ({**NIGHT, "error": None, "download_errors": []}, ""),
        ({**NIGHT, "error": "disk full", "download_errors": ["no route", "no md5"]}, "disk full"),
        ({**NIGHT, "error": None, "download_errors": ["no route", "no md5"]}, "no route; no md5"),
    ],
)
def test_the_last_night_is_read(tmp_path: Path, line: dict[str, object], error: str) -> None:
    jsonl(tmp_path / NIGHTS, [{**NIGHT, "started": "2026-11-24T02:00:00+00:00"}, line])
    night = read_last_night(tmp_path)
    assert night is not None and night.problem == error
    expected = Night("toy", "2026-11-25T02:00:00+00:00", "updated", exit_code=0, seconds=1.5, generation=3)
    assert replace(night, error=None, download_errors=()) == expected


def test_a_night_without_a_generation_is_read(tmp_path: Path) -> None:
    jsonl(tmp_path / NIGHTS, [{**NIGHT, "status": "failed", "seconds": 2, "generation": None}])
    assert read_last_night(tmp_path) == Night("toy", "2026-11-25T02:00:00+00:00", "failed", 0, 2.0)


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    begin = "x" * _MAX_READ + "\n"
    line = json.dumps(NIGHT) + "\n"
    (tmp_path / NIGHTS).write_text(begin + line, encoding="ascii")
    assert read_last_night(tmp_path) is not None
    (tmp_path / NIGHTS).write_text(line + line[:-2] + " " * (_MAX_READ + 1 - len(line)) + "}\n", encoding="ascii")
    assert read_last_night(tmp_path) is None  # the line is longer than what is looked at


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n", b"{}", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"{", json.dumps(NIGHT).encode() + b"\n\n",
        json.dumps(NIGHT).encode() + b"\n" + json.dumps(NIGHT).encode()[:30], b"[" * 60_000,
        b'{"started": "x", "status": "y"}', b'{"started": "x", "status": "y", "seconds": null}',
        b'{"started": "x", "status": "y", "seconds": "soon"}', b'{"started": "x", "status": "y", "seconds": NaN}', b'{"started": "x", "status": "y", "seconds": 1' + b"0" * 400 + b"}",
    ],
)  # fmt: skip
def test_a_night_that_cant_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NIGHTS).write_bytes(content)
    assert read_last_night(tmp_path) is None


def test_without_a_file_there_was_no_night(tmp_path: Path) -> None:
    assert read_last_night(tmp_path) is None
    assert read_last_night(tmp_path / "none") is None
    (tmp_path / NIGHTS).mkdir()
    assert read_last_night(tmp_path) is None


def test_what_is_appended_is_read_back_with_secrets_hidden(tmp_path: Path) -> None:
    url = "https://ann:secret@example.org/"
    night = Night(
        "toy", "2026-11-25T02:00:00+00:00", "incomplete", 8, 2.5, 7, ("a.xml.gz",), (f"{url}: gone",), ("pubmed26n1301",),
        verified=True, pruned=(3, 4), report={"notes": [url, {"deep": url}], "generation": 7},
    )  # fmt: skip
    for each in (Night("toy", "2026-11-24T02:00:00+00:00"), night):
        append_night(tmp_path / NIGHTS, format_night(each, redact_urls))
    hidden = "https://***@example.org/"
    assert read_last_night(tmp_path) == replace(
        night, download_errors=(f"{hidden}: gone",), report={"notes": [hidden, {"deep": hidden}], "generation": 7}
    )
    assert (tmp_path / NIGHTS).read_text(encoding="ascii").count("\n") == 2
