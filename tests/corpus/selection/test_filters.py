import doctest
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import options as options_module
from engine.corpus.schema import KINDS
from engine.corpus.selection import languages as languages_module
from engine.corpus.selection.filters import find_qualified
from engine.corpus.selection.languages import _SPELLINGS
from engine.corpus.selection.meshtree import MeshTree
from engine.corpus.storage.docsets import All, Listed, Not, Selected, Some, read_members
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus, open_database
from engine.errors import AbstractNotFoundError, ConfigError, UsageError
from engine.options import Filters
from engine.records.abstract import Abstract
from engine.records.generation import DocIds
from tests.corpus import random_records as drawn
from tests.corpus.drafts import opened
from tests.corpus.oracle import corpus_of, passes, records

ROWS = (
    Abstract("r1", "Gout", "Pain.", 1999, "Lancet", ("Smith, John", "Doe, Ann"), "11", "10.1/A", ("Gout", "Humans")),
    Abstract("r2", "Urate", " \n", 2003, "The Lancet", ("Smithson, Ann B.",), "12", None, ("GOUT",), ("Review",), True),
    Abstract(
        "r3",
        "Beer",
        "Much.",
        None,
        "",
        ("García-López, M",),
        None,
        "10.1/b",
        (),
        (),
        keywords=("beer, ale", "A_1", "wow!", "5% x"),
    ),
    Abstract(
        "r4",
        "Bier",
        "Viel.",
        2010,
        "A_b 100%",
        (),
        None,
        None,
        ("Beer",),
        ("Review", "Letter"),
        False,
        ("AB1", "wow%", "57 x"),
        ("ger",),
    ),
)  # doc ids 1 to 4
TREE = MeshTree(("C05", "C05.1", "C05.12"), ("Joint Diseases", "Gout", "Beer"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    place = tmp_path_factory.mktemp("corpus")
    files = (
        ("one.xml", "PubMed XML", ROWS[:2]),
        ("two_x.csv", "table", ROWS[2:]),
        ("again.xml", "PubMed XML", ROWS[:1]),
    )
    with closing(corpus_of(place, *files)) as found:
        yield found


def ids(corpus: Corpus, tree: MeshTree | None = None, **given: object) -> list[int]:
    return find_qualified(corpus, Filters(**given), tree).doc_ids.tolist()  # type: ignore[arg-type]


def test_examples_in_docstrings() -> None:
    for documented in (options_module, languages_module):
        assert doctest.testmod(documented).attempted >= 1
        assert doctest.testmod(documented).failed == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"years": ((1999, 2003),)}, [1, 2]),
        ({"years": ((2003, None), (None, 1999))}, [1, 2, 4]),
        ({"years": ((None, None),)}, [1, 2, 4]),
        ({"years": ((2**64, None),)}, []),
        ({"journals": ("LANCET",)}, [1]),
        ({"journals": ("*lancet",)}, [1, 2]),
        ({"journals": ("a_B 100%",)}, [4]),
        ({"journals": ("A_*%",)}, [4]),
        ({"journals": ("_ancet", "%")}, []),
        ({"journals": ("*",)}, [1, 2, 4]),
        ({"mesh": ("gout",)}, [1, 2]),
        ({"mesh": ("gout",), "journals": ("Lancet",)}, [1]),
        ({"mesh": ("gout", "beer")}, [1, 2, 4]),
        ({"types": ("review",)}, [2, 4]),
        ({"keywords": ("Beer, Ale",)}, [3]),
        ({"keywords": ("beer",)}, []),
        ({"keywords": ("a_*",)}, [3]),
        ({"keywords": ("*wow!",)}, [3]),
        ({"keywords": ("5%*x",)}, [3]),
        ({"keywords": ("5**x",)}, [3, 4]),
        ({"authors": ("smith j",)}, [1]),
        ({"authors": ("smith",)}, [1, 2]),
        ({"authors": ("B ann",)}, [2]),
        ({"authors": ("mith",)}, []),
        ({"authors": ("smith ann",)}, [2]),  # both words of one name: Doe, Ann is another
        ({"authors": ("lópez",)}, [3]),
        ({"authors": ("garcía-lópez",)}, [3]),
        ({"authors": ("s*n, a.b.", "doe")}, [1, 2]),
        ({"languages": ("German",)}, [4]),
        ({"languages": ("DE", "fr")}, [4]),
        ({"languages": ("g*",)}, [4]),
        ({"sources": ("one.xml",)}, [1, 2]),
        ({"sources": ("again.*",)}, [1]),
        ({"sources": ("TABLE",)}, [3, 4]),
        ({"sources": ("two%",)}, []),
        ({"retracted": True}, [2]),
        ({"retracted": False}, [1, 3, 4]),
        ({"has_abstract": True}, [1, 3, 4]),
        ({"has_abstract": False}, [2]),
        ({"ids": ()}, []),
        ({"ids": ("r4", "PMID:11", "https://doi.org/10.1/B", "nobody")}, [1, 3, 4]),
        ({"ids": ("r4", "r1"), "hide": ("11",)}, [4]),
        ({"hide": ("doi:10.1/a", "nobody")}, [2, 3, 4]),
        ({"where": "year >= 2003", "hide": ("r4",)}, [2]),
        ({"mesh_trees": ("joint diseases",)}, [1, 2, 4]),
        ({"mesh_trees": ("c05.1",)}, [1, 2]),
        ({"mesh_trees": ("C05",), "mesh": ("Humans",)}, [1]),
    ],
)  # fmt: skip
def test_toy(corpus: Corpus, given: dict[str, object], expected: list[int]) -> None:
    doc_ids = ids(corpus, TREE, **given)
    assert doc_ids == expected


