"""Hits by their ids, with the ranks that they have among all."""

import time
from dataclasses import replace

import pytest

from engine import Filters, Index, Query, open_index
from engine.deadline import Deadline, limit_time
from engine.errors import BusyError
from engine.index.generations.folder import IndexFolder
from engine.options import MODES, Mode
from engine.query.answers import location as choosing
from engine.query.answers.location import _list_reaches
from engine.query.ranks.ranking import Ranking
from engine.records.answer import Hit

MORE: tuple[dict[str, object], ...] = (
    {}, {"diversify": 0.4}, {"min_score": 0.1}, {"filters": Filters(years=((2000, None),))}, {"like": ("toy-03",)}
)  # fmt: skip
CASES = [(mode, more) for mode in MODES for more in MORE if mode != "keyword" or "like" not in more]


def whole(index: Index, query: Query) -> dict[str, Hit]:
    """All hits of a query by id."""
    return {hit.id: hit for hit in index.ask(replace(query, offset=0, top_k=1000)).hits}


@pytest.mark.parametrize(("mode", "more"), CASES)
def test_every_hit_is_found_with_what_it_has_among_all(toy: IndexFolder, mode: Mode, more: dict[str, object]) -> None:
    query = replace(Query("colchicine gout", mode=mode, top_k=3, offset=2), **more)  # type: ignore[arg-type]
    with open_index(toy.path) as index:
        hits = whole(index, query)
        for size in (1, 2, len(hits)):
            ids = list(hits)[-size:]
            found = index.locate(query, ids[::-1])
            assert list(found.answer.hits) == [hits[one] for one in ids]
            assert (found.absent, found.left_out) == ((), ())
        left_out = tuple(sorted(set(whole(index, Query("a"))) - set(hits)))
        found = index.locate(query, left_out)
        assert (found.answer.hits, found.absent, found.left_out) == ((), (), left_out)


def test_what_is_not_there_is_told_from_what_is_left_out(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        query = Query("gout", filters=Filters(hide=("toy-01",)))
        found = index.locate(query, ("nope", "toy-01", "toy-02"))
        assert ([hit.id for hit in found.answer.hits], found.absent, found.left_out) == (
            ["toy-02"],
            ("nope",),
            ("toy-01",),
        )
        assert found.answer.generation == index.generation and found.answer.n_qualified == 39
        assert index.locate(query, ()).answer.hits == ()


def test_it_is_looked_deeper_and_deeper_until_all_are_found(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = choosing.rank_in_stages

    def noted(snapshot: object, question: object, encode: object) -> Ranking:
        asked.append(question.query.offset + question.query.top_k)  # type: ignore[attr-defined]
        return original(snapshot, question, encode)  # type: ignore[arg-type]

    monkeypatch.setattr(choosing, "rank_in_stages", noted)
    monkeypatch.setattr(choosing, "_REACHES", (2, 15, 20))
    with open_index(toy.path) as index:
        ids = list(whole(index, Query("gout", mode="semantic")))
        for rank, expected in (
            (1, [5]),
            (5, [5]),
            (10, [5]),  # so many are always ranked
            (11, [5, 15]),
            (16, [5, 15, 20]),
            (40, [5, 15, 20]),
        ):
            asked.clear()
            (hit,) = index.locate(Query("gout", mode="semantic", top_k=3, offset=2), [ids[rank - 1]]).answer.hits
            assert (hit.rank, asked) == (rank, expected)


def test_depths_by_hand() -> None:
    assert list(_list_reaches(Query("a"))) == [10, 1_000, 10_000]
    assert list(_list_reaches(Query("a", top_k=100, offset=950))) == [1_050, 10_000]
    assert list(_list_reaches(Query("a", top_k=100, offset=20_000))) == [20_100]


@pytest.mark.parametrize(
    "more",
    [{}, {"min_score": 0.7}, {"filters": Filters(years=((2000, None),))}, {"like": ("toy-03",)}, {"diversify": 0.4}],
)
def test_by_meaning_the_rank_of_a_hit_is_found_below_all_depths(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    monkeypatch.setattr("engine.query.ranks.ranking._POOL", 4)
    monkeypatch.setattr(choosing, "_REACHES", (5,))
    query = replace(Query("gout", mode="semantic", top_k=3), **more)  # type: ignore[arg-type]
    with open_index(toy.path) as index:
        hits, all_ids = whole(index, query), list(whole(index, Query("gout")))
        found = index.locate(query, all_ids)
        if "diversify" not in more:  # whose first hits depend on how many are wanted
            assert [stated(hit) for hit in found.answer.hits] == [stated(hit) for hit in hits.values()]
        assert [stated(hit) for hit in found.answer.hits][5:] == [stated(hit) for hit in hits.values()][5:]
        assert set(found.left_out) == set(all_ids) - set(hits)


def stated(hit: Hit) -> tuple[object, ...]:
    return (hit.rank, hit.id, pytest.approx(hit.score, abs=1e-6))


def test_by_words_what_lies_below_all_depths_is_left_out(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_REACHES", (11,))
    with open_index(toy.path) as index:
        query = Query("gout colchicine", mode="keyword", top_k=3)
        ids = list(whole(index, query))
        found = index.locate(query, (ids[10], ids[11]))
        assert ([hit.rank for hit in found.answer.hits], found.left_out) == ([11], (ids[11],))


@pytest.mark.parametrize("mode", MODES)
def test_nobody_who_has_gone_is_looked_for_deeper(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    deadline, original, n = Deadline(time.monotonic() + 60), choosing.rank_in_stages, 0

    def leaving(*given: object) -> Ranking:
        nonlocal n
        n += 1
        deadline.latest = 0.0
        return original(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(choosing, "_REACHES", (5, 6, 7))
    with open_index(toy.path) as index, limit_time(deadline):
        index.search("gout", filters=Filters(years=((2018, None),)))
        monkeypatch.setattr(choosing, "rank_in_stages", leaving)
        with pytest.raises(BusyError, match="the time for this answer is over"):
            index.locate(Query("gout pain", mode=mode, top_k=3, filters=Filters(years=((2018, None),))), ["toy-01"])
        assert n == 1
