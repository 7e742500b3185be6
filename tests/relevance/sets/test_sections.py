"""The parts of an abstract that say the same in other words."""

import pytest

from engine.records.abstract import Abstract
from engine.relevance.sets.sections import extract_body, find_objective_and_conclusion, split_sections


@pytest.mark.parametrize(
    ("abstract", "expected"),
    [
        ("OBJECTIVE: To see whether gout hurts. METHODS: We asked. CONCLUSION: Gout does hurt, a lot.",
         ("To see whether gout hurts.", "Gout does hurt, a lot.")),
        ("Background\u2014 Gout is known to hurt. Aims: To count the toes. Results: Ten. Conclusions\u2014 There are ten toes in all.",
         ("Gout is known to hurt. To count the toes.", "There are ten toes in all.")),
        ("<h3>Objective</h3> To determine the risk. <h3>Results</h3> Ten. <h3>Conclusion</h3> It is a high risk for all.",
         ("To determine the risk.", "It is a high risk for all.")),
        ("Purpose. To see whether gout hurts.\nConclusions and relevance. Gout does hurt, a lot.",
         ("To see whether gout hurts.", "Gout does hurt, a lot.")),
        ("We looked at the background: gout hurts. In conclusion: it does, and a lot.", None),  # words, not labels
        ("OBJECTIVE: To see whether gout hurts. RESULTS: It does.", None),
        ("OBJECTIVE: None. CONCLUSION: Gout does hurt, a lot.", None),
        ("", None),
    ],
)  # fmt: skip
def test_objective_and_conclusion(abstract: str, expected: tuple[str, str] | None) -> None:
    assert find_objective_and_conclusion(abstract) == expected


def test_sections_are_in_order_and_the_text_before_the_first_is_none() -> None:
    assert split_sections("A preface. METHODS: We asked 12. RESULTS: All said so.") == [
        ("methods", "We asked 12."),
        ("results", "All said so."),
    ]


def test_the_title_is_taken_off_the_body() -> None:
    title = "Pain in gout: a study of toes."
    assert extract_body(Abstract("1", title, "PAIN IN GOUT: A STUDY OF TOES. We  counted\ntoes.")) == "We counted toes."
    assert extract_body(Abstract("1", title, "We counted toes.")) == "We counted toes."
    assert extract_body(Abstract("1", "Gout", "Gout hurts.")) == "Gout hurts."
    assert extract_body(Abstract("1", title, "")) == ""
