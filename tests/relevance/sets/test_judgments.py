import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError, SourceError
from engine.relevance.sets.judgments import Judgments, read_judgments, write_judgments

TREC = "1 0 d1 2\n1 0 d2 0\n2 0 d1 -1\n"
EXPECTED = Judgments({"1": {"d1": 2, "d2": 0}, "2": {"d1": -1}})


def qrels(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "qrels.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        TREC,
        TREC.replace(" ", "\t"),
        TREC.replace(" ", "  ").replace("\n", "\r\n"),
        "query_id\tdoc_id\trelevance\n1\td1\t2\n1\td2\t0\n2\td1\t-1\n",
        "query-id\tcorpus-id\tscore\n1\td1\t2\n\n1\td2\t0\n2\td1\t-1\n",
        "\ufeffquery_id\tdoc_id\trelevance\n1\td1\t+2\n1\td2\t0\n2\td1\t-1",
        "relevance\tdoc_id\tnote\tquery_id\n2\td1\tx\t1\n0\td2\t\t1\n-1\td1\tz\t2\n",
        "1\td1\t2\n1\td2\t0\n2\td1\t-1\n",
        "qid docid rel\n1 d1 2\n1 d2 0\n2 d1 -1\n",
    ],
)
def test_every_layout_says_the_same(tmp_path: Path, text: str) -> None:
    assert read_judgments(qrels(tmp_path, text)) == EXPECTED
    assert read_judgments(qrels(tmp_path, gzip.compress(text.encode(), mtime=0))) == EXPECTED


def test_counts() -> None:
    assert (EXPECTED.n_judged, EXPECTED.n_relevant) == (3, 1)


def test_ids_may_hold_blanks_between_tabs(tmp_path: Path) -> None:
    found = read_judgments(qrels(tmp_path, "query_id\tdoc_id\trelevance\nmy query\tDOI:10.1/a b\t1\n"))
    assert found.grades == {"my query": {"DOI:10.1/a b": 1}}


def test_a_line_that_is_there_twice_is_counted_once(tmp_path: Path) -> None:
    found = read_judgments(qrels(tmp_path, TREC + "1 0 d1 2\n1 0 d1 2\n"))
    assert found == EXPECTED
    assert (found.n_repeated, EXPECTED.n_repeated) == (2, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 d1 1\n1 0 d2 0\n1 0 d1 0\n", r"line 3: query '1' and record 'd1' have grade 0, but 1 on line 1"),
        ("1 0 d1 1\n1 0 d2\n", "line 2: found '1 0 d2', expected 4 columns"),
        ("1 0 d1 1\n1 0 d2 1.5\n", r"line 2: the grade '1\.5' is not an integer"),
        ("1 0 d1 1\n1 0 d2 yes\n", "line 2: the grade 'yes' is not an integer"),
        ("query_id\tdoc_id\trelevance\n1\td1\t\n", "line 2: found .* expected 3 columns"),
        ("query_id\tdoc_id\trelevance\n1\t\t1\n", "line 2: found .* expected 3 columns"),
        ("query_id\tdoc_id\trelevance\n", "has no judgment below its header"),
        ("query\tdocument\n1\td1\n", "line 1: found .*expected lines of query, 0, record, grade"),
        ("query_id\tdoc_id\tdoc_id\n1\td1\t1\n", "line 1: found .*expected lines of query"),
        ("1 0 d1 9999999999\n", "line 1: found"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        (b"\xff\xfe\x00\x00\xd8", "line 1"),
        (b"1 0 d\xff 1\n", "line 1: not UTF-8"),
        (gzip.compress(TREC.encode() * 900, mtime=0)[:-20], "gzip data ends early"),
        (b"\x1f\x8bnonsense", "broken gzip data"),
    ],
)
def test_what_is_no_qrels_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_judgments(qrels(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        read_judgments(tmp_path / "nothing.tsv")


WORDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)


@given(
    st.dictionaries(WORDS, st.dictionaries(WORDS, st.integers(-9, 99), min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, grades: dict[str, dict[str, int]]) -> None:
    path = tmp_path_factory.mktemp("qrels") / "qrels.tsv"
    write_judgments(Judgments(grades), path)
    assert read_judgments(path).grades == grades


def test_the_same_judgments_are_the_same_bytes(tmp_path: Path) -> None:
    write_judgments(EXPECTED, tmp_path / "a")
    write_judgments(Judgments({"2": {"d1": -1}, "1": {"d2": 0, "d1": 2}}), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_text().splitlines()[:2] == ["query_id\tdoc_id\trelevance", "1\td1\t2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_the_file_has_no_place_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected no tab, line break or surrounding blank"):
        write_judgments(Judgments({"1": {"d\t1": 1}}), tmp_path / "a")
    with pytest.raises(EngineError, match="can't be written: there is no folder .*none"):
        write_judgments(EXPECTED, tmp_path / "none" / "a")
