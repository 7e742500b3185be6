"""A record as it is read: marks, sections and nearest sentences of the toy abstracts."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.review.decisions.reviews import ReviewSettings
from engine.review.desk.reading import RecordReader, RecordReading, _split_criteria

Add = Callable[..., Report]
ABSTRACT = (
    "BACKGROUND: Gout is painful. METHODS: We gave mice colchicine or stem cells.\n"
    "TRIAL REGISTRATION NUMBER: NCT1. Conclusions: Stem-cell treatment of mouse gout works."
)
ROW: dict[str, object] = {"id": "N", "title": "Trials of colchicine", "abstract": ABSTRACT}


@pytest.fixture
def read(toy: IndexFolder, add: Add) -> Callable[[ReviewSettings], RecordReading]:
    add(ROW)
    snapshot = get_generation(open_index(toy.path))
    doc_id = snapshot.corpus.find_doc_id("N")
    return lambda settings: RecordReader(snapshot, settings).read(doc_id)


def marked(found: RecordReading, *, is_wanted: bool) -> list[str]:
    title = [found.record.title[slice(*mark.span)] for mark in found.title_marks if mark.is_wanted is is_wanted]
    return title + [ABSTRACT[slice(*mark.span)] for mark in found.abstract_marks if mark.is_wanted is is_wanted]


def test_words_of_the_criteria_and_of_the_reviewers_are_marked(read: Callable[[ReviewSettings], RecordReading]) -> None:
    found = read(
        ReviewSettings("A trial in pain", wanted=("stem cell*", "gout"), unwanted=("mouse", "mice", "colchicine gives"))
    )
    assert marked(found, is_wanted=True) == ["Trials", "Gout", "stem cells", "TRIAL", "Stem-cell", "gout"]
    assert marked(found, is_wanted=False) == ["mice", "mouse"]


def test_words_of_the_criteria_that_many_records_hold_are_not_marked(
    read: Callable[[ReviewSettings], RecordReading],
) -> None:
    common = "After a trial with placebo-gout in patients and mice"  # 9 of 41 records are on gout
    assert marked(read(ReviewSettings(common)), is_wanted=True) == ["Trials", "mice", "TRIAL"]
    assert marked(read(ReviewSettings(common, wanted=("Gout",))), is_wanted=True)[1:3] == ["Gout", "mice"]
    joined = read(ReviewSettings('Mouse-gout, "gave mice"'))  # as a whole, if a part of it is common
    assert marked(joined, is_wanted=True) == ["gave mice", "mouse gout"]


def test_an_unwanted_word_is_not_wanted(read: Callable[[ReviewSettings], RecordReading]) -> None:
    found = read(ReviewSettings("gout in mice", wanted=("gout",), unwanted=("gout",)))
    assert marked(found, is_wanted=True) == ["mice"]
    assert marked(found, is_wanted=False) == ["Gout", "gout"]
    nothing = read(ReviewSettings())
    assert (nothing.title_marks, nothing.abstract_marks, nothing.criteria) == ((), (), ())


def test_sections(read: Callable[[ReviewSettings], RecordReading]) -> None:
    sections = read(ReviewSettings()).sections
    assert [(each.label, ABSTRACT[slice(*each.span)]) for each in sections] == [
        ("BACKGROUND", "Gout is painful."),
        ("METHODS", "We gave mice colchicine or stem cells."),
        ("TRIAL REGISTRATION NUMBER", "NCT1."),
        ("Conclusions", "Stem-cell treatment of mouse gout works."),
    ]


def test_the_sentence_nearest_to_each_criterion(read: Callable[[ReviewSettings], RecordReading]) -> None:
    settings = ReviewSettings("- Gout is painful\n\n- Mice given colchicine or stem cells\n- ---")
    found = read(settings)
    assert [each.text for each in found.criteria] == ["Gout is painful", "Mice given colchicine or stem cells"]
    near = [ABSTRACT[slice(*each.nearest.span)] for each in found.criteria if each.nearest]
    assert near == ["BACKGROUND: Gout is painful.", "METHODS: We gave mice colchicine or stem cells."]
    assert all(each.nearest and 0 < each.nearest.score <= 1 for each in found.criteria)
    assert read(replace(settings, criteria="")).criteria == ()


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ("", []),
        ("Adults with gout. Trials only.", ["Adults with gout.", "Trials only."]),
        ("Inclusion:\n* adults\n\n• trials", ["Inclusion:", "adults", "trials"]),
        ("\n".join("abcdefghijklmnopqrstuvwxyz" + "abcdefgh"), [*"abcdefghijklmnopqrstuvwxyz", *"abcd"]),
    ],
)
def test_criteria_one_by_one(criteria: str, expected: list[str]) -> None:
    assert _split_criteria(criteria) == expected
