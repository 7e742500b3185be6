import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine import Index, open_index
from engine.errors import AbstractNotFoundError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import MODES, Filters, Mode, Query
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.relevance.scoring.evaluation import STANDARD, Evaluation
from engine.relevance.scoring.indexrun import _measure_ann_recall, evaluate_index
from engine.relevance.scoring.measures import measure_queries, parse
from engine.relevance.sets.judgments import Judgments, read_judgments
from tests.conftest import CURRENT, SAMPLE

Add = Callable[..., Report]
QUERIES = {"q1": "gout in the knee", "q2": "fatigue in lupus", "q3": "pain"}
DEEP = [parse("R@10%"), parse("WSS@95")]


@pytest.fixture
def index(toy: IndexFolder) -> Index:
    return open_index(toy.path)


def judged(index: Index, mode: Mode = "semantic", step: int = 7) -> Judgments:
    """Every step-th hit of each query is relevant."""
    ranked = {q: index.ask(Query(text, top_k=40, mode=mode)).hits for q, text in QUERIES.items()}
    return Judgments({q: {hit.id: 1 + n % 2 for n, hit in enumerate(hits[::step])} for q, hits in ranked.items()})


def values(found: Evaluation, name: str) -> dict[str, float]:
    return dict(next(one.values for one in found.measured if str(one.measure) == name))


def test_by_hand(index: Index) -> None:
    hits = index.nearest("gout", 40)
    judgments = Judgments({"q": {hits[2].id: 1, hits[30].id: 1, hits[0].id: 0}})
    found = evaluate_index(index, {"q": "gout"}, judgments, STANDARD, Query(mode="semantic", top_k=1000))
    assert values(found, "MRR@10") == {"q": pytest.approx(1 / 3)}
    assert values(found, "MAP") == {"q": pytest.approx((1 / 3 + 2 / 31) / 2)}
    assert values(found, "R@10%") == {"q": 0.5}
    assert values(found, "WSS@95") == {"q": pytest.approx(9 / 40 - 0.05)}
    assert [(one.record_id, one.score) for one in found.run.rankings["q"]] == [(hit.id, hit.score) for hit in hits]
    assert (found.run.name, found.tally.n_documents, found.ann_recall, found.notes) == ("toy", 40, None, ())


def test_a_run_has_the_scores_that_ranked(index: Index) -> None:
    for mode, field in (("semantic", "score"), ("keyword", "bm25"), ("hybrid", "fused")):
        query = Query("gout", mode=mode, top_k=5)
        found = evaluate_index(index, {"q1": "gout"}, judged(index), [parse("MAP")], query)
        expected = [(hit.id, getattr(hit, field)) for hit in index.ask(query).hits]
        assert [(one.record_id, one.score) for one in found.run.rankings["q1"]] == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("filters", [Filters(), Filters(years=((2005, None),))])
def test_measures_of_a_collection_are_those_of_the_whole_ranking(index: Index, mode: Mode, filters: Filters) -> None:
    judgments, asked = judged(index), Query(mode=mode, filters=filters)
    whole = evaluate_index(index, QUERIES, judgments, DEEP, replace(asked, top_k=40))
    cut = evaluate_index(index, QUERIES, judgments, DEEP, replace(asked, top_k=2))
    assert [one.values for one in cut.measured] == [one.values for one in whole.measured]
    assert max(map(len, cut.run.rankings.values())) == 2
    n = len(index.search("x", top_k=40, filters=filters))
    assert whole.tally.n_documents == n == (40 if not filters.any else n)
    for measure, one in zip(DEEP, whole.measured, strict=True):
        assert one.values == measure_queries(measure, whole.run, judgments, n)


def test_records_are_judged_by_any_id_and_once(index: Index, add: Add) -> None:
    add({"id": "PMID:5", "title": "Gout", "abstract": "Gout of the knee.", "pmid": "5", "doi": "10.1/a"})
    grades = {"10.1/A": 1, "5": 2, "nowhere": 1, "toy-01": 0}
    found = evaluate_index(index, {"q": "gout knee"}, Judgments({"q": grades}), [parse("nDCG@50"), parse("recall@50")])
    assert (found.tally.n_absent, found.tally.n_merged) == (1, 1)
    assert values(found, "recall@50") == {"q": 0.5}  # what is not there counts as not found
    with pytest.raises(
        AbstractNotFoundError, match=r"none of 2 judged records is in this index: x, y\. Ids look like 'toy-01'"
    ):
        evaluate_index(index, {"q": "gout"}, Judgments({"q": {"x": 1, "y": 0}}), STANDARD)


