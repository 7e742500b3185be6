from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Index, open_index
from engine.errors import AbstractNotFoundError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import MODES, Filters, Mode, Query
from engine.query.answers.location import (
    _ABSENT,
    _FILTERED,
    _NO_WORD,
    _TOO_LOW,
    EXAMPLE,
    KnownItem,
    Recall,
    _summarise_ranks,
)
from tests.conftest import CURRENT, Lasting

ROWS = (
    {
        "id": "PMID:1",
        "title": "Gout and the knee",
        "abstract": "Knee pain in gout.",
        "year": 2020,
        "doi": "10.1/a",
        "pmid": "1",
    },
    {"id": "PMID:2", "title": "Lupus", "abstract": "Fatigue in lupus.", "year": 2021, "pmid": "2"},
)


def item(number: int, rank: int | None, reason: str = "") -> KnownItem:
    return KnownItem(str(number), None if reason == _ABSENT else str(number), "", rank, 0.5, reason)


def shares(found: Recall) -> dict[int, float]:
    return dict(found.at)


@pytest.fixture(scope="module")
def index(lasting: Lasting) -> Iterator[Index]:
    toy, add = lasting()
    add(*ROWS)
    with open_index(toy.path) as opened:
        yield opened


def test_by_hand() -> None:
    found = _summarise_ranks([item(n, rank) for n, rank in enumerate((12, 1, 600, 3))], 10, ("a note",))
    assert shares(found) == {10: 0.5, 50: 0.75, 100: 0.75, 500: 0.75}
    assert (found.n_known, found.n_missing, found.depth_95, found.notes) == (4, 0, 600, ("a note",))


def test_95_percent_are_rounded_up() -> None:
    twenty = [item(n, n) for n in range(1, 21)]
    assert _summarise_ranks(twenty, 10, ()).depth_95 == 19
    assert _summarise_ranks(twenty[:19], 10, ()).depth_95 == 19  # 18.05 of 19
    assert _summarise_ranks(twenty[:1], 10, ()).depth_95 == 1


def test_what_has_no_rank_counts_and_what_is_not_there_does_not() -> None:
    items = [item(1, 2), item(2, None, _FILTERED), item(3, None, _ABSENT), item(4, None, EXAMPLE)]
    found = _summarise_ranks(items, 1, ())
    assert (found.n_known, found.n_missing, found.depth_95) == (2, 1, None)
    assert shares(found) == {1: 0.0, 10: 0.5, 50: 0.5, 100: 0.5, 500: 0.5}


def test_19_of_20_are_enough() -> None:
    assert (
        _summarise_ranks(
            [item(n, n if n < 20 else None, "" if n < 20 else _FILTERED) for n in range(1, 21)], 10, ()
        ).depth_95
        == 19
    )


@given(st.lists(st.none() | st.integers(1, 700), min_size=1, max_size=60), st.integers(1, 1000))
def test_measures_agree_with_counting(ranks: list[int | None], top_k: int) -> None:
    found = _summarise_ranks([item(n, rank) for n, rank in enumerate(ranks)], top_k, ())

    def share(depth: int) -> Fraction:
        return Fraction(len([rank for rank in ranks if rank is not None and rank <= depth]), len(ranks))

    assert [depth for depth, _ in found.at] == sorted({10, 50, 100, 500, top_k})
    assert all(value == pytest.approx(float(share(depth))) for depth, value in found.at)
    deep_enough = [depth for depth in range(1, 701) if share(depth) >= Fraction(95, 100)]
    assert found.depth_95 == (deep_enough[0] if deep_enough else None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query",
    [
        Query("gout in the knee"),
        Query("gout", filters=Filters(years=((2000, None),))),
        Query("gout", min_score=0.79),
        Query("pain +knee -colchicine"),
        Query("gout", ("toy-03", "toy-07"), ("toy-09",)),
        Query("gout", ("toy-03",), filters=Filters(years=((1990, 2010),)), min_score=0.5),
    ],
)
def test_ranks_are_those_of_a_search_for_everything(index: Index, mode: Mode, query: Query) -> None:
    if query.like and mode == "keyword":
        query = replace(query, like=(), unlike=())
    asked = replace(query, mode=mode)
    ids = [one.id for one in index.search("x", top_k=50)]
    found = index.recall(asked, ids)
    hits = index.ask(replace(asked, top_k=50)).hits
    assert hits
    assert {one.id: one.rank for one in found.items if one.rank} == {one.id: one.rank for one in hits}
    scores = {one.id: one.score for one in hits}
    assert all(one.score == scores[str(one.id)] for one in found.items if one.rank)
    assert all(bool(one.rank) != bool(one.reason) for one in found.items)
    assert [one.id for one in found.items] == ids


