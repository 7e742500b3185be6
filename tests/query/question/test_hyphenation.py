"""Words divided at the end of a line are found, and compounds stay as they are."""

import time
from collections.abc import Callable

import pytest

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query.question.hyphenation import join_divided_words, note_divided_words
from engine.query.question.validation import MAX_TEXT
from tests.conftest import Report

KNOWN = {"arthritis", "anti", "inflammatory", "antiinflammatory", "state", "art"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("arth-\nritis", "arthritis"),
        ("arth- ritis", "arthritis"),
        ("arth-ritis", "arthritis"),  # a browser has dropped the line break
        ("arth\u00ad\nritis", "arthritis"),
        ("ARTH\u2010\n ritis.", "ARTHritis."),
        ("arth\u00ac\nritis", "arthritis"),  # a word processor's sign of a soft hyphen
        ("arth\u00acritis", "arthritis"),
        ("arth\x02\r\nritis", "arthritis"),  # what a browser's viewer copies for the hyphen
        ("arth\ufffe\nritis", "arthritis"),
        ("ar\u00adth\u2010\nri\u00adtis", "arthritis"),
        ("anti-inflammatory", "anti-inflammatory"),
        ("anti-\ninflammatory", "antiinflammatory"),
        ("pre- and post-operative", "pre- and post-operative"),
        ("state-of-the-art", "state-of-the-art"),
        ("+arth-ritis", "+arthritis"),
    ],
)
def test_a_word_is_joined_if_records_hold_it_whole(text: str, read: str) -> None:
    found, notes = join_divided_words(text, lambda word: int(word.lower() in KNOWN))
    assert found == read
    assert bool(notes) == (text != read)


def test_a_compound_that_more_records_hold_only_loses_the_end_of_the_line() -> None:
    counts = {"follow-up": 510, "followup": 10, "osteo-arthritis": 1, "osteoarthritis": 285}
    found = join_divided_words("follow-\nup of osteo-\r\n  arthritis", lambda word: counts.get(word, 0))
    assert found == ("follow-up of osteoarthritis", ('"osteo-arthritis" is read as "osteoarthritis"',))


@pytest.mark.parametrize("word", ["ab\u00ad", "ab-", "ab\u00ac"])
def test_the_longest_question_of_one_word_is_read_at_once(word: str) -> None:
    text = word * (MAX_TEXT // len(word) - 1) + "9"
    began = time.process_time()
    assert note_divided_words(text) == ()
    join_divided_words(text, lambda _: 0)
    assert time.process_time() - began < 5


def test_boolean_searches_pasted_from_a_pdf_are_those_that_were_printed(
    toy: IndexFolder, add: Callable[..., Report]
) -> None:
    add({"id": "pdf", "title": "Official osteochondritis fibrosis"})
    with open_index(toy.path) as index:
        for text in (
            "osteochon-\ndritis AND fibrosis",
            '"osteochon-\r\n dritis fibrosis"[ti]',
            "osteochon- dritis[tiab]",
        ):
            answer = index.ask(Query(text, mode="keyword"))
            assert [hit.id for hit in answer.hits] == ["pdf"], text
            assert '"osteochon-dritis" is read as "osteochondritis"' in answer.notes


def test_questions_pasted_from_a_pdf_are_answered_and_the_change_is_told(
    toy: IndexFolder, add: Callable[..., Report]
) -> None:
    add({"id": "pdf", "title": "Official osteochondritis fibrosis"})
    with open_index(toy.path) as index:
        for text in (
            "osteochon-\ndritis",
            "osteochon\u00addritis",
            "o\ufb03cial",
            "\ufb01brosis",
            "\uff4f\uff53teochondritis",
        ):
            for mode in ("keyword", "hybrid"):
                answer = index.ask(Query(text, mode=mode, top_k=1))
                assert answer.hits[0].id == "pdf", text
                assert any("is read as" in note for note in answer.notes) == (
                    text.startswith("osteochon") and text[9] != "d"
                )


def test_a_division_that_no_index_can_decide_is_noted_once() -> None:
    (note,) = note_divided_words("inflam-\nmation OR inflam-\nmation OR anti-viral OR x-\ny")
    assert note.startswith('"inflam-mation" was divided at the end of a line')
