"""Pairs of a corpus: what they are made of, and what is never among them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.records.abstract import Abstract
from engine.relevance.sets.holdout import DEV, TEST, hash_position
from engine.train.pairs.corpuspairs import (
    _compute_overlap,
    _compute_rarities,
    _grade_pairs,
    _parse_headings,
    build_pairs,
    select_pairs,
)
from engine.train.pairs.pairtable import PairTable


def test_a_title_finds_its_body_and_a_conclusion_its_objective(corpus: list[Abstract]) -> None:
    pairs = build_pairs(corpus)
    kept = [record for record in corpus if hash_position(record) >= DEV]
    assert [title for title, _ in pairs.titles] == [record.title for record in kept]
    assert pairs.titles[0][1] == kept[0].abstract
    objective = kept[0].abstract.split("METHODS")[0].removeprefix("OBJECTIVE: ").strip()
    assert pairs.conclusions[0] == (kept[0].abstract.split("CONCLUSION: ")[1], objective)


def test_held_out_publications_and_their_copies_are_never_trained_on(corpus: list[Abstract]) -> None:
    held = [record for record in corpus if hash_position(record) < DEV]
    # copies under other ids: one with the same DOI and another title, one with the same text and no title
    copies = [
        Abstract("X1", "A wholly different title of some words", "Another text." * 20, doi="10.1/a"),
        replace(held[1], record_id="X2", title=""),
    ]
    records = [replace(held[0], doi="10.1/A"), *held[1:], *[r for r in corpus if hash_position(r) >= DEV], *copies]
    pairs = build_pairs(records)
    texts = {text for pair in (*pairs.titles, *pairs.conclusions) for text in pair} | {g.one for g in pairs.mesh}
    assert not texts & {record.title for record in (*held, *copies)}
    assert not texts & {record.abstract for record in (*held, *copies)}
    assert pairs.n_held_out == len(held) + 2
    assert [title for title, _ in pairs.dev] == [r.title for r in held if hash_position(r) >= TEST]


def test_what_is_kept_out_is_not_trained_on_nor_used_as_dev(corpus: list[Abstract]) -> None:
    some = [record for record in corpus if hash_position(record) >= TEST][:40]
    pairs = build_pairs(corpus, [replace(record, record_id=f"other {record.record_id}") for record in some])
    used = {title for title, _ in (*pairs.titles, *pairs.dev)}
    assert not used & {record.title for record in some}
    assert used == {r.title for r in corpus if hash_position(r) >= TEST} - {r.title for r in some}


@pytest.mark.parametrize(
    ("title", "abstract"),
    [
        ("Gout {}", "A body of text. " * 10),
        ("Pain of knee {}", "Too short."),
        ("Pain of knee {}", "On pain of knee {}. " * 9),
    ],
    ids=["short title", "short body", "title in the body"],
)
def test_no_pair_is_made_of_too_little_or_of_a_title_in_its_text(title: str, abstract: str) -> None:
    made = [Abstract("1", title.format(n), abstract.replace("{}", str(n))) for n in range(100)]
    record = next(one for one in made if hash_position(one) >= DEV)
    assert not build_pairs([record]).titles


def test_a_publication_that_is_there_twice_makes_one_pair(corpus: list[Abstract]) -> None:
    twice = [*corpus, *(replace(record, record_id=f"again {record.record_id}") for record in corpus)]
    assert build_pairs(twice).titles == build_pairs(corpus).titles


def test_grades_are_weighted_by_rarity() -> None:
    weights = _compute_rarities([frozenset("ab"), frozenset("ac"), frozenset("ad"), frozenset("bc")])
    assert weights["a"] == pytest.approx(math.log(4 / 3)) and weights["d"] == pytest.approx(math.log(4))
    shared, either = math.log(4 / 3), math.log(4 / 3) + 2 * math.log(2)
    assert _compute_overlap(frozenset("ab"), frozenset("ac"), weights) == pytest.approx(shared / either)
    assert _compute_overlap(frozenset("ab"), frozenset("ab"), weights) == 1
    assert _compute_overlap(frozenset(), frozenset(), weights) == 0


def test_headings_lose_qualifiers_and_the_mark_of_a_major_topic() -> None:
    assert _parse_headings(Abstract("1", "", "", mesh=("Gout/drug therapy*", "*Humans", "GOUT"))) == {"gout", "humans"}


def test_graded_pairs_are_the_same_for_the_same_seed(corpus: list[Abstract]) -> None:
    assert _grade_pairs(corpus, 1) == _grade_pairs(corpus, 1) != _grade_pairs(corpus, 2)
    assert all(0 <= one.grade <= 1 for one in _grade_pairs(corpus, 1))
    assert max(one.grade for one in _grade_pairs(corpus, 1)) > 0.3


def test_pairs_of_a_file_are_taken_as_they_are() -> None:
    anchors = (*(f"question {n}" for n in range(400)), "negative", " ", "question 1")
    positives = (*(f"answer {n}" for n in range(400)), "of another", "answer", "answer 1")
    labels = np.array([*[1.0] * 400, 0.5, 1.0, 1.0], np.float32)
    pairs = select_pairs(PairTable("pairs", ("anchor", "positive"), (anchors, positives), labels, "0" * 64))
    places = {one: hash_position(Abstract("", one, other)) for one, other in zip(anchors, positives, strict=True)}
    assert {one for one, _ in pairs.titles} == {one for one in anchors[:400] if places[one] >= DEV}
    assert {one for one, _ in pairs.dev} == {one for one in anchors[:400] if TEST <= places[one] < DEV}
    assert 5 < len(pairs.dev) < 40 and len(pairs.titles) + len(pairs.dev) < 380
    assert not {one for one, _ in pairs.titles} & {one for one, _ in pairs.dev}
    assert all(one.split()[1] == other.split()[1] for one, other in (*pairs.titles, *pairs.dev))
    assert (pairs.n_records, pairs.n_held_out) == (400, 400 - len(pairs.titles))
