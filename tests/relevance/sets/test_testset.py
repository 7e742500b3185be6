import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.errors import SourceError, UsageError
from engine.records.abstract import Abstract
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetOrigin, SetSource, SetText, TestSet, read_set, write_set

SET = TestSet(
    "known",
    (SetText("d1", "Gout is painful."), SetText("PMID:2", "Ödem \u2028 \u00b5g")),
    (SetText("q1", "gout"), SetText("q2", "oedema")),
    Judgments({"q1": {"d1": 2, "PMID:2": 0}, "q2": {"PMID:2": 1}}),
)
ORIGIN = SetOrigin("titles", 0.1, (SetSource("a.jsonl", "0" * 64),))


def test_what_is_written_is_read_and_its_bytes_are_the_same(tmp_path: Path) -> None:
    folder, again = tmp_path / "known", tmp_path / "again" / "known"
    write_set(SET, folder, ORIGIN)
    read = read_set(folder)
    assert read.documents == (SET.documents[0], SetText("PMID:2", "Ödem µg"))  # white space as an encoder gets it
    assert (read.name, read.queries, read.judgments, read.sha256) == ("known", SET.queries, SET.judgments, SET.sha256)
    write_set(read, again, ORIGIN)
    assert all(
        (again / path.name).read_bytes() == path.read_bytes()
        for path in folder.iterdir()
        if path.name != "corpus.jsonl"
    )
    write_set(SET, again, ORIGIN)
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())
    about = json.loads((folder / "set.json").read_text())
    assert about == {
        "sha256": SET.sha256,
        "counts": {"documents": 2, "queries": 2, "judgments": 3},
        "kind": "titles",
        "held_out": 0.1,
        "sources": [{"name": "a.jsonl", "sha256": "0" * 64}],
    }


def test_the_documents_can_be_indexed(tmp_path: Path) -> None:
    write_set(SET, tmp_path / "known")
    records = [one for one in read_source(tmp_path / "known" / "corpus.jsonl") if isinstance(one, Abstract)]
    assert [(one.record_id, one.title, one.abstract) for one in records] == [
        ("d1", "", "Gout is painful."),
        ("PMID:2", "", SET.documents[1].text),
    ]


def test_a_folder_of_beir_is_read(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl.gz").write_bytes(
        gzip.compress(
            b'{"_id": "d1", "title": "Gout", "text": "It\\n hurts.", "metadata": {}}\n{"_id": 2, "text": "", "title": ""}\n'
        )
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "gout?"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td1\t1\n")
    found = read_set(tmp_path)
    assert found.documents == (SetText("d1", "It hurts.", "Gout"), SetText("2", ""))
    assert [document.text for document in found.documents] == ["Gout. It hurts.", ""]
    assert found.sha256 == replace(found, documents=(SetText("d1", "Gout. It hurts."), SetText("2", ""))).sha256
    assert (found.queries, found.judgments) == ((SetText("q", "gout?"),), Judgments({"q": {"d1": 1}}))
    assert found.name == tmp_path.name


def test_the_digest_is_of_all_that_matters_and_of_nothing_else() -> None:
    first, second = SET.documents
    spaced = (second, SetText("d1", " Gout  is painful."))
    same = TestSet("other", spaced, SET.queries[::-1], Judgments({"q2": {"PMID:2": 1}, "q1": {"PMID:2": 0, "d1": 2}}))
    assert same.sha256 == SET.sha256
    others = (
        TestSet("known", (first, SetText("PMID:2", "x")), SET.queries, SET.judgments),
        TestSet("known", (first, SetText("PMID:3", second.text)), SET.queries, SET.judgments),
        TestSet("known", SET.documents, (SET.queries[0], SetText("q2", "edema")), SET.judgments),
        TestSet("known", SET.documents, SET.queries, Judgments({"q1": {"d1": 1, "PMID:2": 0}, "q2": {"PMID:2": 1}})),
        TestSet("known", SET.queries, SET.documents, SET.judgments),
    )
    assert len({SET.sha256, *(other.sha256 for other in others)}) == 6


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", '{"id": "d1", "text": "x"}\n{"id": "d1", "text": "y"}', "line 2: id 'd1' is also on line 1"),
        ("corpus.jsonl", '{"id": "d1", "text": "x"}\nnot json', "line 2: found 'not json', expected"),
        ("corpus.jsonl", '{"text": "x"}', "line 1: found"),
        ("corpus.jsonl", '{"id": "", "text": "x"}', "line 1: found"),
        ("corpus.jsonl", '{"id": "d1"}', "line 1: found"),
        ("corpus.jsonl", '{"id": "d1", "text": 5}', "line 1: found"),
        ("corpus.jsonl", '["d1"]', "line 1: found"),
        ("queries.jsonl", "", r"queries\.jsonl is empty"),
        ("queries.jsonl", b"\x1f\x8bxx", "gzip data ends early"),
        ("qrels.tsv", "q1 d1", "expected lines of query"),
        ("set.json", "{", r"set\.json can't be read"),
        ("set.json", "[]", r'set\.json has no "sha256"'),
        (
            "set.json",
            '{"sha256": "abc"}',
            "is not the test set that its set.json describes: SHA-256 .*…, expected abc…",
        ),
        ("qrels.tsv", "query_id\tdoc_id\trelevance\nq1\td1\t1\n", "is not the test set that its set.json describes"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    write_set(SET, tmp_path)
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=message):
        read_set(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write_set(SET, tmp_path / "known")
    (tmp_path / "known" / "qrels.tsv").unlink()
    with pytest.raises(SourceError, match=r"has no qrels\.tsv: expected qrels\.tsv, qrels\.tsv\.gz"):
        read_set(tmp_path / "known")
    with pytest.raises(SourceError, match="is not a folder: expected one with corpus.jsonl"):
        read_set(tmp_path / "nothing")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes\.txt, expected a new folder or one with only corpus\.jsonl"):
        write_set(SET, tmp_path)
    with pytest.raises(UsageError, match=r"notes\.txt is a file, expected a new folder"):
        write_set(SET, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_set_of_real_judgments_is_read(shared: Path) -> None:
    found = read_set(shared / "med")
    assert (len(found.documents), len(found.queries), found.judgments.n_judged) == (1033, 30, 696)
