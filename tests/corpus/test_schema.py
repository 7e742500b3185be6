import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database
from sqlite_utils.cli import cli as sqlite_utils_command

from engine.corpus.draft import SourceFile
from engine.corpus.schema import KINDS, create_state, create_tables, finish_tables
from engine.corpus.storage.arrays import CREATE_ARRAYS
from engine.corpus.storage.store import open_database
from engine.records.abstract import LIST_FIELDS, TEXT_FIELDS, Abstract, Rejection
from tests.conftest import ROOT
from tests.corpus.drafts import opened, origin

LISTS = ("authors", "mesh", "publication_types", "keywords", "languages", "labels", "databases")
COLUMNS = ("id", "record_id", "title", "abstract", "journal", *LISTS)
OTHERS = {
    "retracted": 0,
    **{name: "'[]'" if name in LIST_FIELDS else "''" for name in (*TEXT_FIELDS, *LIST_FIELDS) if name not in COLUMNS},
    "text_sha256": "''",
    "first_generation": 1,
    "changed_generation": 1,
    "text_generation": 1,
    "reworded_generation": 1,
}
INSERT = (
    f"INTO abstracts ({', '.join((*COLUMNS, *OTHERS))})"
    f" VALUES ({', '.join((*'?' * len(COLUMNS), *map(str, OTHERS.values())))})"
)
Row = tuple[str, str, str, list[list[str]]]  # title, abstract, journal, then LISTS


def fresh() -> Database:
    db = Database(memory=True)
    db.conn.execute("ATTACH ':memory:' AS state")
    create_state(db, "state")
    create_tables(db)
    return db


def write(db: Database, verb: str, doc_id: int, row: Row) -> None:
    title, abstract, journal, lists = row
    values = (doc_id, f"r{doc_id}", title, abstract, journal, *map(json.dumps, lists))
    db.conn.execute(f"{verb} {INSERT}", values)


def memberships(db: Database | sqlite3.Connection) -> set[tuple[str, str, int]]:
    """Return (kind, lower-case value, doc id); check that every term has a member and every member a term."""
    rows = db.execute(
        "SELECT t.kind, t.value, m.doc_id FROM members m LEFT JOIN terms t ON t.id = m.term_id"
    ).fetchall()
    assert None not in {kind for kind, _, _ in rows}
    assert db.execute("SELECT * FROM terms WHERE id NOT IN (SELECT term_id FROM members)").fetchall() == []
    return {(kind, lowered(value), doc_id) for kind, value, doc_id in rows}


