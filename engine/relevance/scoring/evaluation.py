"""How good a ranking is: an index, or an encoder over a test set, against judgments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.encoder import Encoder
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.progress import Progress
from engine.relevance.scoring.exhaustive import search_documents
from engine.relevance.scoring.measures import Measure, Place, measure_query, parse, run_places
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
    interval: Interval  # of the mean; 95 percent, bootstrap over the queries

    @property
    def array(self) -> NDArray[np.float64]:
        """The values as float64 (n,), in the order of the judgments."""
        return np.array(list(self.values.values()), np.float64)


@dataclass(frozen=True, slots=True)
class _Tally:
    """What an evaluation is made of."""

    n_queries: int  # given
    n_judged: int  # queries with judgments: what the means are over
    n_documents: int  # that could be ranked; 0 where that is not known
    n_unjudged: int = 0  # queries without judgments, left out
    n_without_text: int = 0  # judged queries that are not among those given; they find nothing
    n_without_hits: int = 0  # judged queries with a text for which nothing was found
    n_without_relevant: int = 0  # judged queries without a relevant record; they have 0
    n_absent: int = 0  # judged records that are not in the collection; where relevant, they count as not found
    n_merged: int = 0  # judgments of one query on the same record under two ids; the higher grade counts
    n_repeated: int = 0  # lines of the judgments that say the same again


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures with the run that they are of."""

    run: Run
    measured: tuple[_Measured, ...]
    tally: _Tally
    ann_recall: float | None = None  # share of the 10 nearest that an approximate index finds for these queries
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

    Measures are of the first DEPTH documents of each ranking, those of a collection (R@10%, WSS@95) of all of it. The
    run that is kept holds run_depth of them, at least 1: few where only the measures are wanted, for want of memory.
    """
    judgments, ids = test_set.judgments, [one.id for one in test_set.queries]
    check_judged(ids, judgments)
    found = search_documents(encoder, test_set, run_depth, name, progress)
    first = {query_id: [place for place in mine if place[0] <= DEPTH] for query_id, mine in found.places.items()}
    there = {one.id for one in test_set.documents}
    absent = {record_id for grades in judgments.grades.values() for record_id in grades} - there
    counts = (
        (found.n_unread, "without a word that the encoder reads, never ranked"),
        (found.n_truncated, "longer than the encoder reads, so compared by the beginning"),
    )
    return Evaluation(
        run=found.run,
        measured=measure_rankings(measures, judgments, first, len(there), found.places),
        tally=tally_evaluation(ids, judgments, found.run, len(there), n_absent=len(absent)),
        notes=tuple(f"{pluralize(n, 'document')} {what}" for n, what in counts if n),
    )


def evaluate_run(
    run: Run, judgments: Judgments, measures: Sequence[Measure], n_documents: int | None = None
) -> Evaluation:
    """Measure a run that is there. R@10% and WSS@95 need n_documents, and take what is not ranked for not found."""
    check_judged(list(run.rankings), judgments)
    found = run_places(run, judgments)
    tally = tally_evaluation([*run.rankings, *judgments.grades], judgments, run, n_documents or 0)
    note = f"no record of the run {run.name!r} is judged: its ids are other ones than those of the judgments"
    return Evaluation(
        run=run,
        measured=measure_rankings(measures, judgments, found, n_documents),
        tally=tally,
        notes=() if any(found.values()) else (note,),
    )


def measure_rankings(
    measures: Sequence[Measure],
    judgments: Judgments,
    found: _Places,
    n_documents: int | None,
    whole: _Places | None = None,
) -> tuple[_Measured, ...]:
    """Every measure over all judged queries, of the places of judged records in each ranking.

    whole: the places in the whole rankings, for the measures of a collection, where the others are of the beginning.

    Raises:
        UsageError: there is no measure, or no judged query.
    """
    if not measures or not judgments.grades:
        raise UsageError("there is nothing to measure, expected one measure or more and one judged query or more")
    rows = []
    for measure in measures:
        ranked = whole if measure.is_deep and whole is not None else found
        values = {
            query_id: measure_query(measure, ranked.get(query_id, ()), grades.values(), n_documents)
            for query_id, grades in judgments.grades.items()
        }
        rows.append(_Measured(measure, values, estimate_mean(np.array(list(values.values()), np.float64))))
    return tuple(rows)


def tally_evaluation(
    query_ids: Sequence[str], judgments: Judgments, run: Run, n_documents: int, *, n_absent: int = 0, n_merged: int = 0
) -> _Tally:
    """What an evaluation is made of."""
    given, judged = set(query_ids), judgments.grades.keys()
    return _Tally(
        n_queries=len(given),
        n_judged=len(judged),
        n_documents=n_documents,
        n_unjudged=len(given - judged),
        n_without_text=len(judged - given),
        n_without_hits=sum(not run.rankings.get(query_id) for query_id in given & judged),
        n_without_relevant=sum(all(grade < 1 for grade in grades.values()) for grades in judgments.grades.values()),
        n_absent=n_absent,
        n_merged=n_merged,
        n_repeated=judgments.n_repeated,
    )


def check_judged(query_ids: Sequence[str], judgments: Judgments) -> None:
    """Refuse queries and judgments that have nothing to do with each other.

    Raises:
        UsageError: there is no query, or none of them has judgments.
    """
    if not set(query_ids) & judgments.grades.keys():
        looks = f": ids look like {query_ids[0]!r} and {next(iter(judgments.grades))!r}" if query_ids else ""
        raise UsageError(f"none of the queries has judgments{looks}. Expected queries and qrels of one set")
