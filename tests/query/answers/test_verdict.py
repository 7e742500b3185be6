"""The verdict by hand, and on the toy index: what it depends on, and what it does not."""

from dataclasses import replace

import pytest

from engine import Filters, Index, Query, open_index
from engine.index.generations.folder import IndexFolder
from engine.options import MODES, Mode
from engine.query.answers.verdict import (
    VERSION,
    Support,
    _choose_level,
    _compute_bound,
    _find_reach,
    compute_strength,
    find_near,
    weigh_evidence,
)
from engine.query.index import get_generation
from engine.query.ranks import ranking
from engine.query.ranks.evidence import Evidence, HitEvidence
from engine.records.answer import AnswerVerdict
from engine.records.generation import Calibration, Reach, Standards

pytestmark = pytest.mark.usefixtures("all_probes")
ANY_MODE = pytest.mark.parametrize("mode", MODES)
SHARES = (0.5, 0.9, 0.95)
PLAIN = Standards(VERSION, 0.2, 0.6, SHARES, ())
REACH = Reach("semantic", (0.0, 0.0, 0.1), (0.0, 0.0, 0.0))
MEASURED = Calibration((0.9, 0.99), (0.4, 0.7), (0.0, 0.0), 1000, 100, standards=replace(PLAIN, reaches=(REACH,)))


def hits(*found: tuple[float, ...], n_words: int = 6) -> Evidence:
    """Evidence of hits: cosine, share, share in the title and, if it is less than the share, in one sentence."""
    return Evidence(
        tuple(HitEvidence(one[0], one[1], one[2], one[-1] if one[3:] else one[1]) for one in found), n_words
    )


@pytest.mark.parametrize(
    ("found", "strength"),
    [
        ([], 0.0),
        ([(0.1, 1.0, 0.0)], 0.3),  # not near, all words
        ([(0.1, 1.0, 0.0, 0.5)], 0.3 * 0.25),  # no two of them in one sentence
        ([(0.4, 1.0, 0.0)], 0.7 * 0.5 + 0.3),
        ([(0.8, 0.5, 0.0)], 0.6),
        ([(0.8, 0.75, 0.0)], 0.75 * (0.7 * 1.5 + 0.3 * 0.5625)),
        ([(0.6, 0.0, 0.0)], 0.4),  # near, in other words
        ([(0.6, 0.0, 0.0), (0.2, 1.0, 0.0)], 0.4),  # what two hits have is not added up
    ],
)
def test_strength(found: list[tuple[float, ...]], strength: float) -> None:
    assert compute_strength(hits(*found), PLAIN) == pytest.approx(strength)


def weigh(evidence: Evidence) -> Support:
    support = weigh_evidence(evidence, MEASURED, "semantic")
    assert support is not None
    return support


def test_the_strongest_hit_exceeds_the_next_ones() -> None:
    best, other = (0.4, 1.0, 0.0), (0.1, 1.0, 0.0)  # of strengths 0.65 and 0.3
    assert weigh(hits(best)).clear == pytest.approx(0.65 / 0.3)  # those that are missing have no strength
    assert weigh(hits(*[other] * 4, best)).clear == pytest.approx(0.35 / 0.3)  # in any order
    assert weigh(hits(best, *[other] * 9)).clear == pytest.approx(0.35 / 0.3)  # by the next four
    assert weigh(hits(best, *[other] * 4, n_words=2)).clear == pytest.approx(0.35 / 0.45)  # few words: by more


def test_many_hits_are_near_and_strong() -> None:
    near = 1.05 * 0.4  # of a random title, a tenth of the other records are as near
    support = weigh(hits(*[(0.5, 0.8, 0.0)] * 10))
    assert support.clear == pytest.approx(min(0.5 / near, 0.8 * (0.7 * 0.75 + 0.3 * 0.64) / 0.36)) and support.clear > 1
    assert weigh(hits(*[(0.41, 1.0, 0.0)] * 10)).clear == pytest.approx(0.41 / near)  # strong, but not so near
    assert weigh(hits(*[(0.4, 1.0, 0.0)] * 10, n_words=3)).clear == pytest.approx(0.65 / 0.65)  # few words: stronger
    assert weigh(hits(*[(0.5, 0.0, 0.0)] * 10)).clear == pytest.approx(0.3 / 0.36)  # near, but not strong
    four = weigh(hits(*[(0.5, 0.8, 0.0)] * 4))
    assert four.clear < 1  # too few hits


