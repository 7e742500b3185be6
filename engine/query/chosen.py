"""Some of the hits of a query, each with the rank and the scores that it has among all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.queries import Answer, Query
from engine.query.known import looked_up, vector_of
from engine.query.question import question
from engine.query.ranking import ranking

if TYPE_CHECKING:
    from engine.query.searcher import Index

DEPTHS = (1_000, 10_000, 100_000)  # ranks among which hits are looked for, until all are found


@dataclass(frozen=True, slots=True)
class Chosen:
    """What became of some ids."""

    answer: Answer  # its hits are those chosen, best first
    absent: tuple[str, ...]  # not in the index
    left_out: tuple[str, ...]  # of records that are no hits: filters, words or the least cosine leave them out


def chosen(index: Index, query: Query, ids: Sequence[str]) -> Chosen:
    """Find hits by record id, PMID or DOI, however deep they lie. Fails as Index.ask does.

    What lies among the first offset + top_k hits is ranked as Index.ask ranks these, in an approximate index too.
    """
    asked_for, snapshot = index.checked(replace(query, explain=False, group_by=None)), index.current()
    doc_ids = dict(zip(ids, looked_up(snapshot.corpus, ids), strict=True))
    wanted = {doc_id for doc_id in doc_ids.values() if doc_id is not None}
    asked = question(snapshot, asked_for)
    vector, notes = vector_of(snapshot, asked)
    for depth in depths(asked_for, snapshot.vectors.size):
        whole = ranking(snapshot, replace(asked, query=replace(asked_for, offset=0, top_k=depth)), lambda: vector)
        found = [(rank, one) for rank, one in enumerate(whole.candidates[:depth], 1) if one.doc_id in wanted]
        if len(found) == len(wanted):
            break
    hits = snapshot.hits([one for _, one in found])
    there = {one.doc_id for _, one in found}
    return Chosen(
        Answer(
            query=asked_for,
            generation=snapshot.manifest.generation,
            hits=tuple(replace(hit, rank=rank) for hit, (rank, _) in zip(hits, found, strict=True)),
            n_qualified=whole.n_qualified,
            notes=(*asked.notes, *notes),
        ),
        absent=tuple(one for one, doc_id in doc_ids.items() if doc_id is None),
        left_out=tuple(one for one, doc_id in doc_ids.items() if doc_id is not None and doc_id not in there),
    )


def depths(query: Query, size: int) -> Iterator[int]:
    """Yield how deep to look: as deep as the query itself, then deeper and deeper, at last at all there is."""
    first = query.offset + query.top_k
    yield first
    yield from (depth for depth in (*DEPTHS, size) if first < depth <= size)
