"""The tables of abstracts.db as numbered migrations; sqlite-utils keeps the list of those applied."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from engine.corpus.rows import DEFAULTS
from engine.corpus.selections import BLANK_ABSTRACT
from engine.corpus.wording import STEMMED

WORDS = "words"  # the full-text index of titles and abstracts
# Kind of term -> the column of abstracts that holds it, as a JSON array but for the journal.
KINDS = {
    "journal": "journal",
    "mesh": "mesh",
    "type": "publication_types",
    "keyword": "keywords",
    "author": "authors",
    "language": "languages",
}
APPLICATION_ID = 0x41425354  # "ABST", so that file(1) and SQLite tools can tell the file

migrations = Migrations("engine.corpus")


@migrations()
def m001_abstracts(db: Database) -> None:
    """One row per abstract. AUTOINCREMENT: the id of a deleted abstract is never given again."""
    db.execute(
        """
        CREATE TABLE abstracts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            record_id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            abstract TEXT NOT NULL,
            year INTEGER,
            journal TEXT NOT NULL,
            authors TEXT NOT NULL,           -- JSON array
            pmid TEXT,
            doi TEXT,
            mesh TEXT NOT NULL,              -- JSON array
            publication_types TEXT NOT NULL, -- JSON array
            retracted INTEGER NOT NULL,
            text_sha256 TEXT NOT NULL,       -- of the text given to the encoder
            n_tokens INTEGER,                -- of that text, before truncation
            truncated INTEGER,               -- 1 where the encoder did not see the end
            first_generation INTEGER NOT NULL,
            changed_generation INTEGER NOT NULL,
            text_generation INTEGER NOT NULL -- when its vector was last computed
        )
        """
    )
    db.execute("CREATE INDEX abstracts_pmid ON abstracts (pmid) WHERE pmid IS NOT NULL")
    db.execute("CREATE INDEX abstracts_doi ON abstracts (doi COLLATE NOCASE) WHERE doi IS NOT NULL")


@migrations()
def m002_provenance(db: Database) -> None:
    """Which generation this is, which files it was made from and what was refused."""
    db["generation"].create({"number": int, "created": str}, pk="number")  # type: ignore[union-attr]
    db["sources"].create(  # type: ignore[union-attr]
        {"id": int, "generation": int, "name": str, "n_bytes": int, "sha256": str, "n_records": int}, pk="id"
    )
    db["rejections"].create(  # type: ignore[union-attr]
        {"id": int, "generation": int, "source": str, "place": str, "reason": str}, pk="id"
    )


@migrations()
def m003_application_id(db: Database) -> None:
    """Mark the file as ours."""
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@migrations()
def m004_several_sources(db: Database) -> None:
    """What each source says of a record, what PubMed deleted, and what each generation was made for."""
    for name, default in DEFAULTS.items():
        db.execute(f"ALTER TABLE abstracts ADD COLUMN {name} TEXT NOT NULL DEFAULT '{default}'")
    db.execute("ALTER TABLE abstracts ADD COLUMN reworded_generation INTEGER NOT NULL DEFAULT 0")
    db.execute("UPDATE abstracts SET reworded_generation = min(changed_generation, text_generation)")
    db.execute("CREATE INDEX abstracts_changed ON abstracts (changed_generation)")
    db.execute(
        """
        CREATE TABLE contributions (
            id INTEGER PRIMARY KEY,
            doc_id INTEGER NOT NULL,         -- abstracts.id
            own_id TEXT NOT NULL,            -- the id that this source gives the record
            format TEXT NOT NULL,            -- of the source; '' where it was added before sources were kept
            source_id INTEGER NOT NULL,      -- sources.id of the file that said it last; 0 where unknown
            spoken INTEGER NOT NULL,         -- sources.id of the file that said it first
            version INTEGER NOT NULL,        -- of the citation
            revised TEXT NOT NULL,           -- ISO 8601, '' where unknown
            release INTEGER NOT NULL,        -- of PubMed's numbered files, 0 for others
            digest BLOB NOT NULL,            -- of what the source said
            record TEXT                      -- what it said, as JSON; NULL where the row in abstracts says the same
        )
        """
    )
    db.execute("CREATE INDEX contributions_own_id ON contributions (own_id)")
    db.execute("CREATE INDEX contributions_doc_id ON contributions (doc_id)")
    db.execute(
        "INSERT INTO contributions (doc_id, own_id, format, source_id, spoken, version, revised, release, digest)"
        " SELECT id, record_id, '', 0, 0, 1, '', 0, x'' FROM abstracts ORDER BY id"
    )
    db.execute("CREATE TABLE deletions (pmid TEXT PRIMARY KEY, release INTEGER NOT NULL, generation INTEGER NOT NULL)")
    for column in ("path TEXT NOT NULL DEFAULT ''", "format TEXT NOT NULL DEFAULT ''", "release INTEGER DEFAULT 0"):
        db.execute(f"ALTER TABLE sources ADD COLUMN {column}")
    for column in ("parent INTEGER", "cause TEXT", "counts TEXT"):
        db.execute(f"ALTER TABLE generation ADD COLUMN {column}")


@migrations()
def m005_words_and_terms(db: Database) -> None:
    """What searches by words and filters look up, kept in step with the table abstracts by triggers."""
    db.execute(
        f"CREATE VIRTUAL TABLE {WORDS} USING fts5(title, abstract, content='abstracts', content_rowid='id',"
        f" tokenize='{STEMMED}')"
    )
    db.execute(f"INSERT INTO {WORDS} ({WORDS}) VALUES ('rebuild')")
    db.execute(
        "CREATE TABLE terms (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL COLLATE NOCASE,"
        " UNIQUE (kind, value))"
    )
    db.execute(
        "CREATE TABLE members (term_id INTEGER NOT NULL, doc_id INTEGER NOT NULL, PRIMARY KEY (term_id, doc_id))"
        " WITHOUT ROWID"
    )
    for kind, column in KINDS.items():
        values = values_of(column, "abstracts")
        every = f"FROM abstracts, {values} v WHERE v.value <> '' ORDER BY v.value"
        db.execute(f"INSERT OR IGNORE INTO terms (kind, value) SELECT '{kind}', v.value {every}")
        db.execute(
            f"INSERT OR IGNORE INTO members SELECT t.id, abstracts.id FROM abstracts, {values} v"
            f" CROSS JOIN terms t ON t.kind = '{kind}' AND t.value = v.value ORDER BY 1, 2"
        )
        keep_terms(db, kind, column)
    keep_words(db)
    db.execute("CREATE INDEX abstracts_year ON abstracts (year)")
    db.execute("CREATE INDEX abstracts_retracted ON abstracts (id) WHERE retracted")
    db.execute(f"CREATE INDEX abstracts_blank ON abstracts (id) WHERE {BLANK_ABSTRACT}")
    db.execute("CREATE INDEX contributions_source ON contributions (source_id, doc_id)")
    db.execute("CREATE INDEX contributions_spoken ON contributions (spoken, doc_id)")


def values_of(column: str, row: str) -> str:
    """SQL for the values of a column of a row, as a table with the column value."""
    return f"json_each({f'json_array({row}.journal)' if column == 'journal' else f'{row}.{column}'})"


def keep_words(db: Database) -> None:
    """Triggers that keep the full-text index in step; it holds no text of its own, so it is told what goes."""
    gone = f"INSERT INTO {WORDS} ({WORDS}, rowid, title, abstract) VALUES ('delete', old.id, old.title, old.abstract);"
    new = f"INSERT INTO {WORDS} (rowid, title, abstract) VALUES (new.id, new.title, new.abstract);"
    db.execute(f"CREATE TRIGGER words_insert AFTER INSERT ON abstracts BEGIN {new} END")
    db.execute(f"CREATE TRIGGER words_delete AFTER DELETE ON abstracts BEGIN {gone} END")
    differ = "WHEN (old.title, old.abstract) IS NOT (new.title, new.abstract)"
    db.execute(
        f"CREATE TRIGGER words_update AFTER UPDATE OF title, abstract ON abstracts {differ} BEGIN {gone} {new} END"
    )


def keep_terms(db: Database, kind: str, column: str) -> None:
    """Triggers that keep terms and members of one kind in step.

    No INSERT OR IGNORE for terms: in a trigger that a REPLACE fires it would be a REPLACE too and give a new id to a
    term that other records have. CROSS JOIN: the values come first, else SQLite goes through all terms for each record.
    """
    there = f"t.kind = '{kind}' AND t.value = v.value"
    new = (
        f"INSERT INTO terms (kind, value) SELECT '{kind}', min(v.value) FROM {values_of(column, 'new')} v"
        f" WHERE v.value <> '' AND NOT EXISTS (SELECT 1 FROM terms t WHERE {there}) GROUP BY v.value COLLATE NOCASE;"
        f" INSERT OR IGNORE INTO members SELECT t.id, new.id FROM {values_of(column, 'new')} v"
        f" CROSS JOIN terms t ON {there};"
    )
    of_old = f"(SELECT t.id FROM {values_of(column, 'old')} v CROSS JOIN terms t ON {there})"
    gone = (
        f"DELETE FROM members WHERE doc_id = old.id AND term_id IN {of_old};"
        f" DELETE FROM terms WHERE id IN {of_old} AND NOT EXISTS (SELECT 1 FROM members WHERE term_id = terms.id);"
    )
    db.execute(f"CREATE TRIGGER {kind}_insert AFTER INSERT ON abstracts BEGIN {new} END")
    db.execute(f"CREATE TRIGGER {kind}_delete AFTER DELETE ON abstracts BEGIN {gone} END")
    differ = f"WHEN old.{column} IS NOT new.{column}"
    db.execute(f"CREATE TRIGGER {kind}_update AFTER UPDATE OF {column} ON abstracts {differ} BEGIN {gone} {new} END")
