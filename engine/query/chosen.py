"""Some of the hits of a query, each with the rank and the scores that it has among all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engine.deadline import CURRENT
from engine.queries import Answer, Mode, Query
from engine.query.known import looked_up, ranks_by_meaning, vector_of
from engine.query.question import Question, question
from engine.query.ranking import least_cosine, ranking
from engine.query.snapshot import Candidate, Snapshot
from engine.records import Vectors

if TYPE_CHECKING:
    from engine.query.searcher import Index

DEPTHS = (1_000, 10_000)  # ranks among which hits are looked for, until all are found
Ranked = tuple[int, Candidate]  # rank from 1


@dataclass(frozen=True, slots=True)
class Chosen:
    """What became of some ids."""

    answer: Answer  # its hits are those chosen, best first
    absent: tuple[str, ...]  # not in the index
    left_out: tuple[str, ...]  # of records that are no hits, or by words lie below the deepest of DEPTHS


def chosen(index: Index, query: Query, ids: Sequence[str]) -> Chosen:
    """Find hits by record id, PMID or DOI: by meaning however deep they lie. Fails as Index.ask does.

    What lies among the first offset + top_k hits is ranked as Index.ask ranks these, in an approximate index too.
    """
    asked_for, snapshot = index.checked(replace(query, explain=False, group_by=None)), index.current()
    doc_ids = dict(zip(ids, looked_up(snapshot.corpus, ids), strict=True))
    wanted = {doc_id for doc_id in doc_ids.values() if doc_id is not None}
    asked = question(snapshot, asked_for)
    vector, notes = vector_of(snapshot, asked)
    found, n_qualified = within_reach(snapshot, asked, vector, wanted)
    if asked_for.mode is Mode.SEMANTIC and (deep := wanted - set(found)):
        found |= below(snapshot, asked, vector, deep)
    placed = sorted(found.values(), key=lambda pair: pair[0])
    hits = snapshot.hits([one for _, one in placed])
    return Chosen(
        Answer(
            query=asked_for,
            generation=snapshot.manifest.generation,
            hits=tuple(replace(hit, rank=rank) for hit, (rank, _) in zip(hits, placed, strict=True)),
            n_qualified=n_qualified,
            notes=(*asked.notes, *notes),
        ),
        absent=tuple(one for one, doc_id in doc_ids.items() if doc_id is None),
        left_out=tuple(one for one, doc_id in doc_ids.items() if doc_id is not None and doc_id not in found),
    )


def within_reach(
    snapshot: Snapshot, asked: Question, vector: Vectors, wanted: set[int]
) -> tuple[dict[int, Ranked], int]:
    """The wanted doc ids that are ranked within the deepest of `depths`; and how many records qualify."""
    found: dict[int, Ranked] = {}
    for depth in depths(asked.query):
        CURRENT.get().check()
        whole = ranking(snapshot, replace(asked, query=replace(asked.query, offset=0, top_k=depth)), lambda: vector)
        in_order = whole.candidates[:depth] if asked.query.diversify else whole.candidates  # the rest is by score
        found = {one.doc_id: (rank, one) for rank, one in enumerate(in_order, 1) if one.doc_id in wanted}
        if len(found) == len(wanted) or len(whole.candidates) < depth:
            break
    return found, whole.n_qualified


def below(snapshot: Snapshot, asked: Question, vector: Vectors, doc_ids: set[int]) -> dict[int, Ranked]:
    """Records that lie deeper, by exact cosines; without those that do not qualify or have too low a one."""
    ids = np.array(sorted(doc_ids), np.int64)
    least = least_cosine(asked.query)
    ranks = ranks_by_meaning(snapshot, asked, vector, ids, least)
    scores = zip(ids.tolist(), map(float, snapshot.vectors.scores(vector, ids)), strict=True)
    return {doc_id: (ranks[doc_id], Candidate(doc_id, score)) for doc_id, score in scores if ranks.get(doc_id)}


def depths(query: Query) -> Iterator[int]:
    """Yield how deep to look: as deep as the query itself, then deeper."""
    first = query.offset + query.top_k
    yield first
    yield from (depth for depth in DEPTHS if first < depth)