def test_ranks_are_places_in_the_whole_ranking_whatever_top_k(index: Index) -> None:
    query = Query("gout", top_k=1)
    last = index.search("gout", top_k=42)[-1].id
    (found,) = index.recall(query, [last]).items
    assert found.rank == 42
    assert shares(index.recall(query, [last])) == {1: 0, 10: 0, 50: 1, 100: 1, 500: 1}


def test_reasons(index: Index) -> None:
    ids = ["1", "2", "toy-01", "nope"]
    filtered = index.recall(Query("gout", filters=Filters(years=((2020, None),)), min_score=0.8), ids)
    assert [one.reason for one in filtered.items] == ["", _TOO_LOW, _FILTERED, _ABSENT]
    keyword = index.recall(Query("gout", mode="keyword"), ids)
    assert [one.reason for one in keyword.items] == ["", _NO_WORD, "", _ABSENT]
    strict = index.recall(Query("gout", mode="keyword", min_score=0.8), ids)
    assert [one.reason for one in strict.items] == ["", _NO_WORD, _TOO_LOW, _ABSENT]
    without = index.recall(Query("gout -knee", mode="hybrid"), ids)
    assert [one.reason for one in without.items] == [_NO_WORD, "", "", _ABSENT]
    assert keyword.items[1].score == pytest.approx(index.recall(Query("gout"), ids).items[1].score)
    assert (keyword.items[3].id, keyword.items[3].score, keyword.items[3].title) == (None, None, "")
    assert (keyword.items[0].given, keyword.items[0].id, keyword.items[0].title) == ("1", "PMID:1", "Gout and the knee")


def test_the_same_record_counts_once(index: Index) -> None:
    found = index.recall(Query("gout"), ["PMID:1", "1", "https://doi.org/10.1/A", "PMID:1", "toy-01"])
    assert [one.given for one in found.items] == ["PMID:1", "toy-01"]
    assert (found.n_known, found.notes) == (2, ("2 known records given again under another id, counted once",))


def test_an_example_is_no_known_record(index: Index) -> None:
    found = index.recall(Query(like=("toy-01",)), ["toy-01", "toy-02"])
    assert [one.reason for one in found.items] == [EXAMPLE, ""]
    assert (found.n_known, found.notes) == (1, ("1 known record given as an example, so not counted",))
    with pytest.raises(UsageError, match="every known record is an example of the query"):
        index.recall(Query(like=("toy-01",)), ["toy-01"])


def test_listed_ids_that_are_not_there_are_noted(index: Index) -> None:
    found = index.recall(Query("gout", filters=Filters(ids=("PMID:1", "zzz"))), ["PMID:1"])
    assert found.items[0].rank == 1 and found.notes == ("1 listed id not in this index: zzz",)


def test_a_query_that_is_too_long_is_noted(index: Index) -> None:
    assert "the query is longer than the encoder reads" in index.recall(Query("gout " * 500), ["PMID:1"]).notes[0]


@pytest.mark.parametrize("known", [[], (), "PMID:1"])
def test_a_list_of_known_records_is_needed(index: Index, known: list[str]) -> None:
    with pytest.raises(UsageError, match="expected a list of one or more PMIDs"):
        index.recall(Query("gout"), known)


def test_known_records_must_be_in_the_index(index: Index) -> None:
    with pytest.raises(
        AbstractNotFoundError, match=r"none of 4 known records is in this index: a, b, c, …\. Ids look like 'toy-01'"
    ):
        index.recall(Query("gout"), ["a", "b", "c", "d"])


@pytest.mark.parametrize("given", [{"offset": 1}, {"diversify": 0.5}, {"explain": True}, {"group_by": "year"}])
def test_what_has_no_part_is_refused(index: Index, given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(given))} can't be used in a check of known records"):
        index.recall(Query("gout", **given), ["PMID:1"])  # type: ignore[arg-type]


def test_a_query_is_checked(index: Index) -> None:
    with pytest.raises(UsageError, match="the query is blank"):
        index.recall(Query(" "), ["PMID:1"])


def test_indexes_of_older_formats_are_checked_by_meaning(toy: IndexFolder) -> None:
    with open_index(toy.path) as old:
        assert [one.rank for one in old.recall(Query("gout"), ["toy-31", "nope"]).items] == [1, None]
    with open_index(CURRENT) as approximate:
        found = approximate.recall(Query("gout"), ["toy-31", "nope"])
        assert found.items[0].rank and found.notes[0].startswith("ranks are those of an exact comparison")