def lowered(value: str) -> str:
    """Lower the case of ASCII letters only, as NOCASE does."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in value)


def expected(rows: dict[int, Row]) -> set[tuple[str, str, int]]:
    found = set()
    for doc_id, (_, _, journal, lists) in rows.items():
        by_column = dict(zip(LISTS, lists, strict=True)) | {"journal": [journal]}
        for kind, column in KINDS.items():
            found |= {(kind, lowered(value), doc_id) for value in by_column[column] if value}
    return found


TEXT = st.text("abAé \0\U0001f600", max_size=8)
VALUE = st.sampled_from(["Gout", "GOUT", "gout", "Straße", "STRASSE", "é", "É", "", "x\"y'z", "[]", "null", "1", "a b"])
ROW = st.tuples(TEXT, TEXT, VALUE, st.lists(st.lists(VALUE, max_size=3), min_size=len(LISTS), max_size=len(LISTS)))


@given(st.dictionaries(st.integers(1, 9), ROW, max_size=6))
def test_terms_are_those_of_the_records(rows: dict[int, Row]) -> None:
    db = fresh()
    for doc_id, row in rows.items():
        write(db, "INSERT", doc_id, row)
    finish_tables(db, "state")
    assert memberships(db) == expected(rows)
    assert (
        db.execute("SELECT kind, lower(value), count(*) FROM terms GROUP BY 1, 2 HAVING count(*) > 1").fetchall() == []
    )
    db.close()


def test_of_several_spellings_the_first_in_the_order_of_bytes_is_kept() -> None:
    db = fresh()
    for doc_id, journal in enumerate(("gut", "Gut", "GUT"), 1):
        write(db, "INSERT", doc_id, ("t", "a", journal, [[]] * len(LISTS)))
    finish_tables(db, "state")
    assert db.execute("SELECT kind, value FROM terms").fetchall() == [("journal", "GUT")]
    db.close()


def test_a_restored_record_has_its_terms_again(tmp_path: Path) -> None:
    gout = Abstract("a", "One", "Text.", mesh=("Gout",))
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.put(gout, origin(1))
        draft.intake.put(replace(gout, record_id="b", title="Two"), origin(1))
    with opened(path, 2) as draft:
        draft.intake.put(replace(gout, title="Other", mesh=("Hip",)), origin(2))
        draft.intake.put(replace(gout, record_id="b", title="Three", mesh=("Knee",)), origin(2))
        draft.ledger.restore(1)
    with closing(sqlite3.connect(path)) as db:
        assert memberships(db) == {("mesh", "gout", 1), ("mesh", "knee", 2)}
    with closing(open_database(path)) as corpus:
        assert corpus.find_problems() == []


def test_the_cost_of_the_terms_grows_with_their_number_only() -> None:
    def count_steps(n_records: int) -> int:
        db, counted = fresh(), 0
        for doc_id in range(1, n_records + 1):
            write(db, "INSERT", doc_id, (f"t{doc_id}", "a", "J", [[f"Author {doc_id}"], *[[]] * (len(LISTS) - 1)]))

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        db.conn.set_progress_handler(count, 10)
        finish_tables(db, "state")
        db.close()
        return counted

    assert count_steps(2000) < 15 * count_steps(200)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("INSERT INTO members SELECT id, 9 FROM terms", "1 rows of members refer to a missing row of abstracts"),
        ("DELETE FROM terms", "1 rows of members refer to a missing row of terms"),
        (
            "INSERT INTO contributions SELECT 9, 9, own_id, format, source_id, spoken, version, revised, release, digest,"
            " record, part FROM contributions",
            "1 rows of contributions refer to a missing row of abstracts",
        ),
        ("UPDATE contributions SET spoken = 99", "1 rows of contributions refer to a missing row of sources"),
    ],
)
def test_inconsistencies_are_found(tmp_path: Path, damage: str, problem: str) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.put(Abstract("a", "One", "Text.", mesh=("Gout",)), origin(1))
    with closing(open_database(path)) as corpus:
        assert corpus.find_problems() == []
    with closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()
    with closing(open_database(path)) as corpus:
        assert corpus.find_problems() == [f"{path}: {problem}"]


@pytest.fixture
def two_sources(tmp_path: Path) -> Path:
    """Build a database of two records, the first with two sources."""
    path = tmp_path / "abstracts.db"
    gout = Abstract("PMID:1", "Gout", "Beer and gout.", 2020, "Lancet", ("Doe J", "Roe R"), pmid="1", mesh=("Gout",))
    with opened(path, 1) as draft:
        pubmed = draft.note_source(SourceFile("a.xml", "/in/a.xml", 10, "00", "PubMed XML", 20260001))
        scopus = draft.note_source(SourceFile("b.ris", "/in/b.ris", 10, "11", "RIS"))
        draft.intake.put(gout, origin(pubmed, "PubMed XML"))
        draft.intake.put(replace(gout, record_id="S2"), origin(scopus, "RIS"))
        draft.intake.put(Abstract("K", "Knee pain", ""), origin(scopus, "RIS"))
        draft.note_rejection(Rejection("b.ris", "line 9", "no title"))
        draft.intake.delete("PMID:9", 20260001)
    return path


def test_the_documented_command_lets_other_tools_search_a_copy(two_sources: Path) -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    (command,) = (line.strip() for line in page.splitlines() if "sqlite-utils enable-fts" in line)
    copying, enabling = command.split(" && ")
    assert copying == "cp --no-preserve=mode abstracts.db copy.db"
    copy = two_sources.with_name("copy.db")
    shutil.copyfile(two_sources, copy)
    program, *given = shlex.split(enabling)
    assert program == "sqlite-utils"
    result = CliRunner().invoke(sqlite_utils_command, [str(copy) if each == "copy.db" else each for each in given])
    assert result.exit_code == 0, result.output
    db = Database(copy)
    assert db["abstracts"].detect_fts() == "abstracts_fts"
    assert [row["record_id"] for row in db["abstracts"].search("beers")] == ["PMID:1"]
    db.close()


def test_other_tools_follow_the_keys(two_sources: Path) -> None:
    db = Database(two_sources)
    keys = {(key.table, key.column, key.other_table) for table in db.tables for key in table.foreign_keys}
    assert keys == {
        ("members", "term_id", "terms"),
        ("members", "doc_id", "abstracts"),
        ("contributions", "doc_id", "abstracts"),
        ("contributions", "source_id", "sources"),
        ("contributions", "spoken", "sources"),
        ("contributions", "part", "parts"),
        ("parts", "joined", "abstracts"),
        ("sources", "generation", "generation"),
        ("rejections", "generation", "generation"),
        ("deletions", "generation", "generation"),
        ("generation", "parent", "generation"),
    }
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()


def test_the_views_join_records_with_their_sources_and_terms(two_sources: Path) -> None:
    db = Database(two_sources)
    rows = db.execute("SELECT record_id, own_id, format, first_file, file, path, generation FROM records_with_sources")
    assert rows.fetchall() == [
        ("PMID:1", "PMID:1", "PubMed XML", "a.xml", "a.xml", "/in/a.xml", 1),
        ("PMID:1", "S2", "RIS", "b.ris", "b.ris", "/in/b.ris", 1),
        ("K", "K", "RIS", "b.ris", "b.ris", "/in/b.ris", 1),
    ]
    rows = db.execute("SELECT kind, value FROM records_with_terms WHERE record_id = 'PMID:1' ORDER BY kind, value")
    assert rows.fetchall() == [("author", "Doe J"), ("author", "Roe R"), ("journal", "Lancet"), ("mesh", "Gout")]
    db.close()


def test_every_column_is_described_in_the_documentation(two_sources: Path) -> None:
    db = Database(two_sources)
    db.execute(CREATE_ARRAYS)  # only a large segment has them
    described = (ROOT / "docs" / "format.md").read_text(encoding="utf-8").partition("\n## abstracts.db\n")[2]
    sections = dict(part.split("\n", 1) for part in described.split("\n### ")[1:])
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()}
    assert set(sections) == {name for name in names if not name.startswith(("sqlite_", "words_"))}
    for name, text in sections.items():
        rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        columns = [column for row in rows for column in re.findall(r"`(\w+)`", row)]
        if name == "parts":  # and the columns of abstracts
            columns += [row[1] for row in db.execute("PRAGMA table_info(abstracts)").fetchall()]
        assert sorted(columns) == sorted(row[1] for row in db.execute(f"PRAGMA table_info({name})").fetchall()), name
    db.close()
