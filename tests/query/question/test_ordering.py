"""Sorted hits and counted records of the toy index, years 1991 to 2019, against the whole ranking."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine import Filters, Index, Query, open_index
from engine.errors import UsageError
from engine.query.prisma import write_paragraph
from engine.query.question import ordering
from engine.query.searchlog import make_record
from engine.records.answer import Answer, Hit, ValueCount
from tests.conftest import Lasting


@pytest.fixture(scope="module")
def index(lasting: Lasting) -> Iterator[Index]:
    """The toy index with a record without a year and journal, and one of another journal."""
    toy, add = lasting()
    add({"id": "a", "title": "Gout", "year": 1991, "journal": "Gut"}, {"id": "b", "title": "Gout again"})
    with open_index(toy.path) as opened:
        yield opened


def ids(answer: Answer) -> list[str]:
    return [hit.id for hit in answer.hits]


def newest_first(hits: list[Hit], index: Index) -> list[str]:
    """Return the ids of hits, newest first, without a year last, equal ones by their age in the index."""
    age = {record.record_id: n for n, record in enumerate(index.abstracts())}
    return [hit.id for hit in sorted(hits, key=lambda hit: (hit.year is None, -(hit.year or 0), age[hit.id]))]


def test_keyword_sorts_all_that_match(index: Index) -> None:
    query = Query("gout", mode="keyword", top_k=50)
    every = index.ask(query)
    found = index.ask(replace(query, sort="year"))
    assert ids(found) == newest_first(list(every.hits), index) and ids(found)[-1] == "b"
    assert [hit.rank for hit in found.hits] == list(range(1, len(found.hits) + 1))
    by_id = {hit.id: hit for hit in every.hits}
    assert all(replace(hit, rank=by_id[hit.id].rank) == by_id[hit.id] for hit in found.hits)  # the same scores
    assert found.n_qualified == every.n_qualified and not [note for note in found.notes if "sorted" in note]


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
@pytest.mark.parametrize("sort", ["year:asc", "author", "journal", "added"])
def test_pages_keep_one_order(index: Index, monkeypatch: pytest.MonkeyPatch, mode: str, sort: str) -> None:
    monkeypatch.setattr(ordering, "_SORTED", 7)
    query = Query("gout", mode=mode, sort=sort, top_k=4)  # type: ignore[arg-type]
    pages = [ids(index.ask(replace(query, offset=offset))) for offset in range(0, 12, 4)]
    assert sum(pages, []) == ids(index.ask(replace(query, top_k=7)))[:7] + sum(pages, [])[7:]
    assert len(set(sum(pages, []))) == len(sum(pages, []))


def test_the_most_relevant_are_sorted_where_every_record_is_ranked(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "_SORTED", 5)
    every = index.ask(Query("gout", top_k=42))
    found = index.ask(Query("gout", sort="year", top_k=4))
    assert ids(found) == newest_first(list(every.hits[:5]), index)[:4]
    after = index.ask(Query("gout", sort="year", top_k=4, offset=4))
    assert ids(after) == newest_first(list(every.hits[:5]), index)[4:] + [hit.id for hit in every.hits[5:8]]
    assert found.notes == (
        "sorted by year, newest first: the 5 most relevant of 42 records; all others follow by relevance. To sort all "
        "that match: a Boolean search, keyword mode or a minimum score",
    )
    assert ids(index.ask(Query("gout", sort="year", top_k=42))) == newest_first(list(every.hits), index)


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
def test_a_minimum_score_sorts_all_that_reach_it(index: Index, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(ordering, "_SORTED", 2)
    every = index.ask(Query("gout", mode=mode, top_k=42)).hits  # type: ignore[arg-type]
    least = sorted(hit.score for hit in every)[-4]
    found = index.ask(Query("gout", mode=mode, sort="year", top_k=3, min_score=least))  # type: ignore[arg-type]
    assert ids(found) == newest_first([hit for hit in every if hit.score >= least], index)[:3]


def test_sorted_hits_are_located_with_their_ranks(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "_SORTED", 5)
    for mode in ("semantic", "keyword"):
        query = Query("gout", mode=mode, sort="year", top_k=3, offset=1)  # type: ignore[arg-type]
        hits = index.ask(query).hits
        located = index.locate(query, [hit.id for hit in reversed(hits)])
        assert [(hit.id, hit.rank) for hit in located.answer.hits] == [(hit.id, hit.rank) for hit in hits]


def test_a_sorted_search_is_recorded_and_told(index: Index) -> None:
    answer = index.ask(Query("gout", mode="keyword", sort="author:desc"))
    assert "Hits were sorted by author, Z to A." in write_paragraph(make_record(index, answer))
    answer = index.ask(Query("gout", sort="added"))
    assert "Hits were sorted by added, newest first." in write_paragraph(make_record(index, answer))
    assert "sorted" not in write_paragraph(make_record(index, index.ask(Query("gout"))))


def test_known_records_are_not_sorted(index: Index) -> None:
    with pytest.raises(UsageError, match="sort can't be used in a check of known records"):
        index.recall(Query("gout", sort="year"), ["toy-01"])


def test_groups_count_all_that_qualify_and_the_hits(index: Index) -> None:
    toys, gut = "Invented Journal of Toys", "Gut"
    answer = index.ask(Query("gout", mode="keyword", top_k=2, group_by="journal"))
    every = index.ask(Query("gout", mode="keyword", top_k=50))
    wanted, shown = (Counter(hit.journal for hit in found.hits) for found in (every, answer))
    assert {group.value: (group.hits, group.records) for group in answer.groups} == {
        value: (shown[value], n) for value, n in wanted.items()
    }
    assert sum(group.records for group in answer.groups) == answer.n_qualified == every.n_qualified
    whole = index.ask(Query("gout", top_k=42, group_by="journal"))
    assert whole.groups == (ValueCount(toys, 40, 40), ValueCount("", 1, 1), ValueCount(gut, 1, 1))
    few = index.ask(Query("gout", top_k=1, group_by="journal", filters=Filters(where='not journal = "BMJ"')))
    assert sum(group.records for group in few.groups) == 42 and sum(group.hits for group in few.groups) == 1


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
@pytest.mark.parametrize("filters", [Filters(), Filters(years=["1995-2010"])])
def test_groups_of_years_add_up(index: Index, mode: str, filters: Filters) -> None:
    query = Query("gout colchicine", mode=mode, filters=filters, top_k=3, group_by="year")  # type: ignore[arg-type]
    answer = index.ask(query)
    every = index.ask(replace(query, top_k=50, group_by=None))
    assert {group.value: group.records for group in answer.groups} == Counter(str(hit.year or "") for hit in every.hits)
    least = sorted(hit.score for hit in every.hits)[-3]
    reach = index.ask(replace(query, min_score=least))
    assert {group.value: group.records for group in reach.groups} == Counter(
        str(hit.year or "") for hit in every.hits if hit.score >= least
    )


def test_examples_are_not_counted(index: Index) -> None:
    answer = index.ask(Query(like=("a",), group_by="journal"))
    assert "Gut" not in {group.value for group in answer.groups}
    assert sum(group.records for group in answer.groups) == 41
