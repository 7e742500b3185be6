"""Hits by their ids, with the ranks that they have among all."""

from dataclasses import replace

import pytest

from engine import Filters, Index, Query, open_index
from engine.index.folder import IndexFolder
from engine.queries import Hit, Mode
from engine.query import chosen as choosing
from engine.query.chosen import chosen, depths
from engine.query.ranking import Ranking

MORE: tuple[dict[str, object], ...] = (
    {}, {"diversify": 0.4}, {"min_score": 0.1}, {"filters": Filters(years=((2000, None),))}, {"like": ("toy-03",)}
)  # fmt: skip
CASES = [(mode, more) for mode in Mode for more in MORE if mode is not Mode.KEYWORD or "like" not in more]


def whole(index: Index, query: Query) -> dict[str, Hit]:
    """All hits of a query by id."""
    return {hit.id: hit for hit in index.ask(replace(query, offset=0, top_k=1000)).hits}


@pytest.mark.parametrize(("mode", "more"), CASES)
def test_every_hit_is_found_with_what_it_has_among_all(
    searchable: IndexFolder, mode: Mode, more: dict[str, object]
) -> None:
    query = replace(Query("colchicine gout", mode=mode, top_k=3, offset=2), **more)  # type: ignore[arg-type]
    with open_index(searchable.path) as index:
        hits = whole(index, query)
        for size in (1, 2, len(hits)):
            ids = list(hits)[-size:]
            found = chosen(index, query, ids[::-1])
            assert list(found.answer.hits) == [hits[one] for one in ids]
            assert (found.absent, found.left_out) == ((), ())
        left_out = tuple(sorted(set(whole(index, Query("a"))) - set(hits)))
        found = chosen(index, query, left_out)
        assert (found.answer.hits, found.absent, found.left_out) == ((), (), left_out)


def test_what_is_not_there_is_told_from_what_is_left_out(searchable: IndexFolder) -> None:
    with open_index(searchable.path) as index:
        query = Query("gout", filters=Filters(exclude=("toy-01",)))
        found = chosen(index, query, ("nope", "toy-01", "toy-02"))
        assert ([hit.id for hit in found.answer.hits], found.absent, found.left_out) == (
            ["toy-02"],
            ("nope",),
            ("toy-01",),
        )
        assert found.answer.generation == index.generation and found.answer.n_qualified == 39
        assert chosen(index, query, ()).answer.hits == ()


def test_it_is_looked_deeper_and_deeper_until_all_are_found(
    searchable: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = choosing.ranking

    def noted(snapshot: object, question: object, encode: object) -> Ranking:
        asked.append(question.query.offset + question.query.top_k)  # type: ignore[attr-defined]
        return original(snapshot, question, encode)  # type: ignore[arg-type]

    monkeypatch.setattr(choosing, "ranking", noted)
    monkeypatch.setattr(choosing, "DEPTHS", (2, 10, 20, 100))
    with open_index(searchable.path) as index:
        ids = list(whole(index, Query("gout")))
        for rank, expected in ((1, [5]), (5, [5]), (6, [5, 10]), (11, [5, 10, 20]), (40, [5, 10, 20, 40])):
            asked.clear()
            (hit,) = chosen(index, Query("gout", top_k=3, offset=2), [ids[rank - 1]]).answer.hits
            assert (hit.rank, asked) == (rank, expected)


def test_depths_by_hand() -> None:
    assert list(depths(Query("a"), 5)) == [10]
    assert list(depths(Query("a"), 11)) == [10, 11]
    assert list(depths(Query("a", top_k=100, offset=950), 250_000)) == [1050, 10_000, 100_000, 250_000]
