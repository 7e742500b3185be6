"""Arrays of a segment: what filters read instead of rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.selection import arrays
from engine.corpus.selection.filters import find_qualified
from engine.corpus.storage import arrays as stored
from engine.corpus.storage.store import Corpus, open_database
from engine.options import Filters
from engine.records.abstract import Abstract
from tests.corpus.drafts import opened, origin

RECORDS = [
    Abstract("a", "One", "Text.", 2001, "Lancet", pmid="1", mesh=("Gout", "Beer")),
    Abstract("b", "Two", "", None, "BMJ", mesh=("Gout",)),
    Abstract("c", "Three", "Text.", -1, "BMJ", doi="10.1/c", mesh=("gout", "Lupus"), pmcid="PMC1"),
]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of three records with arrays; terms of two or more records have one."""
    monkeypatch.setattr(arrays, "_LEAST", 3)
    monkeypatch.setattr(arrays, "_FREQUENT", 2)
    with opened(tmp_path / "a.db", 1) as draft:
        for record in RECORDS:
            draft.intake.put(record, origin(1))
    return tmp_path / "a.db"


def find(corpus: Corpus, where: str) -> list[int]:
    return find_qualified(corpus, Filters(where=where)).doc_ids.tolist()


def test_filters_read_arrays_and_not_the_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE abstracts SET year = 1900, pmid = NULL, doi = NULL, pmcid = ''")
        db.execute("DELETE FROM members")
        db.commit()
    with closing(open_database(path)) as corpus:
        assert [find(corpus, f"year {test}") for test in (">= 2000", "< 1", "= none", "> 99999")] == [[1], [3], [2], []]
        assert [find(corpus, test) for test in ("mesh = gout", "mesh = lupus", "journal = bmj")] == [
            [1, 2, 3],
            [],
            [2, 3],
        ]
        assert [find(corpus, f"{name} = none") for name in ("pmid", "doi", "mesh", "author")] == [
            [2, 3],
            [1, 2],
            [],
            [1, 2, 3],
        ]
        assert [find(corpus, name) for name in ("has_abstract", "has_fulltext")] == [[1, 3], [3]]


def test_frequent_and_other_terms_are_found_together(path: Path) -> None:
    with closing(open_database(path)) as corpus:
        assert [find(corpus, f"mesh in ({terms})") for terms in ("lupus, bmj", "beer, 'g*'", "'*'")] == [
            [3],
            [1, 2, 3],
            [1, 2, 3],
        ]


def test_arrays_that_differ_from_the_records_are_a_problem(path: Path) -> None:
    with closing(open_database(path)) as corpus:
        assert list(arrays.find_array_problems(corpus)) == []
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE abstracts SET year = 1900 WHERE id = 2")
        db.execute("INSERT INTO arrays VALUES ('term 99', x'00')")
        db.commit()
    with closing(open_database(path)) as corpus:
        assert list(arrays.find_array_problems(corpus)) == [
            f"{path}: 2 arrays differ from the records, the first is 'years'"
        ]


def test_a_small_segment_has_no_arrays(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", 1) as draft:
        draft.intake.put(RECORDS[0], origin(1))
    with closing(open_database(tmp_path / "a.db")) as corpus:
        assert corpus.read_rows("SELECT name FROM sqlite_master WHERE name = 'arrays'") == []
        assert list(arrays.find_array_problems(corpus)) == [] and find(corpus, "year = 2001") == [1]


@pytest.mark.parametrize(
    ("years", "size"),
    [
        ([2001, 0, -5], 2),
        ([-32767, 0, 32767], 2),
        ([-32768, 0, 3], 8),
        ([32768, 0, 3], 8),
        ([2**63 - 1, 0, 1 - 2**63], 8),
    ],
)
def test_years_of_any_size_are_found(years: list[int], size: int) -> None:
    known = np.array([True, False, True])
    content = stored.dump_years(np.array(years), known)
    assert content is not None and len(content) == 3 * size
    for low, high in ((-(2**63), 2**63 - 1), (years[0], years[0]), (0, 0), (years[2], 2**63 - 1), (40_000, 50_000)):
        wanted = [is_known and low <= year <= high for year, is_known in zip(years, known.tolist(), strict=True)]
        assert stored.find_years(content, 3, ((low, high),)).tolist() == wanted
    assert not stored.find_years(content, 3, ()).any()
    assert stored.dump_years(np.array([-(2**63)]), np.array([True])) is None