def test_ids_come_ascending_once_and_as_int64(corpus: Corpus) -> None:
    qualified = find_qualified(corpus, Filters(mesh=("humans", "gout", "Gout"), ids=("r2", "r1", "11", "r1"))).doc_ids
    assert qualified.dtype == np.int64
    assert qualified.tolist() == [1, 2]


def test_unknown_ids_are_reported_in_order_and_once(corpus: Corpus) -> None:
    qualified = find_qualified(corpus, Filters(ids=("zz", "r1", "\udc80", "zz"), hide=("0", "zz", "r2")))
    assert qualified.unknown == ("zz", "\udc80", "0")
    assert qualified.doc_ids.tolist() == [1]


def test_no_record_of_an_empty_corpus_qualifies(tmp_path: Path) -> None:
    with closing(corpus_of(tmp_path)) as empty:
        assert ids(empty) == ids(empty, retracted=False) == ids(empty, where="not year = 3", hide=("x",)) == []


def test_sets_combine_with_or_without_bounds(corpus: Corpus) -> None:
    one, two = Listed(np.array([1, 2])), Listed(np.array([2, 3]))
    for docset, expected in (
        (All(()), [1, 2, 3, 4]),
        (Some(()), []),
        (Not(Some(())), [1, 2, 3, 4]),
        (Not(Not(one)), [1, 2]),
        (Some((Not(one), two)), [2, 3, 4]),
        (All((Not(one), two)), [3]),
        (Not(All((Selected("SELECT id FROM abstracts"), Not(two)))), [2, 3]),
    ):
        assert read_members(corpus, docset).tolist() == expected


