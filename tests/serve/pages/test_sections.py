import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.serve.pages.marks import group_sections, split_pieces
from engine.serve.pages.sections import find_labels


def labels(text: str) -> list[str]:
    return [text[start:end] for start, end in find_labels(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "AIM: To see.\nMETHODS: We saw.\nMAIN OUTCOME MEASURE(S): It.",
            ["AIM:", "METHODS:", "MAIN OUTCOME MEASURE(S):"],
        ),
        (
            "Background: A. Methods: B. Results: C. Conclusions: D.",
            ["Background:", "Methods:", "Results:", "Conclusions:"],
        ),
        ("Objective . To see. Materials and methods. We saw.", ["Objective .", "Materials and methods."]),
        ("We saw.RESULTS: It was so.", ["RESULTS:"]),
        ("The results: none. Our methods were: two. In Methods: no.", []),
        ("HR: 2.1 (95 % CI: 1.2 to 3). OR: 1.", []),
        ("", []),
    ],
)
def test_labels_stand_at_the_start_of_a_sentence(text: str, found: list[str]) -> None:
    assert labels(text) == found


def test_a_section_begins_with_its_label() -> None:
    text = "Before. AIM: To see. METHODS: We saw."
    found = list(group_sections(split_pieces(text, labels=find_labels(text))))
    assert ["".join(piece.text for piece in section) for section in found] == [
        "Before. ",
        "AIM: To see. ",
        "METHODS: We saw.",
    ]
    assert [[piece.is_label for piece in section] for section in found] == [[False], [True, False], [True, False]]


@given(st.lists(st.sampled_from(["AIM:", "Results.", " ", "\n", "We saw.", "x", "METHODS:"]), max_size=8).map("".join))
def test_the_sections_of_any_text_add_up_to_it(text: str) -> None:
    found = list(group_sections(split_pieces(text, labels=find_labels(text))))
    assert "".join(piece.text for section in found for piece in section) == text
