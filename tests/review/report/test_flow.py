"""The numbers of a flow diagram."""

import re
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.flow import Flow, OriginFlow, _FileFlow
from engine.review.report.flow import ScreeningCounts, _list_steps, count_screening, describe_flow, draw_flow

SCOPUS = OriginFlow("Scopus", False, [_FileFlow("a.ris", "2026-11-01", "2026-11-09", 6)], 6, 2, 1, 0, 3)
TRIALS = OriginFlow("ClinicalTrials.gov", True, [_FileFlow("ctgov.csv", "2026-11-02", "2026-11-02", 2)], 2, 0, 0, 0, 2)
FLOW = Flow((SCOPUS, TRIALS), {"DOI": 2}, 8, 1, 0, 5)
NUMBER = st.integers(0, 3)


def boxes(counts: ScreeningCounts | None) -> dict[str, int]:
    """The numbers of the diagram by what they count."""
    lines = [line for step in _list_steps(FLOW, counts) for line in (*step.lines, *step.removed)]
    found = [re.fullmatch(r"\s*(.*) \(n\u00a0=\u00a0([\d,]+)( of .*)?\)", line) for line in lines]
    return {match[1]: int(match[2].replace(",", "")) for match in found if match}


def test_without_decisions_the_later_boxes_are_blank() -> None:
    assert boxes(None) == {
        "Databases": 6,
        "Scopus": 6,
        "Registers": 2,
        "ClinicalTrials.gov": 2,
        "Duplicate records removed": 2,
        "same DOI": 2,
        "Records that cannot be read": 1,
        "Records to be screened": 5,
    }
    assert "screening" not in describe_flow("x", FLOW, None)


def test_by_hand() -> None:
    counts = count_screening(9, 1, {"": 2, "wrong drug": 1, "Not retrieved": 1}, unknown=4, maybe=1, conflict=1)
    assert (counts.screened, counts.sought, counts.assessed) == (5, 3, 2)
    assert asdict(counts) == {
        "included": 1, "excluded": 2, "reasons": {"wrong drug": 1}, "not_retrieved": 1, "undecided": 2, "unknown": 4,
        "maybe": 1, "conflict": 1, "awaiting": 0,
    }  # fmt: skip
    fields = describe_flow("x", FLOW, counts, "main")
    assert fields["screening"] == {"review": "main", "screened": 5, "sought": 3, "assessed": 2} | asdict(counts)
    assert (fields["removed"], fields["origins"][0]["last_read"]) == (3, "2026-11-09")
    assert "Records screened (n\u00a0=\u00a05)" in draw_flow(FLOW, counts)


@given(NUMBER, st.dictionaries(st.sampled_from(["", "wrong drug", "NOT retrieved", "<b>"]), NUMBER), NUMBER, NUMBER)
def test_every_identity_holds(included: int, reasons: dict[str, int], maybe: int, conflict: int) -> None:
    counts = count_screening(50, included, reasons, unknown=0, maybe=maybe, conflict=conflict)
    assert counts.screened + counts.maybe + counts.conflict + counts.undecided == 50
    shown = boxes(counts)
    assert shown["Records screened"] == shown["Records excluded"] + shown["Reports sought for retrieval"]
    assert shown["Reports sought for retrieval"] == (
        shown["Reports not retrieved"] + shown["Reports assessed for eligibility"]
    )
    out = sum(shown.get(reason, 0) for reason in counts.reasons)
    assert shown["Reports assessed for eligibility"] == out + shown["Studies included in review"]
    assert shown["Databases"] + shown["Registers"] == (
        shown["Duplicate records removed"] + shown["Records that cannot be read"] + FLOW.left
    )
