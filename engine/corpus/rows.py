"""Abstract <-> row of the abstracts table."""

from __future__ import annotations

import json
import sqlite3

from engine.records import Abstract

# The columns that come from the source, in the order of as_values().
SOURCE_COLUMNS = (
    "record_id",
    "title",
    "abstract",
    "year",
    "journal",
    "authors",
    "pmid",
    "doi",
    "mesh",
    "publication_types",
    "retracted",
)


def as_values(abstract: Abstract) -> tuple[str | int | None, ...]:
    """Column values of an abstract, in the order of SOURCE_COLUMNS."""
    return (
        abstract.record_id,
        abstract.title,
        abstract.abstract,
        abstract.year,
        abstract.journal,
        json.dumps(abstract.authors, ensure_ascii=False),
        abstract.pmid,
        abstract.doi,
        json.dumps(abstract.mesh, ensure_ascii=False),
        json.dumps(abstract.publication_types, ensure_ascii=False),
        int(abstract.retracted),
    )


def as_abstract(row: sqlite3.Row) -> Abstract:
    """The abstract that a row holds."""
    return Abstract(
        record_id=row["record_id"],
        title=row["title"],
        abstract=row["abstract"],
        year=row["year"],
        journal=row["journal"],
        authors=tuple(json.loads(row["authors"])),
        pmid=row["pmid"],
        doi=row["doi"],
        mesh=tuple(json.loads(row["mesh"])),
        publication_types=tuple(json.loads(row["publication_types"])),
        retracted=bool(row["retracted"]),
    )
