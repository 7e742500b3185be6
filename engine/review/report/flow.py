"""The boxes of a PRISMA 2020 flow diagram: what the ledger says of identification, and decisions of screening."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.corpus.flow import Flow, OriginFlow
from engine.corpus.storage.journal import DecisionKind
from engine.review.decisions.state import ReviewState
from engine.review.report.flowchart import Step, draw_flowchart

RULES = {
    "PMID": "same PMID",
    "DOI": "same DOI",
    "id": "same id",
    "text": "same text, no id",
    "file": "twice in one file",
    "decision": "decided by a person",
}
TITLE = "Identification of studies via databases and registers"
_NOT_RETRIEVED = "not retrieved"  # the reason of a report that could not be had
_NO_REASON = "no reason"
_NOT_INCLUDED = (DecisionKind.EXCLUDE, DecisionKind.MAYBE)
_MOST = 14  # databases or registers named in the diagram
_BLANK = "\u2003"


@dataclass(frozen=True, slots=True)
class ScreeningCounts:
    """The decisions of reviewers, as far as they were made.

    Of the records of the index, screened + maybe + conflict + undecided = all; screened = excluded + sought;
    sought = not_retrieved + assessed + awaiting; assessed = those with a reason + included.
    """

    included: int
    excluded: int  # by title and abstract
    reasons: Mapping[str, int]  # excluded reports by reason, most frequent first; without those not retrieved
    not_retrieved: int
    undecided: int
    unknown: int  # decisions on records that are not in the index
    maybe: int = 0  # that the reviewers are not sure about
    conflict: int = 0  # that one reviewer includes and another excludes
    awaiting: int = 0  # reports that are sought, but not yet decided about

    @property
    def assessed(self) -> int:
        """Number of reports assessed for eligibility."""
        return self.included + sum(self.reasons.values())

    @property
    def sought(self) -> int:
        """Number of reports sought for retrieval."""
        return self.assessed + self.not_retrieved + self.awaiting

    @property
    def screened(self) -> int:
        """Number of records that were included or excluded."""
        return self.sought + self.excluded


def count_screening(
    n_records: int, n_included: int, reasons: Mapping[str, int], *, unknown: int, maybe: int = 0, conflict: int = 0
) -> ScreeningCounts:
    """Count the decisions on the n_records of an index.

    reasons: excluded records by reason; those without one ("") were excluded by title and abstract. The reason "not
    retrieved" counts in any case of letters.
    """
    by_reason = Counter({reason: n for reason, n in reasons.items() if reason and not _is_missing(reason)})
    n_missing = sum(n for reason, n in reasons.items() if _is_missing(reason))
    n_decided = n_included + sum(reasons.values()) + maybe + conflict
    return ScreeningCounts(
        n_included,
        reasons.get("", 0),
        dict(by_reason.most_common()),
        n_missing,
        n_records - n_decided,
        unknown,
        maybe,
        conflict,
    )


def count_review(state: ReviewState) -> ScreeningCounts:
    """Count the decisions of a review."""
    counts, n_absent = state.count_kinds(), len(state.absent)
    return count_screening(
        state.n_records,
        counts[DecisionKind.INCLUDE],
        state.count_reasons(),
        unknown=n_absent,
        maybe=counts[DecisionKind.MAYBE],
        conflict=counts[None],
    )


def count_stages(first: ReviewState, second: ReviewState) -> ScreeningCounts:
    """Count the decisions of two reviews: one of titles and abstracts, and one of the reports that it includes.

    What the second says of other records is not counted. A report that it excludes without a reason is "no reason".
    """
    counts = first.count_kinds()
    sought = {each.doc_id for each in first.list_of(DecisionKind.INCLUDE)}
    included = [each for each in second.list_of(DecisionKind.INCLUDE) if each.doc_id in sought]
    excluded = [each for each in second.list_of(DecisionKind.EXCLUDE) if each.doc_id in sought]
    reasons = Counter(each.reason or _NO_REASON for each in excluded if not _is_missing(each.reason))
    return ScreeningCounts(
        included=len(included),
        excluded=counts[DecisionKind.EXCLUDE],
        reasons=dict(reasons.most_common()),
        not_retrieved=len(excluded) - reasons.total(),
        undecided=first.n_records - len(sought) - sum(counts[kind] for kind in (*_NOT_INCLUDED, None)),
        unknown=len(first.absent),
        maybe=counts[DecisionKind.MAYBE],
        conflict=counts[None],
        awaiting=len(sought) - len(included) - len(excluded),
    )


def _is_missing(reason: str) -> bool:
    """Return whether a reason says that the report could not be had."""
    return reason.strip().casefold() == _NOT_RETRIEVED


def describe_flow(index: str, flow: Flow, counts: ScreeningCounts | None, review: str = "") -> dict[str, Any]:
    """Return a flow as plain fields, with every number of the diagram; without decisions, "screening" is missing."""
    origins = [asdict(each) | {"first_read": each.first_read, "last_read": each.last_read} for each in flow.origins]
    fields = {"index": index} | asdict(flow) | {"origins": origins, "removed": flow.found - flow.left}
    if counts is None:
        return fields
    sums = {"screened": counts.screened, "sought": counts.sought, "assessed": counts.assessed}
    return fields | {"screening": ({"review": review} if review else {}) | sums | asdict(counts)}


def draw_flow(flow: Flow, counts: ScreeningCounts | None) -> str:
    """Draw the diagram as SVG; without decisions, the later stages have room for numbers."""
    return draw_flowchart(TITLE, _list_steps(flow, counts))


def _list_steps(flow: Flow, counts: ScreeningCounts | None) -> list[Step]:
    """Return the boxes of the diagram."""
    others = [("Records that cannot be read", flow.rejected), ("Records withdrawn by PubMed", flow.withdrawn)]
    removed = [
        "Records removed before screening:",
        f"  {_count_in_box('Duplicate records removed', sum(flow.duplicates.values()))}",
        *(f"    {_count_in_box(RULES[rule], n)}" for rule, n in flow.duplicates.items()),
        *(f"  {_count_in_box(what, n)}" for what, n in others if n),
    ]
    of = f" of {flow.left:,}" if counts and counts.screened < flow.left else ""
    screened = _count_in_box("Records screened", counts.screened, of) if counts else ""
    screened = screened or _count_in_box("Records to be screened", flow.left)
    return [
        Step("Identification", tuple(_list_origins(flow.origins)), tuple(removed)),
        Step("Screening", (screened,), (_count_in_box("Records excluded", counts.excluded if counts else None),)),
        *_list_report_steps(counts),
        Step("Included", (_count_in_box("Studies included in review", counts.included if counts else None),)),
    ]


def _list_report_steps(counts: ScreeningCounts | None) -> list[Step]:
    """Return the boxes on full reports."""
    excluded = [f"  {_count_in_box(reason, n)}" for reason, n in counts.reasons.items()] if counts else []
    none = _count_in_box("Reports excluded", 0 if counts else None)
    return [
        Step(
            "Screening",
            (_count_in_box("Reports sought for retrieval", counts.sought if counts else None),),
            (_count_in_box("Reports not retrieved", counts.not_retrieved if counts else None),),
        ),
        Step(
            "Screening",
            (_count_in_box("Reports assessed for eligibility", counts.assessed if counts else None),),
            ("Reports excluded:", *excluded) if excluded else (none,),
        ),
    ]


def _list_origins(origins: Sequence[OriginFlow]) -> Iterator[str]:
    """Yield the lines of the first box: databases, then registers."""
    yield "Records identified from:"
    for name, is_register in (("Databases", False), ("Registers", True)):
        rows = [origin for origin in origins if origin.is_register == is_register]
        yield f"  {_count_in_box(name, sum(origin.found for origin in rows))}"
        yield from (f"    {_count_in_box(origin.name, origin.found)}" for origin in rows[:_MOST])
        if rest := rows[_MOST:]:
            yield f"    {_count_in_box(f'{len(rest):,} others', sum(origin.found for origin in rest))}"


def _count_in_box(what: str, n: int | None, of: str = "") -> str:
    """Return a text with its number, or with a space for it if there is none; lines are not broken in the number."""
    number = _BLANK if n is None else f"{n:,}{of}"
    return f"{what} (n\u00a0=\u00a0{number})"
