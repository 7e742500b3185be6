import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.relevance.scoring.measures import Measure, MeasureKind, measure_queries, parse
from engine.relevance.sets.judgments import Judgments, read_judgments
from engine.relevance.sets.runs import Ranked, Run

GRADES = {"a": 2, "b": 1, "c": 0, "d": -1, "z": 1}


def run_of(rankings: Mapping[str, list[str]]) -> Run:
    """A run whose scores fall from 1 in equal steps."""
    return Run("r", {q: tuple(Ranked(i, 1 - n / 1024) for n, i in enumerate(ids)) for q, ids in rankings.items()})


def measure(name: str, ranking: str, n_documents: int | None = None, grades: dict[str, int] = GRADES) -> float:
    return measure_queries(parse(name), run_of({"q": list(ranking)}), Judgments({"q": grades}), n_documents)["q"]


def test_by_hand() -> None:
    log3 = math.log2(3)
    ideal = 2 + 1 / log3 + 1 / 2
    assert measure("nDCG@10", "xbda") == pytest.approx((1 / log3 + 2 / math.log2(5)) / ideal)
    assert measure("nDCG@2", "xbda") == pytest.approx(1 / log3 / (2 + 1 / log3))
    assert measure("nDCG", "xbda") == measure("nDCG@10", "xbda")
    assert measure("recall@2", "xbda") == pytest.approx(1 / 3)
    assert measure("R@100", "xbda") == pytest.approx(2 / 3)
    assert measure("P@10", "xbda") == pytest.approx(0.2)
    assert measure("P@2", "xbda") == 0.5
    assert measure("MRR@10", "xbda") == 0.5
    assert measure("MRR@1", "xbda") == 0.0
    assert measure("RR", "xbda") == 0.5
    assert measure("MAP", "xbda") == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert measure("AP", "abz") == 1.0


def test_measures_of_a_whole_collection_by_hand() -> None:
    assert measure("R@10%", "abxxxxxxxxxxz", 13) == pytest.approx(2 / 3)  # two of 13 are read
    assert measure("R@10%", "xabxxxxxxxxxz", 10) == 0.0  # one of 10
    assert measure("R@100%", "xxxxxxxxxxabz", 13) == 1.0
    assert measure("WSS@95", "abxz", 100) == pytest.approx(0.96 - 0.05)
    assert measure("WSS@50", "abxz", 100) == pytest.approx(0.98 - 0.5)  # two of three
    assert measure("WSS@95", "abx", 100) == pytest.approx(-0.05)  # one is never found, so all are read
    twenty = {chr(97 + n): 1 for n in range(20)}
    assert measure("WSS@95", "abcdefghijklmnopqrs", 40, twenty) == pytest.approx(21 / 40 - 0.05)  # 19 of 20 are enough
    assert measure("WSS@95", "", 0) == 0.0


@pytest.mark.parametrize("name", ["nDCG@10", "recall@100", "MRR@10", "MAP", "P@10", "R@10%", "WSS@95"])
def test_a_query_without_anything_relevant_has_0(name: str) -> None:
    assert measure(name, "abc", 3, {"a": 0, "b": -1}) == 0.0


def test_judged_queries_without_a_ranking_count_and_others_do_not() -> None:
    judgments = Judgments({"q2": {"a": 1}, "q1": {"a": 1}, "q3": {"a": 1}})
    run = run_of({"q1": ["a"], "other": ["a"], "q3": []})
    assert measure_queries(parse("P@1"), run, judgments) == {"q2": 0.0, "q1": 1.0, "q3": 0.0}
    assert list(measure_queries(parse("P@1"), run, judgments)) == ["q2", "q1", "q3"]


def test_the_order_of_a_run_counts_and_not_its_scores() -> None:
    run = Run("r", {"q": (Ranked("x", 0.1), Ranked("a", 0.9))})
    assert measure_queries(parse("MRR"), run, Judgments({"q": {"a": 1}})) == {"q": 0.5}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ndcg@10", "nDCG@10"), (" NDCG ", "nDCG"), ("Recall@100", "recall@100"), ("r@5", "recall@5"), ("RR@10", "MRR@10"),
        ("MRR", "MRR"), ("ap", "MAP"), ("map@100", "MAP@100"), ("p@1", "P@1"), ("recall@10%", "R@10%"), ("wss@100", "WSS@100"),
    ],
)  # fmt: skip
def test_names(text: str, name: str) -> None:
    assert str(parse(text)) == name
    assert parse(name) == parse(text)


