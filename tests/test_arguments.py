"""Values of wrong types at every public method: all are refused by an EngineError, and numpy's are understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import EngineError, Filters, Index, Query, open_index
from engine.arguments import check_ids, check_list, check_switch, check_whole
from engine.errors import UsageError
from engine.options import BY_FIELD, FILTERS
from tests.conftest import CURRENT

KNOWN = ["toy-01", "toy-02"]
LONG = "x" * 200_000


class Odd:
    """A value that nothing can be compared with, as an array or a missing value of pandas."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("ambiguous")


def list_values() -> list[Any]:
    """Values that programs give by mistake; generators are made anew for each call."""
    itself: list[Any] = []
    itself.append(itself)
    return [
        *(
            None,
            True,
            0,
            -1,
            10**30,
            1.5,
            float("nan"),
            float("inf"),
            1j,
            "gout",
            "",
            " ",
            "a\0b",
            "a\ud800b",
            "~nobody12/x",
            LONG,
        ),
        *(b"gout", bytearray(b"x"), memoryview(b"x"), [], [""], ["gout"], [None], [1], [b"x"], [["gout"]], ["a\0"]),
        *(("gout",), {"gout"}, {"a": 1}, range(3), (text for text in ["gout"]), map(str, [1]), itself, object()),
        *(int, len, Query, Odd(), Path("x"), Query("gout"), Filters(), ..., ValueError("x"), date(2020, 1, 1)),
        *(datetime(1, 1, 1, tzinfo=UTC) - timedelta(0), timedelta(1), [(2000, 2001)], [(1.5, None)], [("1", "2")]),
        *(np.int64(3), np.float32(0.5), np.bool_(True), np.str_("gout"), np.array(3), np.array([2, 1])),
        *(np.array(["gout", "knee"]), np.array([None, "x"], object), np.zeros((2, 2)), np.datetime64("NaT")),
    ]


def list_calls(index: Index) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """Each argument of each public method that takes one, and each field of a query and its filters."""
    dim, text = index.vectors(KNOWN).shape[1], Query("gout")
    yield "ask", index.ask
    for name in [option.field for option in BY_FIELD.values() if option not in FILTERS] + ["filters"]:
        yield f"Query.{name}", lambda value, name=name: index.ask(Query(**{"text": "gout", name: value}))
    for option in FILTERS:
        yield (
            f"Filters.{option.field}",
            lambda value, name=option.field: list(index.abstracts(Filters(**{name: value}))),
        )
    for name in ("n_explained", "judged", "only"):
        yield f"ask.{name}", lambda value, name=name: index.ask(text, **{name: value})
    yield "ask_batch", index.ask_batch
    yield "ask_batch of", lambda value: index.ask_batch([value])
    yield "ask_batch.judged", lambda value: index.ask_batch([text], judged=value)
    yield "nearest", index.nearest
    yield "nearest_to", index.nearest_to
    yield "nearest_to of", lambda value: index.nearest_to([value] * dim)
    yield "search", index.search
    yield "search_batch", index.search_batch
    yield "search_batch of", lambda value: index.search_batch([value])
    yield "new", lambda value: index.new(value, since=0)
    yield "new.since", lambda value: index.new("gout", since=value)
    yield "ask_new", lambda value: index.ask_new(value, since=0)
    for method in (index.nearest, index.search, lambda _, **given: index.nearest_to(np.ones(dim), **given)):
        for name in ("top_k", "filters"):
            yield f"{method}.{name}", lambda value, name=name, method=method: method("gout", **{name: value})
    yield "similar", index.similar
    yield "similar of", lambda value: index.similar([value])
    yield "similar.unlike", lambda value: index.similar(KNOWN[:1], unlike=value)
    yield "recall", lambda value: index.recall(value, KNOWN)
    yield "locate", lambda value: index.locate(value, KNOWN)
    takers = (index.suggest, index.chase, index.vectors, index.get_records, index.encode)
    for take in (*takers, lambda known: index.recall(text, known), lambda ids: index.locate(text, ids)):
        yield f"{take} of all", take
        yield f"{take} of one", lambda value, take=take: take([value])
    for name in ("backward", "forward", "depth"):
        yield f"chase.{name}", lambda value, name=name: index.chase(KNOWN, **{name: value})
    yield "get", index.get
    yield "get_sources", index.get_sources
    yield "abstracts", lambda value: list(index.abstracts(value))
    yield "abstracts.sort", lambda value: list(index.abstracts(sort=value))
    yield "open_index", open_index
    for name in ("follow", "device", "generation"):
        yield f"open_index.{name}", lambda value, name=name: open_index(index.path, **{name: value})