def test_the_tree_is_required_only_by_its_filter(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match=r'mtrees2026\.bin.*nlmpubs.*mesh_tree = "FILE"'):
        ids(corpus, None, mesh_trees=("Gout",))
    with pytest.raises(UsageError, match="'Gut' is neither.*Gout"):
        ids(corpus, TREE, mesh_trees=("Gut",))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"journals": "Lancet"}, "journals is the single text 'Lancet', expected a list"),
        ({"journals": ("",)}, "journals holds '', expected text of 1 to 10,000"),
        ({"mesh": ("x", " ")}, "mesh holds ' '"),
        ({"types": (3,)}, "types holds '3'"),
        ({"keywords": ("x*" * 5001,)}, "keywords holds 'x"),
        ({"ids": (11,)}, "ids holds '11'"),
        ({"hide": "r1"}, "hide is the single text"),
        ({"authors": ("-",)}, "the author '-' has no word"),
        ({"authors": (" ".join(map(str, range(200))),)}, "has 200 words, expected 20"),
        ({"authors": ("x",) * 501}, "501 authors were given, expected 500"),
        ({"years": ((2003, 1999),)}, r"years holds \(2003, 1999\)"),
        ({"years": (2003,)}, "years holds 2003"),
        ({"years": (("1999", None),)}, "years holds"),
        ({"where": "year >"}, "where: at character 7"),
    ],
)
def test_invalid_values(corpus: Corpus, given: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        ids(corpus, TREE, **given)


def test_each_spelling_belongs_to_one_language() -> None:
    spellings = [spelling.lower() for group in _SPELLINGS for spelling in group]
    assert len(_SPELLINGS) == 25
    assert len(set(spellings)) == len(spellings)


INJECTIONS = (
    "'; DROP TABLE abstracts; --",
    "' OR '1'='1",
    '" OR ""="',
    "x') UNION SELECT id FROM abstracts --",
    "?1",
    "\\",
    "!!",
)


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_value_is_read_as_sql(corpus: Corpus, text: str) -> None:
    before = corpus.path.read_bytes()
    for name in ("journals", "mesh", "types", "keywords", "authors", "languages", "sources", "ids"):
        for value in (text, f"*{text}", f"{text}*x"):
            assert ids(corpus, **{name: (value,)}) == []
    assert ids(corpus, hide=(text,)) == [1, 2, 3, 4]
    assert corpus.path.read_bytes() == before


def found_by(corpus: Corpus, record_id: str) -> int | None:
    try:
        return corpus.find_doc_id(record_id)
    except AbstractNotFoundError:
        return None


many = st.builds(
    Filters,
    years=st.lists(drawn.years, max_size=2).map(tuple),
    journals=st.lists(drawn.names, max_size=3).map(tuple),
    mesh=st.lists(drawn.names, max_size=3).map(tuple),
    types=st.lists(drawn.names, max_size=2).map(tuple),
    keywords=st.lists(drawn.names, max_size=2).map(tuple),
    authors=st.lists(drawn.beginnings, max_size=2).map(tuple),
    languages=st.lists(drawn.languages, max_size=2).map(tuple),
    sources=st.lists(drawn.sources, max_size=2).map(tuple),
    databases=st.lists(drawn.names, max_size=2).map(tuple),
    labels=st.lists(drawn.names, max_size=2).map(tuple),
    notes=st.lists(drawn.names, max_size=2).map(tuple),
    has_fulltext=st.none() | st.booleans(),
    retracted=st.none() | st.booleans(),
    has_abstract=st.none() | st.booleans(),
    ids=st.none() | st.lists(drawn.keys, max_size=8).map(tuple),
    hide=st.lists(drawn.keys, max_size=3).map(tuple),
)
FIELDS = ("years", "journals", "mesh", "types", "keywords", "authors", "languages", "sources", "databases", "labels", "notes", "has_fulltext", "retracted", "has_abstract", "ids", "hide")  # fmt: skip


@st.composite
def few(draw: st.DrawFn) -> Filters:
    """Generate filters of up to three fields: with all twelve, no record ever qualifies."""
    full, kept = draw(many), draw(st.sets(st.sampled_from(FIELDS), max_size=3))
    return Filters(**{name: getattr(full, name) for name in kept})


@given(files=drawn.files(), asked=st.lists(few(), min_size=4, max_size=8))
def test_every_filter_finds_what_plain_python_finds(files: list, asked: list[Filters]) -> None:
    with tempfile.TemporaryDirectory() as place, closing(corpus_of(Path(place), *files)) as corpus:
        held = records(corpus)
        for filters in asked:
            qualified = find_qualified(corpus, filters)
            expected = [r.doc_id for r in held if passes(r, filters, lambda key: found_by(corpus, key))]
            assert qualified.doc_ids.tolist() == expected, filters
            listed = (*(filters.ids or ()), *filters.hide)
            assert qualified.unknown == tuple(dict.fromkeys(key for key in listed if found_by(corpus, key) is None))


@given(files=drawn.files(), keys=st.lists(drawn.keys | st.text(max_size=5), max_size=30))
def test_many_ids_resolve_like_single_ids(files: list, keys: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place, closing(corpus_of(Path(place), *files)) as corpus:
        assert resolve_ids(corpus, keys) == [found_by(corpus, key) for key in keys]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    rows = [
        Abstract(f"PMID:{n}", f"Title {n}", "x", 1950 + n % 70, f"Journal {n % 9}", pmid=str(n), doi=f"10.1/{n}a")
        for n in range(1, 12_001)
    ]
    with closing(corpus_of(tmp_path_factory.mktemp("large"), ("all.xml", "PubMed XML", rows))) as found:
        yield found


def test_ten_thousand_ids_of_every_kind(large: Corpus) -> None:
    kinds = ("{}", "PMID:{}", "doi:10.1/{}A", "https://doi.org/10.1/{}a")
    keys = tuple(kinds[n % 4].format(n) for n in range(3000, 15_000))
    qualified = find_qualified(large, Filters(ids=keys))
    expected = [large.find_doc_id(f"PMID:{n}") for n in range(3000, 12_001)]
    assert qualified.doc_ids.tolist() == expected
    assert len(qualified.unknown) == 2_999
    assert find_qualified(large, Filters(hide=keys)).doc_ids.tolist() == [
        i for i in large.read_ids() if i not in set(expected)
    ]


# 32,766 values are what SQLite takes in one statement.
@pytest.mark.parametrize("n_keys", [33_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_hundred_thousand_unknown_ids_and_names(large: Corpus, n_keys: int) -> None:
    keys = tuple(f"nobody {n}" for n in range(n_keys))
    assert len(find_qualified(large, Filters(ids=keys)).unknown) == n_keys
    assert ids(large, journals=(*keys, "journal 3"), years=((1953, 1953),)) == [
        i for i in range(1, 12_001) if i % 9 == 3 == i % 70
    ]


class Recorder:
    """A corpus that records the statements it runs."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.asked: list[tuple[str, tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.corpus, name)

    def read_live(self, sql: str, *values: object) -> list[sqlite3.Row]:
        self.asked.append((sql, values))
        return self.corpus.read_live(sql, *values)

    def select_ids(self, selections: Sequence[Any]) -> list[DocIds]:
        self.asked += [(selection.sql, tuple(selection.values)) for selection in selections]
        return self.corpus.select_ids(selections)

    def read_ids(self) -> DocIds:
        self.asked.append(("SELECT id FROM abstracts", ()))
        return self.corpus.read_ids()


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(years=((1999, 2003), (2010, None)), retracted=False, has_abstract=True),
        Filters(retracted=True, has_abstract=False),
        Filters(journals=("x", "y*"), mesh=("x",), types=("*",), keywords=("x",), authors=("smith j",), languages=("en",)),
        Filters(sources=("x*",), ids=("1", "10.1/a", "x"), hide=("y",)),
        Filters(where="pmid = 1 or doi ~ 10 or id in (a, b) or year != 3 or source = x or not has_abstract or doi = none"),
    ],
)  # fmt: skip
def test_no_filter_reads_the_wide_table_from_end_to_end(corpus: Corpus, filters: Filters) -> None:
    recorder = Recorder(corpus)
    find_qualified(recorder, filters)  # type: ignore[arg-type]
    plans = [row[3] for sql, values in recorder.asked for row in corpus.read_rows(f"EXPLAIN QUERY PLAN {sql}", *values)]
    whole = [plan for plan in plans if re.match(r"SCAN (abstracts|a|contributions|c)\b", plan) and "INDEX" not in plan]
    assert plans
    assert not whole


def test_the_largest_filters_that_are_allowed(corpus: Corpus) -> None:
    words = tuple(" ".join(f"w{n}x{word}" for word in range(20)) for n in range(500))
    where = f"author in ({','.join('-'.join(f'{n:x}abcdef') for n in range(490))}) or author = 'doe ann'"
    assert ids(
        corpus,
        authors=(*words[1:], "smith"),
        where=where,
        journals=("x" * 10_000, "*" + "\U0001f9ea" * 9_999, "lancet"),
    ) == [1]


def test_filters_follow_changes_and_deletions(tmp_path: Path) -> None:
    with closing(corpus_of(tmp_path, ("a.xml", "JSONL", ROWS))) as corpus:
        path = corpus.path
    with opened(path, 2) as draft:
        draft.connection.execute(
            "UPDATE abstracts SET journal = 'Gut', mesh = ?, abstract = 'x' WHERE id = 2", (json.dumps(["Bread"]),)
        )
        draft.ledger.discard(1)
    with closing(open_database(path)) as corpus:
        assert (
            ids(corpus, journals=("*lancet",)) == ids(corpus, mesh=("gout",)) == ids(corpus, has_abstract=False) == []
        )
        assert ids(corpus, journals=("gut",), mesh=("bread",)) == [2]


def test_kinds_of_terms_equal_the_schema() -> None:
    assert set(KINDS) == {"journal", "mesh", "type", "keyword", "author", "language", "label", "database"}
