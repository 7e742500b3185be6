import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from engine.corpus.schema import KINDS, migrations
from engine.corpus.store import Corpus
from engine.records import Abstract
from tests.corpus.drafts import opened, origin

LATEST = "m005_words_and_terms"
LISTS = ("authors", "mesh", "publication_types", "keywords", "languages")
COLUMNS = ("id", "record_id", "title", "abstract", "journal", *LISTS)
OTHERS = "retracted, text_sha256, first_generation, changed_generation, text_generation"
INSERT = f"INTO abstracts ({', '.join(COLUMNS)}, {OTHERS}) VALUES ({', '.join('?' * len(COLUMNS))}, 0, '', 1, 1, 1)"
Row = tuple[str, str, str, list[list[str]]]  # title, abstract, journal, then LISTS


def fresh(*, latest: bool = True) -> Database:
    db = Database(memory=True)
    db.conn.execute("PRAGMA recursive_triggers = ON")
    migrations.apply(db, stop_before=None if latest else LATEST)
    return db


def write(db: Database, verb: str, doc_id: int, row: Row) -> None:
    title, abstract, journal, lists = row
    values = (doc_id, f"r{doc_id}", title, abstract, journal, *map(json.dumps, lists))
    db.conn.execute(f"{verb} {INSERT}", values)


def memberships(db: Database | sqlite3.Connection) -> set[tuple[str, str, int]]:
    """(kind, value in small letters, doc id); every term has a member, every member a term."""
    rows = db.execute(
        "SELECT t.kind, t.value, m.doc_id FROM members m LEFT JOIN terms t ON t.id = m.term_id"
    ).fetchall()
    assert None not in {kind for kind, _, _ in rows}
    assert db.execute("SELECT * FROM terms WHERE id NOT IN (SELECT term_id FROM members)").fetchall() == []
    return {(kind, lowered(value), doc_id) for kind, value, doc_id in rows}


