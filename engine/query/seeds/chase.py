"""Citation chasing: what known records cite and what cites them, in an index, step by step.

A citation is a reference of one record whose work is another record of the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from engine.arguments import check_ids, check_whole, show_value
from engine.corpus.storage.citations import (
    count_reference_lists,
    find_citing,
    list_cited_ids,
    read_references,
    resolve_references,
)
from engine.corpus.storage.resolution import resolve_ids
from engine.deadline import CURRENT
from engine.errors import AbstractNotFoundError, UsageError
from engine.options import MAX_CHASE_DEPTH
from engine.phrases import pluralize
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import name_some


@dataclass(frozen=True, slots=True)
class ChaseRoute:
    """Which citations are followed, and how far."""

    backward: bool = True  # to what the records cite
    forward: bool = True  # to what cites them
    steps: int = 1


@dataclass(frozen=True, slots=True)
class ChasedRecord:
    """A record that citations lead to. Step 1 is one citation away from a known record."""

    id: str
    title: str
    year: int | None
    journal: str
    step: int
    cited_by: int | None  # records of the step before that cite it; None: not followed backward
    cites: int | None  # records of the step before that it cites; None: not followed forward


@dataclass(frozen=True, slots=True)
class _MissingWork:
    """A work that is cited and not in the index."""

    id: str  # "PMID:1", "DOI:10.1000/x", "W2741809807"
    cited_by: int  # of the records whose lists were read


@dataclass(frozen=True, slots=True)
class Chase:
    """What citations lead to from known records."""

    generation: int
    route: ChaseRoute
    n_records: int  # of the index
    n_lists: int  # records of the index that have a list of references
    known: tuple[str, ...]  # ids in the index, in the order given
    absent: tuple[str, ...]  # given ids that are not in the index
    n_read: int  # records whose lists were followed backward
    n_read_lists: int  # of them with a list
    n_references: int  # in those lists: the sum of the next three
    n_inside: int  # of works in the index
    n_outside: int  # of works that are not
    n_unread: int  # in which no id can be read
    found: tuple[ChasedRecord, ...]  # by step; in a step, those with most citations first
    missing: tuple[_MissingWork, ...]  # most cited first
    notes: tuple[str, ...]  # for people


@dataclass(slots=True)
class _Links:
    """The citations between one step and the next: how often each record is cited, and how many it cites."""

    cited_by: Counter[int] = field(default_factory=Counter)
    cites: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _ListTally:
    """What was read in the lists of references so far."""

    n_read: int = 0
    n_lists: int = 0
    n_inside: int = 0
    n_unread: int = 0
    outside: Counter[str] = field(default_factory=Counter)  # records that cite each missing work
    n_outside: int = 0


def chase_citations(snapshot: OpenGeneration, known: Sequence[str], route: ChaseRoute) -> Chase:
    """Follow citations from known records.

    Each further step goes on from the records that the step before has found, in the same directions.

    Raises:
        UsageError: no direction, a number of steps out of range, or known is no list.
        AbstractNotFoundError: none of the known records is in the index.
    """
    _check(route)
    corpus, tally = snapshot.corpus, _ListTally()
    doc_ids, absent, n_again = _resolve_known(snapshot, known)
    found = list(_walk(snapshot, doc_ids, route, tally))
    names = {row["id"]: str(row["record_id"]) for row in corpus.read_by_ids("record_id", doc_ids)}
    missing = sorted(tally.outside.items(), key=lambda item: (-item[1], item[0]))
    return Chase(
        generation=snapshot.manifest.generation,
        route=route,
        n_records=snapshot.manifest.counts.abstracts,
        n_lists=count_reference_lists(corpus),
        known=tuple(names[doc_id] for doc_id in doc_ids),
        absent=absent,
        n_read=tally.n_read,
        n_read_lists=tally.n_lists,
        n_references=tally.n_inside + tally.n_outside + tally.n_unread,
        n_inside=tally.n_inside,
        n_outside=tally.n_outside,
        n_unread=tally.n_unread,
        found=_describe(snapshot, found, route),
        missing=tuple(_MissingWork(work, n) for work, n in missing),
        notes=(f"{pluralize(n_again, 'known record')} given again under another id, counted once",) if n_again else (),
    )


def _check(route: ChaseRoute) -> None:
    """Check what is followed, and how far.

    Raises:
        UsageError: no direction, or a number of steps out of range.
    """
    if not (route.backward or route.forward):
        raise UsageError("neither backward nor forward was asked for, expected one of them or both")
    check_whole("depth", route.steps, 1, MAX_CHASE_DEPTH)


def _walk(
    snapshot: OpenGeneration, doc_ids: Sequence[int], route: ChaseRoute, tally: _ListTally
) -> Iterator[tuple[int, int, _Links]]:
    """Yield (step, doc id, links with the step before) of each record that citations lead to, nearest first."""
    seen, edge = set(doc_ids), list(doc_ids)
    for step in range(1, route.steps + 1):
        if not edge:
            return
        CURRENT.get().check()
        links = _Links()
        if route.backward:
            _follow_backward(snapshot, edge, links, tally)
        if route.forward:
            citing = find_citing(snapshot.corpus, frozenset(edge))
            links.cites.update({doc_id: len(cited) for doc_id, cited in citing.items()})
        edge = sorted((links.cited_by.keys() | links.cites.keys()) - seen)
        seen.update(edge)
        yield from ((step, doc_id, links) for doc_id in edge)


def _resolve_known(snapshot: OpenGeneration, known: Sequence[str]) -> tuple[list[int], tuple[str, ...], int]:
    """Return the doc ids of known records in the order given, the ids without a record, and how many came again.

    Raises:
        UsageError: known is no list, or empty.
        AbstractNotFoundError: none is in the index.
    """
    expected = "a list of PMIDs, DOIs or record ids"
    given = list(dict.fromkeys(check_ids("known", known, expected)))
    if not given:
        raise UsageError(f"known is {show_value(known)}, expected {expected}")
    found = resolve_ids(snapshot.corpus, given)
    there = [doc_id for doc_id in found if doc_id is not None]
    if not there:
        raise AbstractNotFoundError(
            f"none of {pluralize(len(given), 'known record')} is in this index: {name_some(given)}. "
            f"Ids look like {snapshot.corpus.find_example_id()!r}; engine search shows them"
        )
    absent = tuple(one for one, doc_id in zip(given, found, strict=True) if doc_id is None)
    doc_ids = list(dict.fromkeys(there))
    return doc_ids, absent, len(there) - len(doc_ids)


def _follow_backward(snapshot: OpenGeneration, doc_ids: Sequence[int], links: _Links, tally: _ListTally) -> None:
    """Count the works that these records cite: those of the index in links, the others in tally."""
    lists = read_references(snapshot.corpus, doc_ids)
    places = resolve_references(snapshot.corpus, (text for texts in lists.values() for text in texts))
    tally.n_read += len(doc_ids)
    tally.n_lists += len(lists)
    for doc_id, texts in lists.items():
        inside = [places[text] for text in texts if text in places]
        outside = [ids[0] for text in texts if text not in places and (ids := list_cited_ids(text))]
        tally.n_inside += len(inside)
        tally.n_outside += len(outside)
        tally.n_unread += len(texts) - len(inside) - len(outside)
        tally.outside.update(set(outside))
        links.cited_by.update(set(inside) - {doc_id})


def _describe(
    snapshot: OpenGeneration, found: Sequence[tuple[int, int, _Links]], route: ChaseRoute
) -> tuple[ChasedRecord, ...]:
    """Return the records that were found, by step, and in a step those with most citations first."""
    ordered = sorted(found, key=lambda one: (one[0], -one[2].cited_by[one[1]] - one[2].cites[one[1]], one[1]))
    rows = snapshot.corpus.read_by_ids("record_id, title, year, journal", [doc_id for _, doc_id, _ in ordered])
    by_id = {row["id"]: row for row in rows}
    return tuple(
        ChasedRecord(
            id=by_id[doc_id]["record_id"],
            title=by_id[doc_id]["title"],
            year=by_id[doc_id]["year"],
            journal=by_id[doc_id]["journal"],
            step=step,
            cited_by=links.cited_by[doc_id] if route.backward else None,
            cites=links.cites[doc_id] if route.forward else None,
        )
        for step, doc_id, links in ordered
    )


def list_chase_fields(chase: Chase) -> dict[str, object]:
    """Return a chase as a dictionary for programs."""
    return {
        "generation": chase.generation,
        "backward": chase.route.backward,
        "forward": chase.route.forward,
        "depth": chase.route.steps,
        "records": chase.n_records,
        "records_with_references": chase.n_lists,
        "known": list(chase.known),
        "absent": list(chase.absent),
        "read": {
            "records": chase.n_read,
            "with_references": chase.n_read_lists,
            "references": chase.n_references,
            "inside": chase.n_inside,
            "missing": chase.n_outside,
            "without_id": chase.n_unread,
        },
        "found": [asdict(one) for one in chase.found],
        "missing": [asdict(one) for one in chase.missing],
        "notes": list(chase.notes),
    }
