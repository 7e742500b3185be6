from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.relevance.scoring.evaluation import STANDARD, _Tally, evaluate_run, evaluate_set, measure_rankings
from engine.relevance.scoring.measures import measure_queries, parse
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.runs import Ranked, Run
from engine.relevance.sets.testset import SetText, TestSet, read_set
from tests.conftest import silent
from tests.relevance.letters import LettersEncoder

DOCUMENTS = (
    SetText("d1", "ab"),
    SetText("d2", "a"),
    SetText("d3", "b"),
    SetText("d4", "..."),
    SetText("d5", "aaaaaaaaaab"),
)
QUERIES = (SetText("q1", "a"), SetText("q2", "?"), SetText("q3", "b"), SetText("q5", "a"))
JUDGMENTS = Judgments({"q1": {"d1": 1, "d4": 1}, "q2": {"d1": 1}, "q3": {"d3": 0}, "q4": {"d9": 1}}, n_repeated=3)
SET = TestSet("s", DOCUMENTS, QUERIES, JUDGMENTS)


def values(names: str, found: object) -> list[list[float]]:
    by_name = {str(one.measure): one for one in found.measured}  # type: ignore[attr-defined]
    return [by_name[name].array.tolist() for name in names.split()]


def test_a_set_by_hand() -> None:
    found = evaluate_set(LettersEncoder(), SET, [parse("MRR"), parse("WSS@95"), parse("R@60%")], "letters")
    # q1 ranks d2, d5, d1, d3; d4 has no word, so WSS finds it at the end: (5 - 5) / 5 - 0.05
    assert values("MRR WSS@95 R@60%", found) == [
        pytest.approx([1 / 3, 0, 0, 0]),
        pytest.approx([-0.05, -0.05, 0, -0.05]),
        pytest.approx([0.5, 0, 0, 0]),
    ]
    assert found.tally == _Tally(
        n_queries=4,
        n_judged=4,
        n_documents=5,
        n_unjudged=1,
        n_without_text=1,
        n_without_hits=1,
        n_without_relevant=1,
        n_absent=1,
        n_repeated=3,
    )
    assert found.notes == (
        "1 document without a word that the encoder knows, never ranked",
        "1 document longer than the encoder reads, so compared by their beginning; an index made with "
        "--recipe passages has them to the end",
    )
    assert found.run.name == "letters" and list(found.measured[0].values) == ["q1", "q2", "q3", "q4"]
    assert found.measured[0].interval.mean == pytest.approx(1 / 12)


def test_measures_of_a_collection_look_below_what_others_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    measures = [*STANDARD, parse("R@60%"), parse("WSS@50")]
    whole = evaluate_set(LettersEncoder(), SET, measures)
    monkeypatch.setattr("engine.relevance.scoring.evaluation.DEPTH", 2)
    cut = evaluate_set(LettersEncoder(), SET, measures)
    assert values("R@60% WSS@50", cut) == values("R@60% WSS@50", whole)
    assert [mine[0] for mine in values("R@60% WSS@50", cut)] == pytest.approx([0.5, 2 / 5 - 0.5])
    assert values("recall@100", cut)[0][0] == 0 and values("recall@100", whole)[0][0] == 0.5


def test_a_short_run_measures_the_same() -> None:
    whole, short = (evaluate_set(LettersEncoder(), SET, STANDARD, run_depth=depth) for depth in (1000, 1))
    assert [len(one.run.rankings["q1"]) for one in (whole, short)] == [4, 1]
    assert (short.measured, short.tally) == (whole.measured, whole.tally)
    assert [one.values for one in whole.measured] == [
        measure_queries(one.measure, whole.run, JUDGMENTS, 5) for one in whole.measured
    ]


def test_a_run_by_hand() -> None:
    run = Run("r", {"q1": (Ranked("x", 2), Ranked("d1", 1)), "q9": (Ranked("d1", 1),), "q2": ()})
    found = evaluate_run(run, JUDGMENTS, [parse("MRR"), parse("R@40%")], 5)
    assert values("MRR R@40%", found) == [[0.5, 0, 0, 0], [0.5, 0, 0, 0]]
    assert (found.tally.n_unjudged, found.tally.n_without_hits, found.tally.n_without_text) == (1, 3, 0)
    assert found.notes == ()
    with pytest.raises(UsageError, match="R@40% needs the number of records"):
        evaluate_run(run, JUDGMENTS, [parse("R@40%")])


def test_a_run_of_other_records_is_noticed() -> None:
    found = evaluate_run(Run("r", {"q1": (Ranked("PMID:1", 2),)}), JUDGMENTS, [parse("MAP")])
    assert found.notes == ("no record of the run 'r' is judged: expected the ids that the judgments use",)


def test_queries_and_judgments_must_be_of_one_set() -> None:
    with pytest.raises(UsageError, match="none of the queries has judgments: ids look like 'a' and 'q1'"):
        evaluate_run(Run("r", {"a": ()}), JUDGMENTS, [parse("MAP")])
    with pytest.raises(UsageError, match="none of the queries has judgments: ids look like 'x' and 'q1'"):
        evaluate_set(LettersEncoder(), TestSet("s", DOCUMENTS, (SetText("x", "a"),), JUDGMENTS), [parse("MAP")])
    with pytest.raises(UsageError, match="nothing to measure, expected"):
        measure_rankings([], JUDGMENTS, {}, 5)


@pytest.mark.slow
def test_a_real_set_has_the_measures_that_it_had(shared: Path, model_folder: Path) -> None:
    from engine.reindex.encoding.encoders import open_model_encoder

    with open_model_encoder(str(model_folder), silent) as encoder:
        found = evaluate_set(encoder, read_set(shared / "med"), STANDARD)
    means = {str(one.measure): round(one.interval.mean, 3) for one in found.measured}
    assert means == pytest.approx(
        {
            "nDCG@10": 0.787,
            "recall@100": 0.958,
            "MRR@10": 0.911,
            "MAP": 0.721,
            "P@10": 0.763,
            "R@10%": 0.959,
            "WSS@95": 0.840,
        },
        abs=0.002,
    )
