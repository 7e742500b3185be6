import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engine.corpus.draft import SourceFile
from engine.corpus.merging.ledger import Change
from engine.corpus.merging.sightings import Fate
from engine.corpus.storage.store import AppliedFile, open_database
from engine.errors import AbstractNotFoundError, CorruptError
from engine.records.abstract import Abstract, Rejection
from engine.records.generation import FileCounts
from tests.corpus.drafts import opened, origin, stored

ONE = Abstract("PMID:1", "Knee", "Body", 2020, "J", ("Ann Ö",), "1", "10.1/X", ("Knee",), ("Trial",), retracted=False)
FIRST = LATER = origin(1)  # one file, read again later


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "abstracts.db"


def test_put_returns_the_change_since_the_start_of_the_run(path: Path) -> None:
    with opened(path, 1) as draft:
        put = partial(draft.intake.put, origin=FIRST)
        assert stored(put(ONE)) == (1, Change.ADDED)
        assert stored(put(replace(ONE, year=2021, abstract="New"))) == (1, Change.ADDED)
        assert stored(put(replace(ONE, record_id="PMID:2"))) == (2, Change.ADDED)  # same text, another record
        assert put(ONE).fate is Fate.REPEATED
        draft.note_lengths([(9, False, 1), (9, False, 2)])
    with opened(path, 2) as draft:
        put = partial(draft.intake.put, origin=LATER)
        assert stored(put(ONE)) == (1, Change.NONE)
        assert stored(put(replace(ONE, year=2021))) == (1, Change.METADATA)
        assert stored(put(replace(ONE, abstract="New"))) == (1, Change.TEXT)
        assert stored(put(replace(ONE, year=2022))) == (1, Change.METADATA)
        assert draft.count_to_encode(everything=False) == 0
        assert stored(put(ONE)) == (1, Change.NONE)
        rows = draft.connection.execute("SELECT id, n_tokens, changed_generation, text_generation FROM abstracts")
        assert rows.fetchall() == [(1, 9, 1, 1), (2, 9, 1, 1)]


def test_counting_records_does_not_read_their_texts(path: Path) -> None:
    with opened(path, 1) as draft:
        draft.intake.put(ONE, FIRST)
        statements: list[str] = []
        draft.connection.set_trace_callback(statements.append)
        assert not draft.is_empty() and draft.count_to_encode(everything=True) == draft.count_own() == 1
        draft.connection.set_trace_callback(None)
    assert not [sql for sql in statements if "trim(" in sql]


def test_abstracts_are_read_back_as_written(path: Path) -> None:
    odd = Abstract("x", "a\x00b \t\r\n", "e\u0301 \u2009 \U0001f600 'quoted' \"double\"", None, "", (), None, None)
    with opened(path, 1) as draft:
        draft.intake.put(ONE, FIRST)
        draft.intake.put(odd, FIRST)
    corpus = open_database(path)
    assert corpus.fetch([2, 1, 99]) == {1: ONE, 2: odd}
    corpus.close()


def test_a_deleted_id_is_never_reused(path: Path) -> None:
    with opened(path, 1) as draft:
        intake = draft.intake
        intake.put(ONE, FIRST)
        intake.put(replace(ONE, record_id="W9", pmid="77"), FIRST)
        assert intake.delete("PMID:1") == [1]
        assert intake.delete("PMID:1") == []
        assert intake.delete("PMID:77") == [2]
        assert stored(intake.put(ONE, FIRST)) == (3, Change.ADDED)
    with opened(path, 2) as draft:
        draft.intake.delete("PMID:1")
        assert stored(draft.intake.put(ONE, LATER)) == (4, Change.ADDED)


def test_only_changed_texts_are_encoded_in_the_next_generation(path: Path) -> None:
    rows = [replace(ONE, record_id=f"r{n}") for n in range(5)]
    with opened(path, 1) as draft:
        for row in rows:
            draft.intake.put(row, FIRST)
        assert [len(page) for page in draft.read_texts_to_encode(everything=False, page=2)] == [2, 2, 1]
    with opened(path, 2) as draft:
        draft.intake.put(replace(rows[1], year=1), LATER)
        draft.intake.put(replace(rows[3], title="New"), LATER)
        draft.intake.put(replace(rows[0], record_id="r9", pmid=None, doi=None), LATER)
        found = [row for page in draft.read_texts_to_encode(everything=False, page=9) for row in page]
        assert [row.record_id for row in found] == ["r3", "r9"]
        assert found[0].sha256 == "New|Body"
        assert draft.count_to_encode(everything=False) == 2
        assert draft.count_to_encode(everything=True) == 6