def test_a_title_holds_a_few_words() -> None:
    near, far = 0.33, 0.31  # 0.3 of the way from 0.2 to 0.6 is 0.32
    for n_words, cosine, title, clear in (
        (1, -0.5, 1.0, True),
        (3, near, 1.0, True),
        (3, far, 1.0, False),
        (4, near, 1.0, False),
        (3, near, 0.9, False),
    ):
        assert (weigh(hits(*[(cosine, 1.0, title)] * 5, n_words=n_words)).clear >= 1) is clear


def test_a_search_is_weighed_by_its_best_match() -> None:
    found = replace(hits(*[(0.4, 1.0, 0.0)] * 10), is_search=True)
    assert weigh(found).clear == pytest.approx(0.65 / 0.62)


@pytest.mark.parametrize(
    ("unrelated", "bound"),
    [((0.1, 0.12, 0.15), 0.2625), ((0.0, 0.0, 0.01), 0.15), ((0.3, 0.5, 0.6), 0.3)],
)
def test_the_bound_of_related_answers(unrelated: tuple[float, ...], bound: float) -> None:
    reach = Reach("semantic", unrelated, unrelated)
    assert _compute_bound(PLAIN, reach) == pytest.approx(bound)
    measured = replace(MEASURED, standards=replace(PLAIN, reaches=(reach,)))
    support = weigh_evidence(hits((0.6, 0.0, 0.0)), measured, "semantic")
    assert support is not None and support.related == pytest.approx(0.4 / bound)


def test_levels() -> None:
    found = [Support(*one).level for one in ((1.0, 1.0), (0.99, 1.0), (0.0, 1.0), (0.9, 0.99))]
    assert found == ["clear", "related", "related", "nothing"]


def test_near_records_of_a_random_title() -> None:
    shares = (0.9, 0.99, 0.999)
    pairs = Calibration(shares, (0.4, 0.5, 0.7), (0.0,) * 3, 1000, 100)
    assert find_near(pairs) == pytest.approx(0.4)  # ten of a hundred
    assert find_near(replace(pairs, n_records=1000)) == pytest.approx(0.5)
    assert find_near(replace(pairs, n_records=10_000)) == pytest.approx(0.7)
    assert find_near(replace(pairs, n_records=100_000)) == pytest.approx(0.9)  # as from 0.99 to 0.999
    assert find_near(replace(pairs, n_records=5)) == pytest.approx(0.4)


def test_no_level_without_standards_of_the_mode_and_the_rule(toy: IndexFolder) -> None:
    standards = replace(PLAIN, reaches=(Reach("keyword", (0.0,) * 3, (0.0,) * 3),))
    assert _find_reach(standards, "keyword") and _find_reach(standards, "semantic") is None
    assert _find_reach(None, "keyword") is _find_reach(replace(standards, version=VERSION - 1), "keyword") is None
    with open_index(toy.path) as index:
        snapshot = get_generation(index)
        measured = Calibration((0.5,), (0.1,), (0.2,), 7, 40, standards=replace(PLAIN, reaches=()))
        for calibration, end in (
            (None, "from those of other fields"),  # so few records that compaction measures nothing
            (measured, "from those of other fields"),
            (replace(measured, standards=None), "(to measure it: engine compact)"),
        ):
            snapshot.manifest = replace(snapshot.manifest, calibration=calibration)
            verdict = index.ask(Query("gout")).verdict
            assert verdict is not None and verdict.level is None and verdict.n_holding == 8
            assert verdict.text.endswith(end)
            assert _choose_level(snapshot, hits(), "keyword") == "nothing"


@pytest.mark.parametrize(
    ("n", "missing", "line"),
    [
        (0, ("gowt",), "related; no record holds: gowt"),
        (1, (), "related; 1 record holds all words of the question"),
        (0, (), "related: the best hits hold some words of the question, but no record holds all its words"),
        (
            0,
            ("gowt",) * 1020,
            "related; no record holds: " + ", ".join(["gowt"] * 20) + " and 1,000 more",
        ),
        (2000, (), "related; 2,000 records hold all words of the question"),
    ],
)
def test_in_words(n: int, missing: tuple[str, ...], line: str) -> None:
    assert str(AnswerVerdict("related", "related", n, missing, 0.5, 0.5)) == line


def test_hits_in_other_words_are_told() -> None:
    line = "clearly about this: the best hits say it in other words, but no record holds all its words"
    assert str(AnswerVerdict("clear", "clearly about this", 0, (), 0.5, 0.0)) == line
    nothing = AnswerVerdict("nothing", "nothing here", 0, (), 0.5, 0.5)
    assert str(nothing) == "nothing here; no record holds all words of the question"


