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


SGML = """
<top>
<num> Number: 301
<title> International &amp; Organized
Crime

<desc> Description:
Identify organizations that take part.

<narr> Narrative:
A relevant document says so.
</top>
<top>
<num> Number: 302 </num>
<title> Topic: Poliomyelitis </title>
</top>
"""
COVID = """<?xml version="1.0"?><!DOCTYPE topics><topics task="COVIDSearch2020">
<topic number="1"><query>coronavirus origin</query><question>what is the origin?</question></topic>
<!-- <topic number="9"><query>no</query></topic> -->
<topic number="2"><query>it &lt; 5</query><narrative>more</narrative></topic></topics>"""
CLINICAL = """<topics><topic number="1" type="diagnosis"><note>long</note><summary>58-year-old with pain</summary></topic>
<topic number="2"><disease>Melanoma</disease><gene>BRAF (V600E)</gene><demographic>64-year-old male</demographic></topic>
<topic number="3">
  A 45-year-old woman with gout.
</topic></topics>"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (SGML, [("301", "International & Organized Crime"), ("302", "Poliomyelitis")]),
        (COVID, [("1", "coronavirus origin"), ("2", "it < 5")]),
        (
            CLINICAL,
            [
                ("1", "58-year-old with pain"),
                ("2", "Melanoma BRAF (V600E) 64-year-old male"),
                ("3", "A 45-year-old woman with gout."),
            ],
        ),
    ],
)
def test_topics_of_trec(tmp_path: Path, content: str, expected: list[tuple[str, str]]) -> None:
    (tmp_path / "topics").write_text(content)
    assert list(read_queries(tmp_path / "topics")) == expected
    (tmp_path / "topics").write_bytes(gzip.compress(content.encode()))
    assert list(read_queries(tmp_path / "topics")) == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("<html></html>", "begins with '<', but holds no topic, expected <top>"),
        ("<top><title>gout</top>", "topic 1: expected a number, as <num> or number=, and a text"),
        ("<top><num>1</num></top>", "topic 1: expected a number"),
        ("<top><num>1<title>a</top><top><num>1<title>b</top>", "topic 2: the number '1' is there twice"),
    ],
)
def test_what_is_no_file_of_topics_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "topics").write_text(content)
    with pytest.raises(UsageError, match=says):
        list(read_queries(tmp_path / "topics"))


@pytest.mark.parametrize(
    "content", ["id\ttext\rq1\tgout\rq2\thip\r", '{"id": "q1", "text": "gout"}\r{"id": "q2", "text": "hip"}']
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lines_may_end_with_a_return_alone(tmp_path: Path, content: str, encoding: str) -> None:
    path = tmp_path / "queries"
    path.write_bytes(content.encode(encoding))
    assert list(read_queries(path)) == [("q1", "gout"), ("q2", "hip")]
