"""Terms of known records: their weights by hand, and their counts against what searches find."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import open_index
from engine.corpus.boolean.strategy import read_search
from engine.query.index import get_generation
from engine.query.opening.generation import OpenGeneration
from engine.query.seeds.seedterms import (
    SeedTerm,
    SeedTerms,
    WeighedTerm,
    _build_bits,
    _compute_weight,
    _count_needed,
    _drop_doubles,
)
from tests.conftest import Lasting

ROWS = (
    {"id": "k1", "title": "Zorbing falls", "abstract": "Zorbing injuries of the wrist fold.", "mesh": ["Zorbs", "Wrist"]},
    {"id": "k2", "title": "Wrist fold in zorbers", "abstract": "They zorbed.", "mesh": ["Zorbs", "Odd/heading"]},
    {"id": "k3", "title": "The zorb and the wrist fold", "abstract": "", "mesh": ["Zorbs", "Odd/heading"]},
    {"id": "k4", "title": "Wrist injuries", "abstract": "No fold.", "mesh": ["Wrist"]},
)  # fmt: skip


@pytest.fixture(scope="module")
def snapshot(lasting: Lasting) -> Iterator[OpenGeneration]:
    folder, add = lasting()
    add(*ROWS)
    with open_index(folder.path) as opened:
        yield get_generation(opened)


def seeds_of(snapshot: OpenGeneration, *ids: str) -> SeedTerms:
    doc_ids = tuple(sorted(snapshot.corpus.find_doc_id(one) for one in ids))
    return SeedTerms(snapshot, doc_ids, None, snapshot.manifest.counts.abstracts)


def test_a_weight_by_hand() -> None:
    # 2 of 2 known and no other of 10: 2 (2 ln 5 + 8 ln 1.25); 1 of 2 known, 1 of 8 others, of 10: four cells
    assert _compute_weight(2, 2, 2, 10) == pytest.approx(2 * (2 * math.log(5) + 8 * math.log(1.25)), abs=1e-6)
    by_hand = 1 * math.log(1 / 0.4) + 1 * math.log(1 / 1.6) + 1 * math.log(1 / 1.6) + 7 * math.log(7 / 6.4)
    assert _compute_weight(1, 2, 2, 10) == pytest.approx(2 * by_hand, abs=1e-6)
    assert _compute_weight(1, 5, 2, 10) == 0.0  # as frequent as among all
    assert _compute_weight(0, 5, 2, 10) == 0.0
    assert _compute_weight(10, 10, 10, 10) == 0.0


@given(st.integers(1, 20), st.integers(0, 40), st.data())
def test_a_term_in_more_known_records_or_fewer_others_weighs_more(n: int, others: int, data: st.DataObject) -> None:
    size = n + others + data.draw(st.integers(1, 40))
    having = data.draw(st.integers(0, n))
    n_others = data.draw(st.integers(0, size - n))
    weight = _compute_weight(having, having + n_others, n, size)
    assert weight >= 0.0
    if having < n:
        assert _compute_weight(having + 1, having + 1 + n_others, n, size) >= weight
    if n_others:
        assert _compute_weight(having, having + n_others - 1, n, size) >= weight


def test_how_many_known_records_must_have_a_term() -> None:
    assert [_count_needed(n) for n in (1, 2, 3, 10, 11, 15, 16, 100)] == [1, 2, 2, 2, 3, 3, 4, 20]


@given(st.sets(st.integers(0, 300)))
def test_bits_are_the_records(numbers: set[int]) -> None:
    bits = _build_bits(np.array(sorted(numbers), np.int64))
    assert {n for n in range(301) if bits >> n & 1} == numbers and bits.bit_count() == len(numbers)


def test_terms_are_words_stars_phrases_and_headings(snapshot: OpenGeneration) -> None:
    seeds = seeds_of(snapshot, "k1", "k2", "k3")
    found = {one.term.written: (one.n_known, one.n_records) for one in seeds.rank_terms(seeds.everyone)}
    assert found['"Zorbs"[mh:noexp]'] == (3, 3)
    assert found["zorb*[tiab]"] == (3, 3)
    assert found['"wrist fold"[tiab]'] == (3, 3)  # also across a line: not, since k4 has "Wrist injuries. No fold."
    assert found['"wrist"[tiab]'] == (3, 4)
    assert not [text for text in found if "Odd/heading" in text]  # a search can't say it
    assert '"the wrist"[tiab]' not in found  # "the" tells nothing


def test_counts_are_those_of_searches(snapshot: OpenGeneration) -> None:
    seeds = seeds_of(snapshot, "k1", "k2", "k3", "k4")
    assert len(seeds.giving) > 10
    for term, having in seeds.having.items():
        if term.is_heading and "/" in term.text:
            continue
        search = read_search(term.written)
        assert search is not None, term
        ids = snapshot.find_matches(search).doc_ids
        assert seeds.find_records(term) == _build_bits(ids) and seeds.count_records(term) == len(ids), term
        assert having == sum(1 << n for n, doc_id in enumerate(seeds.doc_ids) if doc_id in ids), term


def test_terms_without_some_records_are_as_if_these_were_unknown(snapshot: OpenGeneration) -> None:
    whole = seeds_of(snapshot, "k1", "k2", "k3", "k4")
    for n, left_out in enumerate(whole.doc_ids):
        ids = [whole.records[doc_id].record_id for doc_id in whole.doc_ids if doc_id != left_out]
        anew = seeds_of(snapshot, *ids)
        assert whole.rank_terms(whole.everyone & ~(1 << n)) == anew.rank_terms(anew.everyone)


def test_what_says_the_same_is_said_once() -> None:
    def one(text: str, n: int = 5, field: str = "tiab") -> WeighedTerm:
        return WeighedTerm(SeedTerm(text, field), 2, 1, n, 20.0)

    kept = [one("zorbs"), one("ankle fold knee"), one("knees", 6), one("Fold", field="mh")]
    dropped = [one("zorb*"), one("ankle fold"), one("fold")]
    more = [one("fold", 7), one("zorb*", 8)]
    assert _drop_doubles([*dropped, *kept, *more]) == [*kept, *more]


def test_terms_with_a_stem_in_common_are_of_one_group() -> None:
    assert SeedTerm("switch*").is_related(SeedTerm("switching back"))
    assert SeedTerm("Knee Injuries", "mh").is_related(SeedTerm("injury"))
    assert not SeedTerm("switch*").is_related(SeedTerm("switzerland"))
    assert not SeedTerm("Vitamin A", "mh").is_related(SeedTerm("arthritis"))
