"""Decisions as other tools write them."""

import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.records.abstract import Abstract
from engine.review.marks import COLUMNS, Mark, list_columns, list_notes, read_marks, strip_marks

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))
RAYYAN = 'RAYYAN-INCLUSION: {"Ann"=>"Included", "Bo \\"B\\" Li"=>"Excluded", "Cy"=>"Maybe", "Di"=>"Undecided"}'


def record(**fields: tuple[str, ...]) -> Abstract:
    return Abstract("a", "Title", "", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "marks"),
    [
        ({"other_tags": ("label_included: 1",)}, [Mark(IN)]),
        ({"other_tags": ("label_included: 0.0",)}, [Mark(OUT)]),
        ({"other_tags": ("label_included: -1",)}, []),
        ({"other_tags": ("Included: Yes", "volume: 1")}, [Mark(IN)]),
        ({"other_tags": ("decision: maybe", "label_included: 1")}, [Mark(MAYBE)]),
        ({"other_tags": ("decision: Excluded", "Exclusion Reason: wrong drug")}, [Mark(OUT, reason="wrong drug")]),
        ({"other_tags": ("decision: include", "reviewer: Ann", "decision_labels: a; b")}, [Mark(IN, "Ann", labels=("a", "b"))]),
        ({"other_tags": ("decision: include", "reviewer: Ann; Bob")}, [Mark(IN)]),
        ({"notes": ("ASReview_relevant", "ASReview_prior")}, [Mark(IN)]),
        ({"notes": ("ASReview_irrelevant. More.",)}, [Mark(OUT)]),
        ({"notes": ("ASReview_not_seen",)}, []),
        ({"notes": (RAYYAN,)}, [Mark(IN, "Ann"), Mark(OUT, 'Bo "B" Li'), Mark(MAYBE, "Cy")]),
        (
            {"notes": ('RAYYAN-INCLUSION: {"Ann"=>"Excluded"} | RAYYAN-EXCLUSION-REASONS: wrong drug,no control',)},
            [Mark(OUT, "Ann", "wrong drug; no control")],
        ),
        ({"labels": ("to read", "Excluded: wrong drug")}, [Mark(OUT, reason="wrong drug")]),
        ({"keywords": ("include",)}, [Mark(IN)]),
        ({"keywords": ("inclusion body myositis", "excluded volume")}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_marks_of_every_tool(fields: dict[str, tuple[str, ...]], marks: list[Mark]) -> None:
    assert read_marks(record(**fields)) == marks


@pytest.mark.parametrize("kind", [IN, OUT, MAYBE])
def test_what_we_write_is_read_back(kind: DecisionKind) -> None:
    mark = Mark(kind, "Ann", "wrong drug" if kind is OUT else "", "see table 2", ("pilot", "later"))
    columns = list_columns(kind, [mark])
    assert tuple(columns) == COLUMNS
    assert read_marks(record(other_tags=tuple(f"{name}: {value}" for name, value in columns.items()))) == [mark]
    (found,) = read_marks(record(notes=tuple(list_notes(kind, [mark]))))
    assert (found.kind, found.who, found.reason) == (kind, "Ann", mark.reason)


def test_reviewers_who_differ_are_kept_apart_in_notes_and_named_in_columns() -> None:
    marks = [Mark(IN, "Ann"), Mark(OUT, "Bob", "wrong drug"), Mark(OPEN, "Cy", note="ask")]
    assert read_marks(record(notes=tuple(list_notes(None, marks)))) == marks[:2]
    assert list_columns(None, marks) == dict(zip(COLUMNS, ("conflict", "", "", "ask", "", "Ann; Bob; Cy"), strict=True))
    assert read_marks(record(other_tags=("decision: conflict", "reviewer: Ann; Bob"))) == []


def test_old_marks_leave_a_note() -> None:
    assert strip_marks("Additional notes 1. ASReview_relevant") == "Additional notes 1"
    assert strip_marks(f"{RAYYAN} | a note of mine") == "a note of mine"
    assert strip_marks("a note | with a bar") == "a note | with a bar"
