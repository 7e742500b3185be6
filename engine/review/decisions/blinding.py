"""What a reviewer may see: of others, nothing about a record that they have not decided themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.corpus.storage.journal import DecisionKind
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState


def hide_others(state: ReviewState, who: str) -> ReviewState:
    """Return what a reviewer may see of a review.

    That is each of their own decisions, each decision for all, and those of others on the records that they have
    decided. A note without a decision is not enough. Whatever is counted, listed, exported or learned from the result
    tells nothing else.
    """
    records = tuple(_keep(record, visible) for record in state.records if (visible := _list_visible(record, who)))
    there = {each.who for record in records for each in record.decisions}
    return replace(state, records=records, reviewers=tuple(name for name in state.reviewers if name in there | {who}))


def keep_own(state: ReviewState, who: str) -> ReviewState:
    """Return a review as if a reviewer had been alone: their own decisions and those for all."""
    records = tuple(
        _keep(record, own)
        for record in state.records
        if (own := tuple(each for each in record.decisions if each.who == who or each.for_all))
    )
    return replace(state, records=records, reviewers=tuple(name for name in state.reviewers if name == who))


def _keep(record: DecidedRecord, decisions: tuple[RecordDecision, ...]) -> DecidedRecord:
    """Return a record with some of its decisions; the record itself if these are all."""
    return record if len(decisions) == len(record.decisions) else replace(record, decisions=decisions)


def find_own(record: DecidedRecord | None, who: str) -> RecordDecision | None:
    """Return the decision in force of a reviewer on a record, not one for all; None without one."""
    decisions = record.decisions if record else ()
    return next((each for each in decisions if each.who == who and not each.for_all), None)


def list_conflicts(state: ReviewState) -> list[DecidedRecord]:
    """Return the records of the index about which reviewers differ and nobody has decided for all, oldest first."""
    return [each for each in state.records if each.doc_id is not None and _is_conflict(each)]


def _is_conflict(record: DecidedRecord) -> bool:
    """Return whether reviewers decided differently about a record, and nobody for all."""
    decided = [each for each in record.decisions if each.kind is not DecisionKind.UNDECIDED]
    return len({each.kind for each in decided}) > 1 and not any(each.for_all for each in decided)


def _list_visible(record: DecidedRecord, who: str) -> tuple[RecordDecision, ...]:
    """Return the decisions on a record that a reviewer may see."""
    if all(each.who == who for each in record.decisions):
        return record.decisions
    own = find_own(record, who)
    has_decided = own is not None and own.kind is not DecisionKind.UNDECIDED
    return tuple(_keep_visible(record, who, has_decided=has_decided))


def _keep_visible(record: DecidedRecord, who: str, *, has_decided: bool) -> Iterator[RecordDecision]:
    """Yield the decisions on a record that a reviewer may see."""
    yield from (each for each in record.decisions if has_decided or each.who == who or each.for_all)
