from collections.abc import Callable

import pytest

from engine import Index, open_index
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.relevance.screening.labels import Labels, look_up_labels

Add = Callable[..., Report]
ROWS = (
    {"id": "PMID:7", "title": "Gout", "abstract": "Pain in gout.", "pmid": "7", "doi": "10.1/a"},
    {"id": "PMID:8", "title": "Lupus", "abstract": "Fatigue in lupus.", "pmid": "8"},
)


@pytest.fixture
def index(toy: IndexFolder, add: Add) -> Index:
    add(*ROWS)
    return open_index(toy.path)


def named(index: Index, found: Labels) -> tuple[list[str], list[str]]:
    rows = get_generation(index).corpus.fetch(found.doc_ids.tolist())
    return tuple([rows[one].record_id for one in kind.tolist()] for kind in (found.included, found.excluded))  # type: ignore[return-value]


def test_ids_of_any_kind(index: Index) -> None:
    found = look_up_labels(get_generation(index).corpus, ("8", "toy-03"), ("https://doi.org/10.1/A", "toy-01"))
    assert named(index, found) == (["toy-03", "PMID:8"], ["toy-01", "PMID:7"])
    assert (found.unknown, found.has_both) == ((), True)
    assert found.mark_included(found.doc_ids).tolist() == [False, True, False, True]


def test_ids_that_are_not_there_are_told_once_and_in_order(index: Index) -> None:
    found = look_up_labels(get_generation(index).corpus, ("nine", "8"), ("ten", "nine"))
    assert (named(index, found), found.unknown) == ((["PMID:8"], []), ("nine", "ten"))
    assert not found.has_both


def test_a_record_listed_twice_counts_once(index: Index) -> None:
    found = look_up_labels(get_generation(index).corpus, ("7", "PMID:7", "10.1/a"), ())
    assert named(index, found) == (["PMID:7"], [])


@pytest.mark.parametrize(
    ("included", "excluded", "said"),
    [
        (("7", "8"), ("8",), r"1 record both included and excluded: 8\. Remove"),
        (("7",), ("10.1/a",), r"1 record both included and excluded: 7 \(also 10\.1/a\)"),
        (("toy-01", "7"), ("7", "toy-01"), "2 records both included and excluded: toy-01, 7"),
    ],
)
def test_a_record_in_both_lists_is_named(
    index: Index, included: tuple[str, ...], excluded: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        look_up_labels(get_generation(index).corpus, included, excluded)


def test_none_at_all(toy: IndexFolder) -> None:
    found = look_up_labels(get_generation(open_index(toy.path)).corpus, (), ())
    assert (len(found.doc_ids), found.has_both, found.mark_included(found.doc_ids).tolist()) == (0, False, [])
