from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest

from engine.corpus.facets import count_names, count_values, count_years, read_years_and_journals
from engine.corpus.storage.store import Corpus, open_database
from engine.index.generations.folder import IndexFolder
from engine.query.opening.corpus import open_corpus
from engine.reindex.generation.order import Report
from tests.conftest import Lasting

Add = Callable[..., Report]
TOYS = "Invented Journal of Toys"
ROWS = (
    {
        "id": "a",
        "title": "A",
        "year": 2021,
        "journal": "Lancet",
        "mesh": ["Knee", "Zygoma", "Gout"],
        "publication_types": ["Review"],
    },
    {
        "id": "b",
        "title": "B",
        "year": 2021,
        "journal": "lancet",
        "mesh": ["Gout"],
        "publication_types": ["Review", "Letter"],
    },
    {"id": "c", "title": "C", "journal": "BMJ", "mesh": ["Ankle", "Gout", "Knee"]},
    {"id": "d", "title": "D", "year": 1985},
)


@pytest.fixture(scope="module")
def corpus(lasting: Lasting) -> Iterator[Corpus]:
    """Build the toy index with a few more records."""
    toy, add = lasting()
    add(*ROWS)
    with closing(open_database(toy.open_current().segments[0].files.database)) as opened:
        yield opened


def test_years_are_counted_earliest_first(corpus: Corpus) -> None:
    counts = count_years(corpus)
    assert counts[:4] == ((1985, 1), (1990, 1), (1991, 2), (1992, 2)) and counts[-1] == (2021, 2)
    assert sum(n for _, n in counts) == 43  # c has none


def test_year_and_journal_of_every_record_in_the_order_of_their_ids(corpus: Corpus) -> None:
    rows = read_years_and_journals(corpus)
    assert len(rows) == 44
    assert (rows[0], rows[39]) == ((1991, TOYS), (2000, TOYS))
    assert rows[40:] == [(2021, "Lancet"), (2021, "lancet"), (0, "BMJ"), (1985, "")]


def test_names_are_counted_most_frequent_first_then_by_name(corpus: Corpus) -> None:
    assert count_names(corpus, "mesh", 10) == (("Gout", 3), ("Knee", 2), ("Ankle", 1), ("Zygoma", 1))
    assert count_names(corpus, "type", 10) == (("Review", 2), ("Letter", 1))


def test_names_that_differ_only_in_case_are_one(corpus: Corpus) -> None:
    journals = count_names(corpus, "journal", 10)
    assert [(name.lower(), n) for name, n in journals] == [(TOYS.lower(), 40), ("lancet", 2), ("bmj", 1)]


def test_the_number_of_names_is_limited(corpus: Corpus) -> None:
    assert count_names(corpus, "mesh", 2) == (("Gout", 3), ("Knee", 2))
    assert count_names(corpus, "mesh", 0) == ()


def test_an_unknown_kind_has_no_names(corpus: Corpus) -> None:
    assert count_names(corpus, "colour", 10) == ()


def test_a_name_without_records_is_removed(toy: IndexFolder, add: Add) -> None:
    add(*ROWS)
    add({**ROWS[2], "mesh": ["Gout"]})
    with closing(open_database(toy.open_current().segments[0].files.database)) as later:
        assert count_names(later, "mesh", 10) == (("Gout", 3), ("Knee", 1), ("Zygoma", 1))


SOURCE_ROWS = "rows.jsonl"


@pytest.fixture(scope="module", params=[50_000, 0])
def revised(lasting: Lasting, request: pytest.FixtureRequest) -> Iterator[Corpus]:
    """Build an index in which a record was changed, as one segment and as several."""
    toy, add = lasting()
    a, b, c, d = ROWS
    add({**a, "journal": "Stale", "mesh": ["Stale"], "year": 1066}, b)
    add({**a, "authors": ["Roe, R", "Doe, D"]}, {**c, "authors": ["Doe, D"]}, d, one_segment_below=request.param)
    with closing(open_corpus(toy.open_current())) as corpus:
        yield corpus


@pytest.mark.parametrize(
    ("field", "every", "some"),  # of all 44 records; of a, b and d
    [
        ("year", {"2021": 2, "1985": 1, "": 1}, {"2021": 2, "1985": 1}),
        ("journal", {TOYS: 40, "Lancet": 2, "BMJ": 1, "": 1}, {"Lancet": 2, "": 1}),
        ("mesh", {"": 41, "Gout": 3, "Knee": 2, "Ankle": 1, "Zygoma": 1}, {"Gout": 2, "Knee": 1, "Zygoma": 1, "": 1}),
        ("type", {"": 42, "Review": 2, "Letter": 1}, {"Review": 2, "Letter": 1, "": 1}),
        ("source", {"toy.jsonl": 40, SOURCE_ROWS: 4}, {SOURCE_ROWS: 3}),
        ("first_author", {"Roe, R": 1, "Doe, D": 1, "": 2}, {"Roe, R": 1, "": 2}),
        ("author", {"Roe, R": 1, "Doe, D": 2, "": 2}, {"Roe, R": 1, "Doe, D": 1, "": 2}),
    ],
)
def test_records_are_counted_by_value(revised: Corpus, field: str, every: dict[str, int], some: dict[str, int]) -> None:
    found = count_values(revised, field)
    counts = dict(found)
    counts |= {value.title(): n for value, n in found if value == "lancet"}  # spelled as in the oldest segment
    assert {value: counts[value] for value in every} == every
    assert (len(found) == len(every)) == (field not in ("year", "first_author", "author"))  # which toys have
    assert list(found) == sorted(found, key=lambda pair: (-pair[1], pair[0].lower()))
    ids = np.array(sorted(map(revised.find_doc_id, "abd")), np.int64)
    assert {value.replace("lancet", "Lancet"): n for value, n in count_values(revised, field, ids)} == some
    assert count_values(revised, field, ids[:0]) == ()