@ANY_MODE
@pytest.mark.parametrize(("text", "n"), [("gout AND (colchicine OR mortgage)", 1), ("gout NOT gout", 0)])
def test_a_search_is_counted_by_its_matches(toy: IndexFolder, mode: Mode, text: str, n: int) -> None:
    with open_index(toy.path) as index:
        verdict = index.ask(Query(text, mode=mode)).verdict
        assert verdict is not None and (verdict.n_holding, verdict.share) == (n, float(n))
        assert str(verdict).endswith("1 record matches the search" if n else "0 records match the search")
        assert (verdict.level == "nothing") is (n == 0)


@ANY_MODE
def test_paging_does_not_change_it(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        query = Query("colchicine or gout", mode=mode)
        verdict = index.ask(query).verdict
        assert verdict is not None and verdict.n_holding == 1
        for more in ({"top_k": 1}, {"top_k": 40}, {"offset": 7, "top_k": 3}, {"offset": 100}, {"explain": True}):
            assert index.ask(replace(query, **more)).verdict == verdict


@ANY_MODE
@pytest.mark.parametrize("text", ["gout knee pain", "gout OR knee OR pain"])
@pytest.mark.parametrize("least", [None, 0.0])
def test_the_order_of_the_hits_does_not_change_it(toy: IndexFolder, mode: Mode, text: str, least: float | None) -> None:
    with open_index(toy.path) as index:
        query = Query(text, mode=mode, min_score=least, top_k=3)
        verdict = index.ask(query).verdict
        for more in ({"sort": "year"}, {"sort": "author", "offset": 20}, {"diversify": 0.9}, {"diversify": 1.0}):
            for top_k in (1, 12, 40):
                assert index.ask(replace(query, **more, top_k=top_k)).verdict == verdict  # type: ignore[arg-type]


def test_hits_below_the_fused_ones_are_not_the_best_of_sorted_ones(
    toy: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "DEPTH", 3)
    with open_index(toy.path) as index:
        query = Query("gout OR knee OR pain")
        assert index.ask(replace(query, sort="year")).verdict == index.ask(query).verdict


@ANY_MODE
def test_only_what_can_be_a_hit_is_counted(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        held = {hit.id for hit in index.search("+gout", mode="keyword", top_k=40)}
        with_both = {hit.id for hit in index.search("+gout +colchicine", mode="keyword", top_k=40)}
        assert held > with_both > set()
        if mode != "semantic":
            assert count_holding(index, Query("gout -colchicine", mode=mode)) == len(held - with_both)
            assert count_holding(index, Query('gout +"knee gout zebra"', mode=mode)) == 0
        if mode != "keyword":
            assert count_holding(index, Query("gout", mode=mode, like=(min(held), "toy-01"))) == len(
                held - {min(held), "toy-01"}
            )


def count_holding(index: Index, query: Query) -> int:
    verdict = index.ask(query).verdict
    assert verdict is not None
    return verdict.n_holding


@ANY_MODE
def test_filters_restrict_what_is_counted(toy: IndexFolder, mode: Mode) -> None:
    with open_index(toy.path) as index:
        query = Query("gout", mode=mode)
        holding = [hit.id for hit in index.search("gout", mode="keyword", top_k=40)]
        for left_out in ((), (holding[0],), tuple(holding)):
            verdict = index.ask(replace(query, filters=Filters(hide=left_out))).verdict
            assert verdict is not None and verdict.n_holding == len(holding) - len(left_out)
            assert (verdict.share == 0) is (left_out == tuple(holding))


def test_without_hits_there_is_nothing(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        verdict = index.ask(Query("mortgage", mode="keyword")).verdict
        assert verdict is not None and (verdict.level, verdict.missing) == ("nothing", ("mortgage",))
        assert str(verdict).startswith("nothing here is clearly about this; no record holds: mortgage")


def test_only_a_text_is_judged_and_by_itself(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        assert index.ask(Query(like=("toy-01",))).verdict is None
        assert index.ask(Query("gout"), judged=False).verdict is None
        everything = Query("gout", top_k=40)
        plain = index.ask(everything).verdict
        assert plain is not None
        fed = index.ask(replace(everything, feedback=True))
        assert fed.verdict is not None and fed.verdict.cosine <= plain.cosine < fed.hits[0].score
