import gzip
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.query.question.queryfile import read_queries


@pytest.mark.parametrize(
    "content",
    [
        b"q1\tgout\nq2\tknee pain\n",
        b"\xef\xbb\xbfquery_id\ttext\r\n\r\nq1\tgout\r\nq2\tknee pain",
        b'{"_id": "q1", "text": "gout"}\n{"qid": "q2", "title": "knee pain"}\n',
        gzip.compress(b"q1\tgout\nq2\tknee pain\n", mtime=0),
    ],
)
def test_spellings_of_a_file_of_queries(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "q").write_bytes(content)
    assert list(read_queries(tmp_path / "q")) == [("q1", "gout"), ("q2", "knee pain")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "q is empty. Expected lines of id, tab, text"),
        (b"q1\tgout\nq1\tpain\n", "line 2: the id 'q1' is there twice"),
        (b"q 1\tgout\n", "line 1: expected an id without blanks and a text"),
        (b"gout\n", "line 1: expected an id"),
        (b'{"id": 1}\n', "line 1: expected an id"),
        (b"q1\tSj\xf6gren\n", "line 1: not UTF-8, expected text"),
    ],
)
def test_what_is_no_file_of_queries_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "q").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        list(read_queries(tmp_path / "q"))