def test_an_error_discards_the_changes_and_closes(path: Path) -> None:
    with opened(path, 1) as draft:
        draft.intake.put(ONE, FIRST)
    with pytest.raises(ZeroDivisionError, match="x"), opened(path, 2) as draft:
        raise ZeroDivisionError("x")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        draft.connection.execute("SELECT 1")


def test_a_record_is_found_by_its_id_its_pmid_its_doi_and_other_sources_ids(path: Path) -> None:
    with opened(path, 1) as draft:
        draft.intake.put(replace(ONE, record_id="W7", pmid="31793330"), FIRST)
        draft.intake.put(replace(ONE, record_id="12345", pmid=None, doi=None), FIRST)
        draft.intake.put(replace(ONE, record_id="W7-elsewhere", pmid="31793330"), origin(2))
        draft.intake.put(
            replace(ONE, record_id="Embase:L620123456", title="Other", pmid=None, doi="10.1234/abc"), FIRST
        )
    corpus = open_database(path)
    for given in (
        "W7",
        " W7 ",
        "PMID:31793330",
        "pmid:31793330",
        "31793330",
        "10.1/x",
        "DOI:10.1/X",
        "https://doi.org/10.1/x",
        "W7-elsewhere",
        "31,793,330",
        "3.179333E7",
        "MEDLINE:31793330",
        "https://pubmed.ncbi.nlm.nih.gov/31793330/?format=abstract",
    ):
        assert corpus.find_doc_id(given) == 1, given
    assert corpus.find_doc_id("12345") == 2
    proxied = "https://doi-org.proxy.example.edu/10.1234/ABC?x=y"
    for given in ("Embase:L620123456", "L620123456", "EMBASE 620123456", proxied, "10.1234%2Fabc [doi]"):
        assert corpus.find_doc_id(given) == 3, given
    for given in ("", "PMID:", "w7", "\ud800", "'; DROP TABLE abstracts; --"):
        with pytest.raises(AbstractNotFoundError, match="Ids look like 'W7'"):
            corpus.find_doc_id(given)
    corpus.close()


def test_sources_and_rejections_are_kept(path: Path) -> None:
    with opened(path, 3) as draft:
        draft.intake.put(ONE, FIRST)
        number = draft.note_source(SourceFile("a.jsonl", "/x/a.jsonl", 10, "00", "JSONL", 7))
        draft.sightings.tally(number, Fate.REJECTED, 2)
        list(draft.write_counts({number: 3}))
        assert draft.read_known_files() == {(10, "00")}
        draft.note_rejection(Rejection("a.jsonl", "line 2", "no id"))
    corpus = open_database(path)
    assert corpus.read_sources() == [
        AppliedFile(3, "a.jsonl", "/x/a.jsonl", 10, "00", "JSONL", 7, FileCounts(2, 2, deletions=3))
    ]
    assert [tuple(row) for row in corpus.read_rows("SELECT source, place, reason FROM rejections")] == [
        ("a.jsonl", "line 2", "no id")
    ]
    assert corpus.read_generation() == 3
    corpus.close()


def test_sqlite_utils_and_file_tools_open_the_database(path: Path) -> None:
    import sqlite_utils

    with opened(path, 1) as draft:
        draft.intake.put(ONE, FIRST)
    assert path.read_bytes()[18:20] == b"\x01\x01"  # rollback journal, not WAL: readable on read-only media
    assert path.read_bytes()[68:72] == b"ABST"
    db = sqlite_utils.Database(path)
    assert {"abstracts", "generation", "sources", "rejections"} <= set(db.table_names())
    assert next(iter(db["abstracts"].rows))["title"] == "Knee"
    db.close()


@pytest.mark.parametrize(
    ("content", "found"), [(b"nonsense" * 1000, "file is not a database"), (b"", "it has no tables")]
)
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes, found: str) -> None:
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=rf"not a readable database of abstracts \({found}\)"):
        open_database(path)


def test_reading_creates_no_files(path: Path) -> None:
    with opened(path, 1) as draft:
        draft.intake.put(ONE, FIRST)
    corpus = open_database(path)
    corpus.count_totals()
    assert [p.name for p in path.parent.iterdir()] == ["abstracts.db"]
    corpus.close()