def test_a_name_is_a_measure() -> None:
    assert parse("R@10%") == Measure(MeasureKind.RECALL_SHARE, 10) and parse("R@10%").is_deep
    assert parse("R@10") == Measure(MeasureKind.RECALL, 10) and not parse("R@10").is_deep


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("F1", "no measure is called 'F1': expected nDCG@10"),
        ("", "no measure is called"),
        ("nDCG@", "no measure"),
        ("nDCG@0", "no measure"),
        ("nDCG@-1", "no measure"),
        ("P@1.5", "no measure"),
        ("nDCG@10%", "has a percent sign, which only R@10% may have"),
        ("recall", "'recall' needs a cutoff, for example recall@10"),
        ("WSS", "needs a cutoff, for example WSS@95"),
        ("R@101%", "asks for 101 percent"),
        ("WSS@200", "asks for 200 percent"),
    ],
)
def test_what_is_no_measure_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_a_measure_of_the_collection_needs_its_size() -> None:
    with pytest.raises(UsageError, match="WSS@95 needs the number of records"):
        measure("WSS@95", "abc")


OURS = ("nDCG@10", "nDCG", "R@100", "MRR@10", "MAP", "P@10", "MAP@3", "nDCG@3", "P@1", "R@2", "MRR")
THEIRS = ("nDCG@10", "nDCG", "R@100", "RR@10", "AP", "P@10", "AP@3", "nDCG@3", "P@1", "R@2", "RR")


def measure_with_engine(run: Run, judgments: Judgments) -> dict[tuple[str, str], float]:
    """Values by (measure, query id)."""
    return {(name, q): v for name in OURS for q, v in measure_queries(parse(name), run, judgments).items()}


def measure_with_ir_measures(run: Run, judgments: Judgments) -> dict[tuple[str, str], float]:
    """The same by the other implementation. Scores of the run must fall strictly."""
    ir_measures = pytest.importorskip("ir_measures", reason="needs ir-measures, the other implementation")
    scores = {q: {one.record_id: one.score for one in ranking} for q, ranking in run.rankings.items()}
    names = dict(zip(THEIRS, OURS, strict=True))
    # Its pytrec_eval writes past its memory where all grades of a query are negative. Such a query has 0 all the same.
    grades = {q: given for q, given in judgments.grades.items() if max(given.values()) >= 0}
    calculated = (
        ir_measures.iter_calc([ir_measures.parse_measure(name) for name in THEIRS], grades, scores) if grades else ()
    )
    zeros = {(name, q): 0.0 for name in OURS for q in judgments.grades.keys() - grades.keys()}
    return zeros | {(names[str(one.measure)], one.query_id): one.value for one in calculated}


IDS = [f"d{n}" for n in range(14)]
QRELS = st.dictionaries(
    st.sampled_from("1234"), st.dictionaries(st.sampled_from(IDS), st.integers(-2, 4), min_size=1), min_size=1
)
RUNS = st.dictionaries(
    st.sampled_from("12345"),
    st.permutations(IDS).flatmap(lambda p: st.integers(1, 14).map(lambda n: p[:n])),
    min_size=1,
)


@given(QRELS, RUNS)
def test_values_are_those_of_ir_measures(grades: dict[str, dict[str, int]], rankings: dict[str, list[str]]) -> None:
    run, judgments = run_of(rankings), Judgments(grades)
    assert measure_with_engine(run, judgments) == pytest.approx(measure_with_ir_measures(run, judgments), abs=1e-6)


def test_values_are_those_of_ir_measures_on_real_judgments(shared: Path) -> None:
    judgments = read_judgments(shared / "med" / "qrels.tsv.gz")
    random, every = np.random.default_rng(5), [str(n) for n in range(1, 1034)]
    rankings = {}
    for query_id, grades in judgments.grades.items():
        noisy = {one: (one in grades) + random.normal(0, 0.6) for one in every}
        rankings[query_id] = sorted(every, key=lambda one: -noisy[one])[:1000]
    run = run_of(rankings)
    assert measure_with_engine(run, judgments) == pytest.approx(measure_with_ir_measures(run, judgments), abs=1e-6)


@given(st.permutations(IDS), st.dictionaries(st.sampled_from(IDS), st.integers(-1, 3), min_size=1), st.integers(1, 100))
def test_measures_of_a_collection_agree_with_reading_it(
    ranking: list[str], grades: dict[str, int], percent: int
) -> None:
    relevant = {one for one, grade in grades.items() if grade > 0}
    judgments, run, n = Judgments({"q": grades}), run_of({"q": ranking}), len(IDS)
    share = measure_queries(parse(f"R@{percent}%"), run, judgments, n)["q"]
    saved = measure_queries(parse(f"WSS@{percent}"), run, judgments, n)["q"]
    if not relevant:
        assert (share, saved) == (0.0, 0.0)
        return
    read = next(k for k in range(n + 1) if 100 * k >= percent * n)
    assert share == pytest.approx(len(relevant & set(ranking[:read])) / len(relevant))
    enough = next(k for k in range(n + 1) if 100 * len(relevant & set(ranking[:k])) >= percent * len(relevant))
    assert saved == pytest.approx((n - enough) / n - (1 - percent / 100))
