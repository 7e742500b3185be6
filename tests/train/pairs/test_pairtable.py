"""Pairs from files: what is read, in which order, and what is refused with which words."""

import csv
import gzip
import io
import json
import time
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from engine.errors import SourceError, UsageError
from engine.train.pairs.pairtable import PairTable, read_pairs

HEADER = "sentence_0,sentence_1,label\n"
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
ROWS = st.lists(st.tuples(TEXT, TEXT, st.integers(0, 64).map(lambda n: n / 64)), min_size=1, max_size=8)


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def as_csv(rows: list[tuple[str, str, float]], delimiter: str = ",") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([("sentence_0", "sentence_1", "label"), *rows])
    return file.getvalue()


def as_jsonl(rows: list[tuple[str, str, float]]) -> str:
    names = ("sentence_0", "sentence_1", "label")
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def content(table: PairTable) -> list[tuple[str, ...]]:
    return list(zip(*table.texts, strict=True))


def test_a_table_is_read_column_by_column(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", HEADER + '..,"Gout, again",1\n,"two\nlines",0.25\n')
    table = read_pairs([path], need_label=True)
    assert (table.name, table.columns, table.n_rows) == ("a.csv", ("sentence_0", "sentence_1"), 2)
    assert table.texts == (("..", ""), ("Gout, again", "two\nlines"))
    assert table.labels is not None and table.labels.dtype == np.float32 and table.labels.tolist() == [1.0, 0.25]


def test_every_format_gives_the_same_table(tmp_path: Path) -> None:
    rows = [("..", 'She said "gout"\tand; left|', 1.0), ("", "Über Gicht", 0.0), (".", "three", 0.5)]
    columns = dict(zip(("sentence_0", "sentence_1", "label"), map(list, zip(*rows, strict=True)), strict=True))
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    paths = [
        written(tmp_path, "a.csv", as_csv(rows)),
        written(tmp_path, "a.tsv", as_csv(rows, "\t")),
        written(tmp_path, "semicolons.csv", "\ufeff" + as_csv(rows, ";")),
        written(tmp_path, "a.csv.gz", gzip.compress(as_csv(rows).encode(), mtime=0)),
        written(tmp_path, "a.jsonl", as_jsonl(rows)),
        written(tmp_path, "a.jsonl.gz", gzip.compress(as_jsonl(rows).encode(), mtime=0)),
        tmp_path / "a.parquet",
    ]
    for path in paths:
        table = read_pairs([path], need_label=True)
        assert content(table) == [row[:2] for row in rows], path
        assert table.labels is not None and table.labels.tolist() == [1.0, 0.0, 0.5]
        assert table.sha256 == read_pairs(paths[:1], need_label=True).sha256


@given(ROWS)
def test_texts_come_as_they_are(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, float]]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    for name, text in (("a.csv", as_csv(rows)), ("a.jsonl", as_jsonl(rows))):
        table = read_pairs([written(folder, name, text)], need_label=False)
        assert content(table) == [row[:2] for row in rows]
        assert table.labels is not None and table.labels.tolist() == [row[2] for row in rows]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("sentence1,sentence2,score", ("sentence1", "sentence2")),
        ("id,Anchor,Positive,label", ("anchor", "positive")),
        ("label,positive,anchor,negative_1,negative_2", ("anchor", "positive", "negative_1", "negative_2")),
        ("sentence_1,sentence_0,sentence_2,label", ("sentence_0", "sentence_1", "sentence_2")),
        ("title,abstract,year,label", ("title", "abstract")),
    ],
)
def test_columns_are_told_by_their_names(tmp_path: Path, header: str, columns: tuple[str, ...]) -> None:
    names = header.lower().split(",")
    row = ",".join("1" if name in ("label", "score") else f"text of {name}" for name in names)
    table = read_pairs([written(tmp_path, "a.csv", f"{header}\n{row}\n")], need_label=False)
    assert table.columns == columns
    assert table.texts == tuple((f"text of {column}",) for column in columns)
    assert table.labels is not None and table.labels.tolist() == [1.0]


def test_files_follow_each_other(tmp_path: Path) -> None:
    one = written(tmp_path, "one.csv", HEADER + "a,b,1\n")
    other = written(tmp_path, "other.jsonl", as_jsonl([("c", "d", 0.0)]))
    table = read_pairs([one, other], need_label=True)
    assert (table.name, content(table)) == ("one.csv and 1 more", [("a", "b"), ("c", "d")])
    assert table.sha256 != read_pairs([other, one], need_label=True).sha256


def test_labels_are_not_needed_where_none_are_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "anchor,positive\na,b\n")
    assert read_pairs([path], need_label=False).labels is None
    with pytest.raises(SourceError, match=r"a\.csv: no column label or score among anchor, positive"):
        read_pairs([path], need_label=True)


