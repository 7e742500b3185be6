"""Bytes of a folder: links once, files by kind, tables with their indexes."""

import os
import sqlite3
import sys
from pathlib import Path

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import scale_bytes


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").write_bytes(bytes(100))
    os.link(tmp_path / "one" / "file", tmp_path / "two" / "file")
    (tmp_path / "two" / "other").write_bytes(bytes(7))
    (tmp_path / "link").symlink_to(tmp_path / "two" / "other")
    assert scale_bytes.count_bytes(tmp_path) == 107
    assert len(scale_bytes.list_files([tmp_path / "one", tmp_path / "two"])) == 2


def test_kinds_are_names_without_numbers_and_digests(tmp_path: Path) -> None:
    sizes = {"dead-000007-3fa2b1c4": 2, "dead-000012-00a2b1c4": 3, "abstracts.db": 10}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    found = scale_bytes.count_by_kind(scale_bytes.list_files([tmp_path]))
    assert found == {"abstracts.db": 10, "dead-…-…": 5}


def make_database(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript("""
        PRAGMA page_size = 4096;
        CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT);
        CREATE INDEX names ON rows (name);
        CREATE TABLE gone (text TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO rows SELECT i, 'name ' || i FROM n;
        INSERT INTO gone SELECT hex(zeroblob(4000)) FROM rows;
        DROP TABLE gone;
    """)
    connection.commit()
    connection.close()
    return path


def test_tables_have_the_bytes_of_their_indexes(tmp_path: Path) -> None:
    path = make_database(tmp_path / "a.db")
    found = scale_bytes.measure_tables(path)
    assert found["tables"].keys() == {"rows", "sqlite_schema"}
    assert sum(found["tables"].values()) + found["free_pages"] == path.stat().st_size
    assert found["free_pages"] > 500 * 4000
    assert 0 < found["unused_in_pages"] < sum(found["tables"].values())


def test_databases_are_added_and_other_files_left_out(tmp_path: Path) -> None:
    one, two = (make_database(tmp_path / name) for name in ("a.db", "b.db"))
    (tmp_path / "vectors").write_bytes(b"no database")
    alone, both = scale_bytes.add_tables([one]), scale_bytes.add_tables([one, two, tmp_path / "vectors"])
    assert both["tables"] == {name: 2 * size for name, size in alone["tables"].items()}
    assert both["free_pages"] == 2 * alone["free_pages"]