def lowered(value: str) -> str:
    """As NOCASE compares: ASCII letters only."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in value)


def expected(rows: dict[int, Row]) -> set[tuple[str, str, int]]:
    found = set()
    for doc_id, (_, _, journal, lists) in rows.items():
        by_column = dict(zip(LISTS, lists, strict=True)) | {"journal": [journal]}
        for kind, column in KINDS.items():
            found |= {(kind, lowered(value), doc_id) for value in by_column[column] if value}
    return found


def tokens(db: Database) -> list[tuple[object, ...]]:
    """Everything that the full-text index holds: stem, doc id, column and place; and what it knows of lengths."""
    db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    db.execute("CREATE VIRTUAL TABLE temp.tokens USING fts5vocab(main, words, instance)")
    found = db.execute("SELECT * FROM temp.tokens ORDER BY 1, 2, 3, 4").fetchall()
    db.execute("DROP TABLE temp.tokens")
    found += db.execute("SELECT id, sz FROM words_docsize ORDER BY id").fetchall()
    return [*found, *db.execute("SELECT block FROM words_data WHERE id = 1").fetchall()]  # rows and tokens in all


TEXT = st.text("abAé \0\U0001f600", max_size=8)
VALUE = st.sampled_from(["Gout", "GOUT", "gout", "Straße", "STRASSE", "é", "É", "", "x\"y'z", "[]", "null", "1", "a b"])
ROW = st.tuples(TEXT, TEXT, VALUE, st.lists(st.lists(VALUE, max_size=3), min_size=5, max_size=5))
STEP = st.tuples(st.sampled_from(["insert", "replace", "update", "delete", "title"]), st.integers(1, 4), ROW)


@given(st.lists(STEP, max_size=12))
def test_words_and_terms_follow_every_change(steps: list[tuple[str, int, Row]]) -> None:
    db, rows = fresh(), dict[int, Row]()
    for verb, doc_id, row in steps:
        if verb == "delete":
            db.conn.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
            rows.pop(doc_id, None)
        elif verb == "replace" or (verb == "insert" and doc_id not in rows):
            write(db, verb, doc_id, row)
            rows[doc_id] = row
        elif verb == "title" and doc_id in rows:
            db.conn.execute("UPDATE abstracts SET title = ? WHERE id = ?", (row[0], doc_id))
            rows[doc_id] = (row[0], *rows[doc_id][1:])
        elif verb == "update" and doc_id in rows:
            assigned = ", ".join(f"{column} = ?" for column in COLUMNS[2:])
            values = (*row[:3], *map(json.dumps, row[3]), doc_id)
            db.conn.execute(f"UPDATE abstracts SET {assigned} WHERE id = ?", values)
            rows[doc_id] = row
    assert memberships(db) == expected(rows)
    rebuilt = fresh()
    for doc_id, row in rows.items():
        write(rebuilt, "INSERT", doc_id, row)
    assert tokens(db) == tokens(rebuilt)
    db.close()
    rebuilt.close()


@given(st.lists(ROW, max_size=4))
def test_an_older_database_is_brought_to_the_same_state(listed: list[Row]) -> None:
    older, newer, rows = fresh(latest=False), fresh(), dict(enumerate(listed, 1))
    for doc_id, row in rows.items():
        write(older, "INSERT", doc_id, row)
        write(newer, "INSERT", doc_id, row)
    migrations.apply(older)
    assert memberships(older) == memberships(newer) == expected(rows)
    assert tokens(older) == tokens(newer)
    older.close()
    newer.close()


def test_words_are_found_without_case_accents_and_endings() -> None:
    db = fresh()
    write(db, "INSERT", 1, ("Sjögren's ÉTUDES", "knee\0pain", "", [[]] * 5))

    def ids(text: str) -> list[int]:
        return [row[0] for row in db.execute("SELECT rowid FROM words WHERE words MATCH ?", [f'"{text}"']).fetchall()]

    for text in ("sjogren", "SJÖGREN", "etude", "étude", "pains", "knee pain", "s etudes"):
        assert ids(text) == [1], text
    assert ids("sjoegren") == []
    db.execute("UPDATE abstracts SET abstract = 'hip'")
    assert (ids("pain"), ids("hip"), ids("etude")) == ([], [1], [1])
    db.close()


def test_a_record_put_back_leaves_the_terms_of_others_alone(tmp_path: Path) -> None:
    gout = Abstract("a", "One", "Text.", mesh=("Gout",))
    with opened(tmp_path / "published.db", 1) as draft:
        draft.intake.put(gout, origin(1))
        draft.intake.put(replace(gout, record_id="b", title="Two"), origin(1))
    shutil.copy(tmp_path / "published.db", tmp_path / "draft.db")
    with opened(tmp_path / "draft.db", 2, tmp_path / "published.db") as draft:
        assert memberships(draft.connection) == {("mesh", "gout", 1), ("mesh", "gout", 2)}
        draft.intake.put(replace(gout, title="Other", mesh=("Hip",)), origin(2))
        assert memberships(draft.connection) == {("mesh", "hip", 1), ("mesh", "gout", 2)}
        draft.ledger.restore(1)
        assert memberships(draft.connection) == {("mesh", "gout", 1), ("mesh", "gout", 2)}
        found = draft.connection.execute("SELECT rowid FROM words WHERE words MATCH 'one OR other'").fetchall()
        assert found == [(1,)]
        draft.connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    with closing(Corpus(tmp_path / "draft.db")) as corpus:
        assert corpus.problems() == []


def test_a_record_costs_the_same_however_many_terms_there_are() -> None:
    def steps(n_terms: int) -> int:
        db, counted = fresh(), 0
        authors = [f"Author {n}" for n in range(n_terms)]
        write(db, "INSERT", 1, ("t", "a", "J", [authors, [], [], [], []]))

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        db.conn.set_progress_handler(count, 10)
        write(db, "INSERT", 2, ("t", "a", "J", [["Author 1", "Somebody New"], [], [], [], []]))
        db.conn.execute("UPDATE abstracts SET authors = '[\"Author 2\"]' WHERE id = 2")
        db.conn.execute("DELETE FROM abstracts WHERE id = 2")
        db.close()
        return counted

    assert steps(3000) < 2 * steps(30)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM words_docsize WHERE id = 1", "1 records are not in the index of words"),
        (
            "INSERT INTO words_docsize SELECT 9, sz FROM words_docsize",
            "1 entries of the index of words are of no record",
        ),
        ("INSERT INTO members SELECT id, 9 FROM terms", "1 members of terms are no records"),
        ("DELETE FROM terms", "1 members are of no term"),
    ],
)
def test_what_is_out_of_step_is_found(tmp_path: Path, damage: str, problem: str) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        draft.intake.put(Abstract("a", "One", "Text.", mesh=("Gout",)), origin(1))
    with closing(Corpus(path)) as corpus:
        assert corpus.is_searchable
        assert corpus.problems() == []
    with closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()
    with closing(Corpus(path)) as corpus:
        assert corpus.problems() == [f"{path}: {problem}"]
