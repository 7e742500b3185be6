"""Decisions as other tools write them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.corpus.storage.journal import DecisionKind
from engine.records.abstract import Abstract
from engine.review.decisions.marks import (
    COLUMNS,
    Mark,
    has_decision,
    list_columns,
    list_notes,
    list_tags,
    read_marks,
    strip_columns,
    strip_marks,
)
from tests.conftest import examples

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
        ({"labels": ("to read", "Excluded: wrong drug")}, [Mark(OUT, reason="wrong drug", labels=("to read",))]),
        ({"labels": ("to read",)}, []),
        ({"other_tags": ("Include: Yes - adults",)}, [Mark(IN)]),
        ({"other_tags": ("included: 1-3",)}, []),
        ({"other_tags": ("asreview_label: 1", "asreview_note: see table 2")}, [Mark(IN, note="see table 2")]),
        (
            {"notes": ('RAYYAN-INCLUSION: {"Ann"=>"Maybe"} | RAYYAN-EXCLUSION-REASONS: a | USER-NOTES: {"Ann"=>["one | two", "b"], "Di"=>["ask"]}',)},
            [Mark(MAYBE, "Ann", note="one | two\nb"), Mark(OPEN, "Di", note="ask")],
        ),
        ({"other_tags": ("Covidence #: 12",), "notes": ("Exclusion reason: Wrong study design; ",)}, [Mark(OUT, reason="Wrong study design")]),
        ({"notes": ("Exclusion reason: Wrong study design; ",)}, []),
        (
            {"other_tags": ("Refid: 7", "User: Ann", "Level: 2", "Is this reference eligible?: Can't tell", "Title checked: yes")},
            [Mark(MAYBE, "Ann")],
        ),
        ({"other_tags": ("User: Ann", "Is this reference eligible?: Yes")}, []),
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
    assert read_marks(record(notes=tuple(list_notes(kind, [mark])), labels=mark.labels)) == [mark]
    (found,) = read_marks(record(keywords=tuple(list_tags(kind, [mark]))))
    assert (found.kind, found.reason) == (kind, mark.reason)


def test_reviewers_who_differ_are_kept_apart_in_notes_and_named_in_columns() -> None:
    marks = [Mark(IN, "Ann"), Mark(OUT, "Bob", "wrong drug"), Mark(OPEN, "Cy", note="ask")]
    assert read_marks(record(notes=tuple(list_notes(None, marks)))) == marks
    assert list_columns(None, marks) == dict(zip(COLUMNS, ("conflict", "", "", "ask", "", "Ann; Bob; Cy"), strict=True))
    assert read_marks(record(other_tags=("decision: conflict", "reviewer: Ann; Bob"))) == []


def test_old_marks_leave_a_note() -> None:
    assert strip_marks("Additional notes 1. ASReview_relevant") == "Additional notes 1"
    assert strip_marks(f"{RAYYAN} | a note of mine") == "a note of mine"
    assert strip_marks("a note | with a bar") == "a note | with a bar"
    assert strip_marks("mine | " + RAYYAN + ' | USER-NOTES: {"Ann"=>["a } | b"]}') == "mine"
    assert strip_columns(("volume: 1", "label_included: 1", "Decision Labels: a", "odd")) == ("volume: 1", "odd")


@pytest.mark.parametrize(
    ("file", "marks"),
    [
        ("review_12345_included_csv_20240131120000.csv", [Mark(IN)]),
        ("my_review_12345_irrelevant_ris_20240131.ris", [Mark(OUT)]),
        ("review_12345_select_csv_20240131120000.csv", []),  # neither in nor out yet
        ("review_included.csv", []),
    ],
)
def test_covidence_names_a_file_after_its_list(file: str, marks: list[Mark]) -> None:
    assert read_marks(record(), file) == marks
    assert read_marks(record(other_tags=("decision: maybe",)), file) == [Mark(MAYBE)]


@pytest.mark.parametrize(
    ("kind", "marks", "tags"),
    [
        (IN, [Mark(IN, "Ann")], ["included"]),
        (OUT, [Mark(OUT, "Ann"), Mark(OUT, "Bob", "wrong drug")], ["excluded: wrong drug"]),
        (None, [Mark(IN, "Ann"), Mark(OUT, "Bob")], ["conflict"]),
        (OPEN, [Mark(OPEN, "Ann", note="ask")], []),
    ],
)
def test_tags_for_reference_managers(kind: DecisionKind | None, marks: list[Mark], tags: list[str]) -> None:
    assert list_tags(kind, marks) == tags


@pytest.mark.parametrize(
    ("names", "has"),
    [(["PMID", "Label Included"], True), (["Refid", "Relevant?"], True), (["id", "Relevant?"], False), (["id"], False)],
)
def test_a_table_with_a_column_of_decisions(names: list[str], has: bool) -> None:
    assert has_decision(names) is has


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(str.strip).filter(bool)


@examples(2)
@given(TEXT, TEXT, st.none() | TEXT)
@example("Ann", "{", "a note")
def test_any_text_of_a_reviewer_comes_back_from_a_note(who: str, reason: str, note: str | None) -> None:
    mark = Mark(OUT, who, reason, note or "")
    other = Mark(IN, f"{who} the other", "", "plain")
    notes = tuple(list_notes(None, [mark, other]))
    assert read_marks(record(notes=notes)) == [mark, other]
    assert [strip_marks(f"{one} | of mine") for one in notes] == ["of mine"]
    assert read_marks(record(keywords=tuple(list_tags(OUT, [mark]))))[0].reason == " ".join(reason.split())
