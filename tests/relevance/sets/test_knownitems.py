from dataclasses import replace

import pytest

from engine.errors import UsageError
from engine.records.abstract import Abstract
from engine.relevance.sets.holdout import TEST, hash_position
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.knownitems import Items, _ItemCounts, _make_item
from engine.relevance.sets.testset import SetText
from tests.relevance.items import make_known_items

LONG = "Patients with gout were asked about pain, and most of them had some in the night and some in the day as well."
STRUCTURED = (
    f"OBJECTIVE: To see whether gout hurts in the night. METHODS: {LONG} CONCLUSION: Gout hurts at any hour of the day."
)


def record(n: int, title: str = "", abstract: str = "") -> Abstract:
    return Abstract(
        f"PMID:{n}", title or f"Gout and pain in study number {n}", abstract or f"Study {n}. {LONG}", pmid=str(n)
    )


def test_a_title_is_to_find_its_abstract_without_the_title() -> None:
    one = record(1, "Gout and pain in the night", f"Gout and pain in the night. {LONG}\n {LONG}")
    found = make_known_items([one], "titles", "known", held_out_only=False)
    assert found.queries == (SetText("PMID:1", "Gout and pain in the night"),)
    assert found.documents == (SetText("PMID:1", f"{LONG} {LONG}"),)
    assert (found.judgments, found.name) == (Judgments({"PMID:1": {"PMID:1": 1}}), "known")


def test_a_conclusion_is_to_find_its_objective() -> None:
    found = make_known_items([record(1, abstract=STRUCTURED), record(2)], "conclusions", "known", held_out_only=False)
    assert found.queries == (SetText("PMID:1", "Gout hurts at any hour of the day."),)
    assert found.documents == (SetText("PMID:1", "To see whether gout hurts in the night."),)


def test_only_what_is_held_out_is_taken() -> None:
    every = [record(n) for n in range(300)]
    mine = [one for one in every if hash_position(one) < TEST]
    found = make_known_items(every, "titles", "known")
    assert 10 < len(mine) < 60
    assert [one.id for one in found.documents] == [one.record_id for one in mine]


def test_what_makes_no_item_is_counted() -> None:
    items = Items("titles", held_out_only=False)
    first = record(1)
    for one in (
        first,
        record(2, "Editorial"),
        record(3, abstract="None."),
        replace(record(4), pmid="1"),  # the same publication by PMID
        replace(record(5), title=first.title),  # by title
        replace(record(6), abstract=first.abstract.upper()),  # another one with the same document
        record(7),
    ):
        items.take(one)
    assert items.counts == _ItemCounts(read=7, outside=0, unusable=2, again=3, taken=2)
    assert [one.id for one in items.build_test_set("known").queries] == ["PMID:1", "PMID:7"]


def test_a_copy_takes_the_place_of_one_that_makes_no_item() -> None:
    bare = replace(record(1), abstract="")
    assert [
        one.id
        for one in make_known_items(
            [bare, replace(record(2), title=bare.title)], "titles", "k", held_out_only=False
        ).documents
    ] == ["PMID:2"]


def test_ids_of_queries_have_no_blanks() -> None:
    found = make_known_items(
        [replace(record(1), record_id="a b"), replace(record(2), record_id="a_b")], "titles", "k", held_out_only=False
    )
    assert [one.id for one in found.queries] == ["a_b"]
    assert found.judgments.grades == {"a_b": {"a b": 1}}


def test_the_least_title_and_body() -> None:
    assert _make_item(record(1, "Gout in the knee"), "titles") and not _make_item(record(1, "Gout in knees"), "titles")
    assert _make_item(record(1, abstract="x" * 100), "titles") and not _make_item(
        record(1, abstract="x" * 99), "titles"
    )


def test_no_item_at_all_is_refused() -> None:
    outside = next(one for one in (record(n) for n in range(100)) if hash_position(one) >= TEST)
    with pytest.raises(UsageError, match=r"none of 1 record makes an item: 1 not held out.*: --all"):
        make_known_items([outside], "titles", "k")
    with pytest.raises(UsageError, match=r"none of 1 record makes .* 1 without an abstract with the sections.*--kind"):
        make_known_items([record(1)], "conclusions", "k", held_out_only=False)
