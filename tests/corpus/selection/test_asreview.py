"""Projects of ASReview, made as it makes them."""

import sqlite3
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from engine.corpus.selection.asreview import is_project, read_project
from engine.errors import UsageError

RECORDS = """
    CREATE TABLE record (record_id INTEGER PRIMARY KEY, dataset_row INTEGER, dataset_id TEXT, title TEXT, abstract TEXT,
        authors JSON, keywords JSON, year INTEGER, doi TEXT, url TEXT, included INTEGER)
"""
RESULTS = """
    CREATE TABLE results (record_id INTEGER UNIQUE, label INTEGER, classifier TEXT, querier TEXT, balancer TEXT,
        feature_extractor TEXT, training_set INTEGER, time FLOAT, note TEXT, tags JSON, user_id INTEGER)
"""
Row = tuple[str, int, int | None, str | None, str | None]  # title, year, label, note, tags


def make_project(path: Path, rows: Sequence[Row], version: int) -> Path:
    """Write a project of version 2 or 3 with these records."""
    names = {2: ("data_store.db", "reviews/ab12/results.db"), 3: ("results.db", "results.db")}[version]
    places = [path.with_name(f"{path.name}-{version}-{Path(name).name}") for name in names]
    with closing(sqlite3.connect(places[0])) as records, closing(sqlite3.connect(places[1])) as results:
        records.execute(RECORDS)
        records.executemany(
            "INSERT INTO record (dataset_row, dataset_id, title, abstract, authors, year) VALUES (?, 'a', ?, '', ?, ?)",
            [(n, title, '["Toy, Ada"]', year) for n, (title, year, *_) in enumerate(rows)],
        )
        records.commit()
        results.execute(RESULTS)
        results.executemany(
            "INSERT INTO results (record_id, label, note, tags) VALUES (?, ?, ?, ?)",
            [(n, label, note, tags) for n, (_, _, label, note, tags) in enumerate(rows, 1) if label is not None],
        )
        results.commit()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("project.json", "{}")
        archive.writestr("data/toy.csv", "title\n")
        for name, place in dict(zip(names, places, strict=True)).items():
            archive.write(place, name)
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_every_record_with_its_label(tmp_path: Path, version: int) -> None:
    tags = '[{"label": "Design", "values": [{"label": "RCT", "checked": true}, {"label": "cohort", "checked": false}]}]'
    path = make_project(
        tmp_path / "a.asreview", [("Gout", 2001, 1, "odd", tags), ("Lupus", 2002, None, None, None)], version
    )
    assert is_project(path)
    first, second = read_project(path)
    assert (first.title, first.year, first.label, first.note, first.tags) == ("Gout", 2001, 1, "odd", ("RCT",))
    assert first.authors == ("Toy, Ada",) and (second.title, second.label, second.tags) == ("Lupus", None, ())


def test_what_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("title\nGout\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "title\n")
    assert not is_project(tmp_path / "a.csv") and not is_project(tmp_path / "a.zip")
    assert not is_project(tmp_path / "missing") and not is_project(tmp_path)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({}, "a project of ASReview without records, expected a project that ASReview LAB 2"),
        ({"reviews/ab/results.sql": b""}, "a project of ASReview 1, expected"),
        ({"results.db": b"no database at all"}, r"broken project of ASReview \(DatabaseError"),
        ({"results.db": b""}, r"broken project of ASReview \(OperationalError: no such table"),
        ({"results.db": bytes(20_000_000)}, "inflate to 20,000,000, expected"),
    ],
)
def test_damaged_projects_are_refused(tmp_path: Path, parts: dict[str, bytes], says: str) -> None:
    path = tmp_path / "a.asreview"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.json", "{}")
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(UsageError, match=says):
        read_project(path)
