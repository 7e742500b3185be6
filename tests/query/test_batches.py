from collections.abc import Sequence

import pytest

from engine.errors import EncoderMismatchError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query import batches
from engine.query.batches import answer_each, split_pages
from engine.query.index import open_index
from engine.records.answer import Answer


class Counted:
    """An index that can't answer "bad", and counts the queries of each call."""

    def __init__(self, error: type[Exception] = UsageError) -> None:
        self.error = error
        self.calls: list[int] = []
        self.judged: set[bool] = set()

    def ask_batch(self, queries: Sequence[Query], *, judged: bool = True) -> list[Answer]:
        self.judged.add(judged)
        self.calls.append(len(queries))
        if any(query.text == "bad" for query in queries):
            raise self.error("it is bad")
        return [Answer(query, 1, (), 0) for query in queries]


def told(index: Counted, texts: Sequence[str]) -> list[str]:
    answers = answer_each(index, [Query(text) for text in texts])  # type: ignore[arg-type]
    return [one.query.text if isinstance(one, Answer) else f"error: {one}" for one in answers]


def test_good_queries_are_asked_together() -> None:
    index = Counted()
    assert told(index, "abcd") == list("abcd") and index.calls == [4]
    assert told(index, "") == [] and index.calls == [4]


def test_one_bad_query_costs_a_few_calls_and_keeps_its_place() -> None:
    index = Counted()
    texts = ["a", "b", "bad", "d", "e", "f", "g", "h"]
    assert told(index, texts) == ["a", "b", "error: it is bad", "d", "e", "f", "g", "h"]
    assert index.calls == [8, 4, 2, 2, 1, 1, 4]  # by hand: each half anew
    assert index.judged == {False}


def test_every_half_is_judged_as_the_whole_is() -> None:
    index = Counted()
    assert len(list(answer_each(index, [Query("a"), Query("bad"), Query("c")], judged=True))) == 3  # type: ignore[arg-type]
    assert index.judged == {True}


def test_the_first_error_comes_before_the_rest_is_asked() -> None:
    index = Counted()
    first = next(answer_each(index, [Query("bad"), Query("b")]))  # type: ignore[arg-type]
    assert str(first) == "it is bad" and index.calls == [2, 1]


def test_all_bad_queries_have_their_errors() -> None:
    assert told(Counted(), ["bad", "bad", "bad"]) == ["error: it is bad"] * 3


@pytest.mark.parametrize("error", [EncoderMismatchError, RuntimeError])
def test_what_is_not_the_fault_of_a_query_passes(error: type[Exception]) -> None:
    index = Counted(error)
    with pytest.raises(error, match="it is bad"):
        told(index, ["a", "bad"])
    assert index.calls == [2]


def test_pages_hold_so_many_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(page) for page in split_pages(range(600), 10)] == [256, 256, 88]
    assert [len(page) for page in split_pages(range(3), 100_000)] == [1, 1, 1]
    monkeypatch.setattr(batches, "_MAX_HITS", 50)
    assert list(split_pages("abcdefg", 20)) == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    assert list(split_pages([], 1)) == []


def test_a_real_index_says_the_same(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    queries = [Query("gout"), Query(" "), Query("knee pain")]
    first, bad, last = answer_each(index, queries)
    assert (first, last) == tuple(index.ask(one, judged=False) for one in (queries[0], queries[2]))
    first, bad, last = answer_each(index, queries, judged=True)
    assert (first, last) == (index.ask(queries[0]), index.ask(queries[2]))
    assert isinstance(bad, UsageError)
