import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.corpus.selection.idlist import read_ids
from engine.errors import UsageError
from tests.conftest import examples


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1\n2\n", ["1", "2"]),
        ("1\r\n2", ["1", "2"]),
        ("1\r2\r", ["1", "2"]),
        ("\ufeff1\n", ["1"]),
        ("\ufeffPMID\n1\n", ["1"]),
        ("pmid\n1\n", ["1"]),
        ("PubMed ID\n1\n", ["1"]),
        ("record_id\nx y\n", ["x y"]),
        ('"DOI"\n"10.1/a"\n', ["10.1/a"]),
        (" 1 \n\n# 2\n  #3\n1\n2\n1\n", ["1", "2"]),
        ("'1'\n\"2\"\n\"'3'\"\n\"\"\n", ["1", "2", "3"]),
        ("# from PubMed\n\nPMID\n1\n", ["1"]),
        ("1\nPMID\n", ["1", "PMID"]),  # no header below the first line
        ("10.1002/(SICI)1097(1996)77:7<13::AID-C20>3.0.CO;2-#\n10.1/a,b\n", ["10.1002/(SICI)1097(1996)77:7<13::AID-C20>3.0.CO;2-#", "10.1/a,b"]),
        ("doi\n10.1/a,b\n", ["10.1/a,b"]),
        ("1\tGout\n2\tBeer\n", ["1", "2"]),
        ("pmid,title\n1,Gout\n2,\"Beer, wine\"\n", ["1", "2"]),
        ("title,doi,PMID\nGout,10.1/a,1\nBeer,10.1/b,2\n", ["1", "2"]),
        ("title,doi,PMID\nGout,10.1/a,\nBeer,,\nWine\nX,10.1/b,3\n", ["10.1/a", "3"]),
        ("doi,id\n10.1/a,x\n", ["x"]),
        ("Title\tPubMed_ID\tYear\n\"Gout\" is old\t1\t1999\n", ["1"]),
        ("title;id\na;1\n", ["1"]),
        ("id|title\n1|x\n", ["1"]),
        ('"Title, abstract",pmid\n"a, b",1\n', ["1"]),
        ("title,pmid\n\"two\n# lines\",1\n# 3,4\n,5\n", ["1", "5"]),
        ("pmid,title\n'1',x\n\n", ["1"]),
        ("PMID:1\nhttps://doi.org/10.1/a\n", ["PMID:1", "https://doi.org/10.1/a"]),
        ("関節\né\n", ["関節", "é"]),
        ("year,title\n1999,x\n", ["year,title", "1999,x"]),
    ],
)  # fmt: skip
def test_toy(tmp_path: Path, content: str, expected: list[str]) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(content.encode())
    assert list(read_ids(path)) == expected


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "contains no id, expected one PMID, DOI or record id per line"),
        (b"\xef\xbb\xbf\n# x\n \n", "contains no id"),
        (b"PMID\n", "contains no id"),
        (b"pmid,title\n,x\n", "contains no id"),
        (b"1\n\xff\n", r"is not UTF-8 text \(byte 2\)"),
        ("1\n2\n".encode("utf-16-le"), "it holds a NUL"),
        (b"1\n2\0\n", "is not text: it holds a NUL"),
        (b'pmid,title\n1,"open\n2,x\n3,y\n', "is not a readable table: .*unexpected end of data"),
    ],
)
def test_files_without_ids(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=match) as caught:
        read_ids(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_too_large_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="none.txt: no such file"):
        read_ids(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="is a folder"):
        read_ids(tmp_path)
    with pytest.raises(UsageError, match="can't be read: .*null"):
        read_ids(tmp_path / "a\0b")
    with pytest.raises(UsageError, match="/dev/zero has more than 50,000,000 bytes"):
        read_ids(Path("/dev/zero"))
    path = tmp_path / "ids.txt"
    path.write_text("1234567890\n" * 3)
    monkeypatch.setattr("engine.corpus.selection.idlist._MAX_BYTES", 33)
    assert read_ids(path) == ("1234567890",)
    monkeypatch.setattr("engine.corpus.selection.idlist._MAX_BYTES", 32)
    with pytest.raises(UsageError, match="has more than"):
        read_ids(path)


def test_a_cell_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text(f"pmid,title\n1,x\n2,{'x' * 200}\n")
    before = csv.field_size_limit(100)
    try:
        with pytest.raises(
            UsageError, match="ids.csv is not a readable table: field larger .*, at row 2 after the header"
        ):
            read_ids(path)
    finally:
        csv.field_size_limit(before)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)
plain = st.from_regex(r"(PMID:)?[0-9]{1,8}|10\.[0-9]{2}/[a-z;,()]{1,6}", fullmatch=True)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(cells, plain, cells), min_size=1, max_size=8),
    delimiter=st.sampled_from(",\t;|"),
    end=st.sampled_from(("\n", "\r\n")),
    name=st.sampled_from(("PMID", "id", "DOI", "Record ID")),
)
def test_a_column_of_any_table_that_csv_writes(
    rows: list[tuple[str, str, str]], delimiter: str, end: str, name: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([("title", name, "notes"), *rows])
    kept = [key for title, key, _ in rows if not title.lstrip().startswith("#")]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "ids.csv"
        path.write_bytes(text.getvalue().encode())
        if kept:
            assert read_ids(path) == tuple(dict.fromkeys(kept))


@given(st.lists(plain | cells, min_size=1))
def test_lines_in_order_each_once(lines: list[str]) -> None:
    stripped = [part.strip() for line in lines for part in line.split("\n")]
    ids = [
        line
        for line in stripped
        if line and not line.startswith("#") and not set(line) & set("\"'\t") and line.lower() not in ("id", "doi")
    ]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "ids.txt"
        path.write_bytes("\n".join(["first", *ids, *ids]).encode())
        assert read_ids(path) == tuple(dict.fromkeys(["first", *ids]))


@examples(2)
@given(st.binary(max_size=80) | st.text("\"',;\t#\n a1pmidо", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "ids"
        path.write_bytes(raw)
        try:
            ids = read_ids(path)
        except UsageError as err:
            assert str(path) in str(err)
            return
        assert ids
        assert all(key == key.strip() != "" for key in ids)
        assert len(set(ids)) == len(ids)


def test_a_pmid_that_is_missing_gives_way_to_the_doi(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("pmid,doi\n0,10.1000/a\nNA,10.1000/b\n7,10.1000/c\n-,\n")
    assert read_ids(tmp_path / "known.csv") == ("10.1000/a", "10.1000/b", "7", "-")