def test_the_digest_tells_where_one_text_ends(tmp_path: Path) -> None:
    one = read_pairs([written(tmp_path, "a.csv", HEADER + "ab,c,1\n")], need_label=False)
    other = read_pairs([written(tmp_path, "b.csv", HEADER + "a,bc,1\n")], need_label=False)
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "x,y\n1,2\n", r"no two columns of texts among x, y\. Expected sentence_0 and sentence_1"),
        ("a.csv", HEADER, "a header and no rows below it"),
        ("a.csv", "", "is empty"),
        ("a.csv", HEADER + "a,b,1\nc,d,yes\n", "line 3, column 'label': 'yes', expected a number from 0 to 1"),
        ("a.csv", HEADER + '"a\nb",c,1\nd,e,nan\n', "line 4, column 'label': 'nan', expected a number"),
        ("a.csv", HEADER + "a,b,inf\n", "line 2, column 'label': 'inf', expected a number"),
        ("a.csv", HEADER + "a,b,1\nc,d,1.01\n", r"line 3, column 'label': '1\.01', expected a number from 0 to 1"),
        ("a.csv", HEADER + "a,b,-1\n", "line 2, column 'label': '-1', expected"),
        ("a.csv", HEADER + "a,b,1_0\n", "line 2, column 'label': '1_0', expected"),
        ("a.csv", HEADER + "a,b,\n", "line 2, column 'label': no value, expected"),
        ("a.csv", HEADER + "a,b,1\nc,d,1.0\n", "column 'label': every label is 1, so there is nothing to learn"),
        ("a.csv", HEADER + "a,b,1\nc,d\n", "line 3: 2 cells where the header has 3"),
        ("a.csv", HEADER + 'a,"b,1\nc,d,0\n', "line 2: not a row of a table .* quotation mark left open"),
        ("a.csv", "anchor,positive,label,score\na,b,1,1\n", "both a column label and a column score"),
        ("a.csv", "anchor,positive,Positive,label\na,b,c,1\n", "two columns are named 'positive'"),
        ("a.csv", HEADER.encode() + b"\xe9,b,1\n", "line 2: not UTF-8"),
        ("a.csv", HEADER.replace("\n", "\r"), "lines end with CR alone"),
        ("a.csv.gz", gzip.compress(HEADER.encode(), mtime=0)[:-4], "the gzip data ends early"),
        ("a.jsonl", '{"anchor": "a"\n', "line 1: not JSON"),
        ("a.json", "[]\n", "line 1: a JSON list, expected an object"),
        ("a.jsonl", b'{"anchor": "\xe9"}\n', "line 1: not UTF-8"),
        ("a.jsonl", '{"anchor":"a","positive":null,"label":1}\n', r"line 1, column 'positive': no value \(null\)"),
        ("a.jsonl", '{"anchor":3,"positive":"b","label":1}\n', r"line 1, column 'anchor': 3 \(int\), expected a text"),
        ("a.jsonl", '{"anchor":"a","positive":"b","label":true}\n', "line 1, column 'label': True, expected a number"),
        (
            "a.jsonl",
            as_jsonl([("a", "b", 1.0)]) + '{"sentence_0": "c", "label": 0}\n',
            "line 2: no column 'sentence_1'",
        ),
        ("a.parquet", b"PAR1 and no more", "broken Parquet data"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(SourceError, match=words) as told:
        read_pairs([path], need_label=True)
    assert str(path.name) in str(told.value) and "\n" not in str(told.value)


def test_parquet_is_counted_by_rows(tmp_path: Path) -> None:
    columns = {"anchor": ["a", None], "positive": ["b", "c"], "label": [0.0, 1.0]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet, row 2, column 'anchor': no value \(null\)"):
        read_pairs([tmp_path / "a.parquet"], need_label=True)


def test_mixed_columns_and_no_file_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path, "one.csv", HEADER + "a,b,1\n")
    other = written(tmp_path, "other.csv", "anchor,positive,label\na,b,1\n")
    with pytest.raises(
        SourceError, match=r"other\.csv has the columns anchor, positive, label, .*one\.csv has sentence_0"
    ):
        read_pairs([one, other], need_label=False)
    with pytest.raises(UsageError, match="no file of pairs given"):
        read_pairs([], need_label=False)
    with pytest.raises(SourceError, match="no such file"):
        read_pairs([tmp_path / "none.csv"], need_label=False)


def test_as_many_rows_as_the_seed_had_take_seconds(tmp_path: Path) -> None:
    text = "To investigate sicca symptoms in patients with rheumatoid arthritis, and possible risk factors. " * 4
    path = written(
        tmp_path, "a.csv", HEADER + "".join(f"..,{text}{i},{i % 2}\n".replace(", ", " ") for i in range(76_608))
    )
    start = time.process_time()
    table = read_pairs([path], need_label=True)
    assert table.n_rows == 76_608
    assert time.process_time() - start < 4  # 0.6 s where nothing else runs
