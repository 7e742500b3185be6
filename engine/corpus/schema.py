"""The tables and views of abstracts.db and state.db; docs/format.md describes each column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.corpus.selection.arrays import write_arrays
from engine.corpus.selection.clauses import BLANK_ABSTRACT
from engine.records.abstract import SOURCE_FIELDS

if TYPE_CHECKING:
    from sqlite_utils import Database

# Kind of term -> its column in abstracts: a JSON array, except for the journal.
KINDS = {
    "journal": "journal",
    "mesh": "mesh",
    "type": "publication_types",
    "keyword": "keywords",
    "author": "authors",
    "language": "languages",
    "label": "labels",
    "database": "databases",
}
_APPLICATION_ID = 0x41425354  # "ABST", so that file(1) and SQLite tools recognise the file


def _define_column(field: str) -> str:
    """Return the SQL that defines the column of a field of Abstract; a list is a JSON array, a flag 1 or 0."""
    special = {"record_id": "TEXT NOT NULL UNIQUE", "year": "INTEGER", "pmid": "TEXT", "doi": "TEXT"}
    return f"{field} {special.get(field, 'INTEGER NOT NULL' if field == 'retracted' else 'TEXT NOT NULL')}"


_PART_COLUMNS = {
    **{field: _define_column(field).removeprefix(f"{field} ").removesuffix(" UNIQUE") for field in SOURCE_FIELDS},
    "text_sha256": "TEXT NOT NULL",
    "n_tokens": "INTEGER",
    "truncated": "INTEGER",
    **dict.fromkeys(
        ("first_generation", "changed_generation", "text_generation", "reworded_generation"), "INTEGER NOT NULL"
    ),
}  # of abstracts, but for the id

# Of the whole generation, in the file state.db; a segment has the rows of the first two that its records refer to.
_STATE_TABLES = {
    "generation": """(
        number INTEGER PRIMARY KEY,
        created TEXT NOT NULL,               -- UTC, ISO 8601
        parent INTEGER REFERENCES generation (number), -- from which it was made; NULL for the first
        cause TEXT,                          -- the command that made it
        counts TEXT                          -- JSON object: records and changes
    )
    """,
    "sources": """(
        id INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL REFERENCES generation (number), -- for which the file was read
        name TEXT NOT NULL,                  -- of the file
        path TEXT NOT NULL,                  -- absolute
        n_bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        format TEXT NOT NULL,
        release INTEGER NOT NULL,            -- number of PubMed's file, 0 for others
        file_id INTEGER NOT NULL,            -- id of the first row of the same file; 0: numbered files of PubMed
        n_records INTEGER NOT NULL,          -- the sum of the next nine columns
        rejected INTEGER NOT NULL DEFAULT 0,
        repeated INTEGER NOT NULL DEFAULT 0,
        merged INTEGER NOT NULL DEFAULT 0,
        unchanged INTEGER NOT NULL DEFAULT 0,
        added INTEGER NOT NULL DEFAULT 0,
        text_changed INTEGER NOT NULL DEFAULT 0,
        metadata_changed INTEGER NOT NULL DEFAULT 0,
        outdated INTEGER NOT NULL DEFAULT 0,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        deletions INTEGER NOT NULL DEFAULT 0 -- by PubMed; these are no records
    )
    """,
    "rejections": """(
        id INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL REFERENCES generation (number),
        source TEXT NOT NULL,                -- name of the file
        place TEXT NOT NULL,                 -- position in the file
        reason TEXT NOT NULL
    )
    """,
    "deletions": """(
        pmid TEXT PRIMARY KEY,
        release INTEGER NOT NULL,            -- number of PubMed's file that deleted it
        generation INTEGER NOT NULL REFERENCES generation (number)
    )
    """,
}
_TABLES = (
    # AUTOINCREMENT: the id of a deleted abstract is never reused.
    f"""
    CREATE TABLE abstracts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        {", ".join(map(_define_column, SOURCE_FIELDS))},
        text_sha256 TEXT NOT NULL,           -- of the encoder's text
        n_tokens INTEGER,                    -- of that text, before truncation
        truncated INTEGER,                   -- 1 if the encoder did not read the end
        first_generation INTEGER NOT NULL,
        changed_generation INTEGER NOT NULL,
        text_generation INTEGER NOT NULL,    -- when its vector was last computed
        reworded_generation INTEGER NOT NULL -- when its text last changed
    )
    """,
    """
    CREATE TABLE contributions (
        id INTEGER PRIMARY KEY,
        doc_id INTEGER NOT NULL REFERENCES abstracts (id),
        own_id TEXT NOT NULL,                -- the id that this source gives the record
        format TEXT NOT NULL,                -- of the source
        source_id INTEGER NOT NULL REFERENCES sources (id), -- the file that gave it last
        spoken INTEGER NOT NULL REFERENCES sources (id), -- the file that gave it first
        version INTEGER NOT NULL,            -- of the citation
        revised TEXT NOT NULL,               -- ISO 8601, '' where unknown
        release INTEGER NOT NULL,            -- number of PubMed's file, 0 for others
        digest BLOB NOT NULL,                -- SHA-256 of the record of the source
        record TEXT,                         -- JSON; NULL if the row in abstracts is the same
        part INTEGER REFERENCES parts (id)   -- the record it belongs to without decisions; NULL: doc_id
    )
    """,
    # The records that decisions join, as they are without the decisions. No row is in abstracts but the first of each.
    f"""
    CREATE TABLE parts (
        id INTEGER PRIMARY KEY,
        {", ".join(f"{column} {kind}" for column, kind in _PART_COLUMNS.items())},
        joined INTEGER NOT NULL REFERENCES abstracts (id) -- the record that it is part of
    )
    """,
    """
    CREATE TABLE sightings (
        doc_id INTEGER NOT NULL,             -- of abstracts; the row may be gone if PubMed deleted it since
        file_id INTEGER NOT NULL,            -- sources.file_id of the file that gives the record
        reading INTEGER NOT NULL,            -- sources.id of the last reading in which it gave it
        outcome TEXT NOT NULL,               -- of that reading: the column of sources that counts it
        rule TEXT,                           -- PMID, DOI, id, text or decision; NULL for the file it came from
        n INTEGER NOT NULL,                  -- records of the file that are this one
        origin TEXT,                         -- database that the file's record names
        PRIMARY KEY (doc_id, file_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE terms (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,                  -- journal, mesh, type, keyword, author, language, label or database
        value TEXT NOT NULL COLLATE NOCASE,
        UNIQUE (kind, value)
    )
    """,
    """
    CREATE TABLE members (
        term_id INTEGER NOT NULL REFERENCES terms (id),
        doc_id INTEGER NOT NULL REFERENCES abstracts (id),
        PRIMARY KEY (term_id, doc_id)
    ) WITHOUT ROWID
    """,
)
# Used while records are added; the others are made at the end, which is faster.
_KEY_INDEXES = (
    "abstracts_pmid ON abstracts (pmid) WHERE pmid IS NOT NULL",
    "abstracts_doi ON abstracts (doi COLLATE NOCASE) WHERE doi IS NOT NULL",
    "contributions_own_id ON contributions (own_id)",
    "contributions_doc_id ON contributions (doc_id)",
    "parts_joined ON parts (joined)",
)
_INDEXES = (
    "abstracts_changed ON abstracts (changed_generation)",
    "abstracts_year ON abstracts (year)",
    "abstracts_retracted ON abstracts (id) WHERE retracted",
    f"abstracts_blank ON abstracts (id) WHERE {BLANK_ABSTRACT}",
    "contributions_part ON contributions (part) WHERE part IS NOT NULL",
    "contributions_source ON contributions (source_id, doc_id)",
    "contributions_spoken ON contributions (spoken, doc_id)",
)
_VIEWS = {
    "records_with_sources": """
        SELECT a.id, a.record_id, a.title, a.year, a.journal, a.pmid, a.doi,
            c.own_id, c.format, f.name AS first_file, s.name AS file, s.path, s.generation
        FROM abstracts a
        JOIN contributions c ON c.doc_id = a.id
        JOIN sources f ON f.id = c.spoken
        JOIN sources s ON s.id = c.source_id
    """,
    "records_with_terms": """
        SELECT a.id, a.record_id, a.title, a.year, t.kind, t.value
        FROM terms t
        JOIN members m ON m.term_id = t.id
        JOIN abstracts a ON a.id = m.doc_id
    """,
}


def create_tables(db: Database) -> None:
    """Create the tables of a segment in an empty database, and the indexes that are used while records are added.

    Foreign keys are declared but not enforced while a draft is written; Corpus.find_problems checks them before a
    generation is published.
    """
    db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    for table in _TABLES:
        db.execute(table)
    for index in _KEY_INDEXES:
        db.execute(f"CREATE INDEX {index}")


def create_state(db: Database, schema: str) -> None:
    """Create the tables of the state of a generation in an attached, empty database of this name."""
    for name, columns in _STATE_TABLES.items():
        db.execute(f"CREATE TABLE {schema}.{name} {columns}")


def finish_tables(db: Database, state: str) -> None:
    """Complete a segment whose records are written: terms, sources, indexes, views and arrays.

    state: the name under which the state of the generation is attached.
    """
    for name, rows in _COPIED.items():
        db.execute(f"CREATE TABLE main.{name} {_STATE_TABLES[name]}")
        db.execute(f"INSERT INTO main.{name} SELECT * FROM {state}.{name} {rows}")
    for kind, column in KINDS.items():
        _fill_terms(db, kind, column)
    for index in _INDEXES:
        db.execute(f"CREATE INDEX main.{index}")
    for name, select in _VIEWS.items():
        db.execute(f"CREATE VIEW main.{name} AS {select}")
    write_arrays(db.conn)


# The rows of the state that a segment has, too.
_COPIED = {
    "generation": "",
    "sources": "WHERE id IN (SELECT source_id FROM contributions UNION SELECT spoken FROM contributions"
    " UNION SELECT reading FROM sightings)",
}


def _fill_terms(db: Database, kind: str, column: str) -> None:
    """Write the terms of one kind and their members.

    Of several spellings that differ in case, the first in the order of bytes is kept. Sorted rows are appended to the
    table. CROSS JOIN reads the values of each record first; otherwise SQLite scans all terms for each record.
    """
    values = f"json_each({f'json_array(a.{column})' if column == 'journal' else f'a.{column}'})"
    db.execute(
        f"INSERT INTO terms (kind, value) SELECT '{kind}', min(v.value COLLATE BINARY) FROM abstracts a, {values} v"
        " WHERE v.value <> '' GROUP BY v.value COLLATE NOCASE ORDER BY 2"
    )
    db.execute(
        f"INSERT OR IGNORE INTO members SELECT t.id, a.id FROM abstracts a CROSS JOIN {values} v"
        f" CROSS JOIN terms t ON t.kind = '{kind}' AND t.value = v.value ORDER BY t.id, a.id"
    )
