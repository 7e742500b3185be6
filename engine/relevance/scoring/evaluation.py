"""Evaluation of rankings against judgments: of an encoder over a test set, or of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.execution.encoder import Encoder
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.progress import Progress
from engine.relevance.scoring.exhaustive import search_documents
from engine.relevance.scoring.measures import Measure, Place, find_places, measure_query, parse
from engine.relevance.scoring.significance import Interval, estimate_mean
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.runs import Run
from engine.relevance.sets.testset import TestSet

DEPTH = 1000  # records ranked for each query, as in TREC
STANDARD = tuple(map(parse, ("nDCG@10", "recall@100", "MRR@10", "MAP", "P@10", "R@10%", "WSS@95")))

_Places = Mapping[str, Sequence[Place]]  # by query id


@dataclass(frozen=True, slots=True)
class _Measured:
    """One measure over all judged queries."""

    measure: Measure
    values: Mapping[str, float]  # by query id
    interval: Interval  # 95 percent interval of the mean, by bootstrap over the queries

    @property
    def array(self) -> NDArray[np.float64]:
        """The values as float64 (n,), in the order of the judgments."""
        return np.array(list(self.values.values()), np.float64)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Counts of what an evaluation is based on."""

    n_queries: int  # given
    n_judged: int  # queries with judgments: what the means are over
    n_documents: int  # documents that could be ranked; 0 if unknown
    n_unjudged: int = 0  # queries without judgments, left out
    n_without_text: int = 0  # judged queries without a text; they find nothing
    n_without_hits: int = 0  # judged queries with a text but without hits
    n_without_relevant: int = 0  # judged queries without a relevant record; they score 0
    n_absent: int = 0  # judged records outside the collection; relevant ones count as not found
    n_merged: int = 0  # judgments of one query on the same record under two ids; the higher grade counts
    n_repeated: int = 0  # repeated lines of the judgments


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures of a run."""

    run: Run
    measured: tuple[_Measured, ...]
    tally: _Tally
    ann_recall: float | None = None  # share of the 10 nearest records that an approximate index finds
    notes: tuple[str, ...] = ()  # for people


def evaluate_set(
    encoder: Encoder,
    test_set: TestSet,
    measures: Sequence[Measure],
    name: str = "",
    progress: Progress | None = None,
    *,
    run_depth: int = DEPTH,
) -> Evaluation:
    """Search a test set with an encoder, exhaustively, and measure it.

    Measures use the first DEPTH documents of each ranking; R@10% and WSS@95 use the whole ranking. The returned run has
    run_depth documents per query, at least 1; a small number saves memory where only the measures are needed.
    """
    judgments, ids = test_set.judgments, [query.id for query in test_set.queries]
    check_judged(ids, judgments)
    searched = search_documents(encoder, test_set, run_depth, name, progress)
    places = {
        query_id: [place for place in ranked if place[0] <= DEPTH] for query_id, ranked in searched.places.items()
    }
    document_ids = {document.id for document in test_set.documents}
    absent = {record_id for grades in judgments.grades.values() for record_id in grades} - document_ids
    counts = (
        (searched.n_unread, "without a word that the encoder knows, never ranked"),
        (
            searched.n_truncated,
            "longer than the encoder reads, so compared by their beginning; an index made with "
            "--recipe passages has them to the end",
        ),
    )
    return Evaluation(
        run=searched.run,
        measured=measure_rankings(measures, judgments, places, len(document_ids), searched.places),
        tally=tally_evaluation(ids, judgments, searched.run, len(document_ids), n_absent=len(absent)),
        notes=tuple(f"{pluralize(n, 'document')} {what}" for n, what in counts if n),
    )


def evaluate_run(
    run: Run, judgments: Judgments, measures: Sequence[Measure], n_documents: int | None = None
) -> Evaluation:
    """Measure an existing run. R@10% and WSS@95 need n_documents, and count unranked records as not found."""
    check_judged(list(run.rankings), judgments)
    places = find_places(run, judgments)
    tally = tally_evaluation([*run.rankings, *judgments.grades], judgments, run, n_documents or 0)
    note = f"no record of the run {run.name!r} is judged: expected the ids that the judgments use"
    return Evaluation(
        run=run,
        measured=measure_rankings(measures, judgments, places, n_documents),
        tally=tally,
        notes=() if any(places.values()) else (note,),
    )


def measure_rankings(
    measures: Sequence[Measure],
    judgments: Judgments,
    places: _Places,
    n_documents: int | None,
    whole: _Places | None = None,
) -> tuple[_Measured, ...]:
    """Compute every measure over all judged queries, from the places of the judged records in each ranking.

    whole has the places in the whole rankings, for R@10% and WSS@95, if `places` has only those at the beginning.

    Raises:
        UsageError: there is no measure, or no judged query.
    """
    if not measures or not judgments.grades:
        raise UsageError("nothing to measure, expected at least one measure and one judged query")
    rows = []
    for measure in measures:
        ranked = whole if measure.is_deep and whole is not None else places
        values = {
            query_id: measure_query(measure, ranked.get(query_id, ()), grades.values(), n_documents)
            for query_id, grades in judgments.grades.items()
        }
        rows.append(_Measured(measure, values, estimate_mean(np.array(list(values.values()), np.float64))))
    return tuple(rows)


def tally_evaluation(
    query_ids: Sequence[str], judgments: Judgments, run: Run, n_documents: int, *, n_absent: int = 0, n_merged: int = 0
) -> _Tally:
    """Count what an evaluation is based on."""
    queries, judged = set(query_ids), judgments.grades.keys()
    return _Tally(
        n_queries=len(queries),
        n_judged=len(judged),
        n_documents=n_documents,
        n_unjudged=len(queries - judged),
        n_without_text=len(judged - queries),
        n_without_hits=sum(not run.rankings.get(query_id) for query_id in queries & judged),
        n_without_relevant=sum(all(grade < 1 for grade in grades.values()) for grades in judgments.grades.values()),
        n_absent=n_absent,
        n_merged=n_merged,
        n_repeated=judgments.n_repeated,
    )


def check_judged(query_ids: Sequence[str], judgments: Judgments) -> None:
    """Check that queries and judgments belong together.

    Raises:
        UsageError: no query has judgments.
    """
    if not set(query_ids) & judgments.grades.keys():
        looks = f": ids look like {query_ids[0]!r} and {next(iter(judgments.grades))!r}" if query_ids else ""
        raise UsageError(f"none of the queries has judgments{looks}. Expected queries and qrels of one set")