def test_a_value_of_a_wrong_type_is_an_engine_error_with_a_short_message() -> None:
    with open_index(CURRENT) as index:
        for (name, call), value in ((one, value) for one in list_calls(index) for value in list_values()):
            try:
                call(value)
            except EngineError as err:
                assert len(str(err)) < 1_000, (name, str(err)[:200])
            except Exception as err:
                raise AssertionError(f"{name}({str(type(value))} {str(value)[:40]}) raised {err!r}") from err


def test_lists_are_taken_from_any_collection_but_never_from_one_value() -> None:
    assert check_ids("ids", ["PMID:1", 2, np.int64(3)]) == ("PMID:1", "2", "3")
    assert check_list("x", (n for n in "ab"), "a list") == list(np.array(["a", "b"])) == ["a", "b"]
    for one in ("ab", b"ab", {"a": 1}, 3, None, np.array(3)):
        with pytest.raises(UsageError, match="^ids is .*, expected a list of record ids, PMIDs or DOIs$"):
            check_ids("ids", one)
    for item in (None, True, np.bool_(True), 1.0, b"1", ["1"]):
        with pytest.raises(UsageError, match="^ids holds .*, expected a record id, PMID or DOI as text$"):
            check_ids("ids", [item])


def test_numbers_and_switches_of_numpy_are_those_of_python() -> None:
    assert check_whole("n", np.uint8(3), 1) == 3 and check_switch("x", np.bool_(False)) is False
    with pytest.raises(UsageError, match=r"^n is 11, expected a whole number from 1 to 10$"):
        check_whole("n", 11, 1, 10)
    for value in (True, np.bool_(True), 1.0, "1", None, int, np.array([1, 2])):
        with pytest.raises(UsageError, match="expected a whole number from 0$"):
            check_whole("n", value, 0)
    for value in (0, 1, "no", None, np.array([True, False])):
        with pytest.raises(UsageError, match="expected True or False$"):
            check_switch("x", value)


def test_what_comes_in_a_generator_is_read_once_and_answered_whole() -> None:
    with open_index(CURRENT) as index:
        assert index.encode(text for text in ("gout", "knee")).shape[0] == 2
        assert len(index.search_batch(text for text in ("gout", "knee"))) == 2
        assert np.array_equal(index.vectors(one for one in KNOWN), index.vectors(KNOWN))
        assert {hit.id for hit in index.search("gout", filters=Filters(ids=iter(KNOWN)))} == set(KNOWN)
        years = Filters(years=[(np.int64(1990), None)])
        assert years == Filters(years=[(1990, None)]) and type(years.year_ranges[0][0]) is int


def test_one_id_in_place_of_a_list_is_refused_and_never_read_letter_by_letter() -> None:
    with open_index(CURRENT) as index:
        for take in (index.suggest, index.chase, index.vectors, lambda ids: index.locate(Query("gout"), ids)):
            with pytest.raises(UsageError, match="is 'toy-01', expected a list of"):
                take("toy-01")
        with pytest.raises(UsageError, match="'gout' was given, expected engine.Query"):
            index.ask("gout")  # type: ignore[arg-type]


def test_a_value_that_cannot_be_written_is_refused_like_any_other() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    with open_index(CURRENT) as index:
        for value in (10**5000, -(10**5000), Odd()):
            for take in (
                index.similar,
                index.nearest_to,
                lambda given: index.vectors([given]),
                lambda given: index.chase(KNOWN, depth=given),
                lambda given: Filters(years=[given]),
                lambda given: Filters(mesh=[given]),
            ):
                with pytest.raises(UsageError, match=r"a value of (int|Odd) that can't be shown"):
                    take(value)
