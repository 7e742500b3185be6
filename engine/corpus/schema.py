"""The tables of abstracts.db as numbered migrations; sqlite-utils keeps the list of those applied."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

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