def test_queries_that_cannot_count_are_counted(index: Index) -> None:
    queries = {**QUERIES, "q4": "+", "q5": "nobody judged this"}
    grades = {**judged(index).grades, "q4": {"toy-01": 1}, "q6": {"toy-01": 1}}
    found = evaluate_index(index, queries, Judgments(grades), STANDARD, Query(mode="keyword", top_k=40))
    tally = found.tally
    assert (tally.n_queries, tally.n_judged, tally.n_unjudged, tally.n_without_text) == (5, 5, 1, 1)
    assert tally.n_without_hits >= 1 and "q4" not in found.run.rankings
    assert [note for note in found.notes if "q4" in note][0].startswith(
        "query q4 can't be answered: the query '+' has no word"
    )
    assert all(one.values["q4"] <= 0 and one.values["q6"] <= 0 for one in found.measured)
    assert not any("qualif" in note for note in found.notes)


def test_what_no_query_can_be_asked_with_fails(index: Index) -> None:
    with pytest.raises(UsageError, match="has no word to look for"):
        evaluate_index(index, {"q1": "+"}, judged(index), STANDARD, Query(mode="keyword"))
    with pytest.raises(UsageError, match="none of the queries has judgments"):
        evaluate_index(index, {"other": "gout"}, judged(index), STANDARD)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(offset=1), "--offset cannot be combined with an evaluation"),
        (Query(explain=True), "--explain cannot be combined"),
        (Query(group_by="year"), "--group-by cannot be combined"),
        (Query(diversify=0.5), "R@10% uses the whole ranking, but --diversify changes"),
    ],
)
def test_options_that_only_show_hits_are_refused(index: Index, query: Query, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate_index(index, QUERIES, judged(index), STANDARD, query)


def test_diversified_hits_can_be_measured(index: Index) -> None:
    found = evaluate_index(index, QUERIES, judged(index), [parse("P@10")], Query(diversify=0.9, top_k=10))
    assert [one.record_id for one in found.run.rankings["q1"]] == [
        hit.id for hit in index.ask(Query(QUERIES["q1"], diversify=0.9)).hits
    ]


def test_pages_make_no_difference(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int | None]] = []
    whole = evaluate_index(index, QUERIES, judged(index), STANDARD)
    monkeypatch.setattr("engine.query.batches._MAX_HITS", 41)
    paged = evaluate_index(index, QUERIES, judged(index), STANDARD, Query(top_k=40), lambda *row: told.append(row))
    assert paged.measured == whole.measured
    assert told == [("searching", n, 3) for n in (1, 2, 3)]


def test_an_approximate_index_tells_what_it_misses(index: Index) -> None:
    with open_index(CURRENT) as approximate:
        hits = approximate.search("gout", top_k=5)
        judgments = Judgments({"q": {hits[0].id: 1}})
        found = evaluate_index(approximate, {"q": "gout"}, judgments, [parse("MRR")])
        assert found.ann_recall is not None and 0.5 < found.ann_recall <= 1
        assert values(found, "MRR") == {"q": 1.0}
        snapshot = get_generation(approximate)
        assert _measure_ann_recall(snapshot, Query(mode="keyword"), ["gout"]) is None
        texts = ["gout", "lupus fatigue", "pain in the knee"]
        exact = [
            {doc_id for doc_id, _ in ranking}
            for ranking in snapshot.vectors.search_exhaustively(approximate.encode(texts), 10)
        ]
        got = [{hit.id for hit in approximate.nearest(text)} for text in texts]
        ids = [{get_generation(approximate).corpus.find_doc_id(one) for one in mine} for mine in got]
        share = sum(len(a & b) for a, b in zip(exact, ids, strict=True)) / 30
        assert _measure_ann_recall(snapshot, Query(), texts) == pytest.approx(share)
    assert _measure_ann_recall(get_generation(index), Query(), ["gout"]) is None


def test_the_sample_has_the_quality_that_it_had(sample: IndexFolder) -> None:
    rows = map(json.loads, (SAMPLE / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    queries, judgments = {row["id"]: row["text"] for row in rows}, read_judgments(SAMPLE / "qrels.tsv")
    with open_index(sample.path) as index:
        found = evaluate_index(index, queries, judgments, [parse("nDCG@10")], Query(mode="semantic", top_k=1000))
    assert found.measured[0].interval.mean == pytest.approx(0.8349, abs=0.005)  # as tests/test_end_to_end.py has it
