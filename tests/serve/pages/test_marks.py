import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.answer import Hit, Sentence, Span, Why
from engine.serve.pages.marks import _AROUND, SHORT, MarkedPiece, _extract, mark_abstract, split_pieces

TEXT = "Gout hurts a lot."
LONG = "abcd " * 200  # a space at every place that is 4 more than a multiple of 5


def hit(abstract: str, why: Why | None = None) -> Hit:
    return Hit(1, "a", 0.5, "", abstract, None, "", (), None, None, False, why=why)


def why(*best: Span, words: tuple[Span, ...] = ()) -> Why:
    return Why(None, tuple(Sentence(span, 0.9) for span in best), (), (), words)


def joined(parts: list[MarkedPiece]) -> str:
    return "".join(part.text for part in parts)


def test_words_and_the_best_sentence_by_hand() -> None:
    assert split_pieces(TEXT, [(5, 17)], [(0, 4), (13, 16)]) == [
        MarkedPiece("Gout", is_word=True),
        MarkedPiece(" "),
        MarkedPiece("hurts a ", is_best=True),
        MarkedPiece("lot", is_best=True, is_word=True),
        MarkedPiece(".", is_best=True),
    ]


def test_a_text_without_marks_is_one_piece() -> None:
    assert split_pieces(TEXT) == [MarkedPiece(TEXT)]
    assert split_pieces("") == []


def test_overlapping_words_are_marked_throughout() -> None:
    assert split_pieces("abcdef", words=[(1, 4), (2, 5)]) == [
        MarkedPiece("a"), MarkedPiece("b", is_word=True), MarkedPiece("cd", is_word=True), MarkedPiece("e", is_word=True), MarkedPiece("f"),
    ]  # fmt: skip


def test_a_window_cuts_what_reaches_beyond_it() -> None:
    assert split_pieces("abcdef", [(0, 3)], [(4, 6)], (2, 5)) == [
        MarkedPiece("c", is_best=True),
        MarkedPiece("d"),
        MarkedPiece("e", is_word=True),
    ]
    assert split_pieces("abcdef", [(0, 1)], [(5, 6)], (2, 4)) == [MarkedPiece("cd")]


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (min(pair), max(pair))), max_size=4)


@given(st.text(max_size=25), SPANS, SPANS, st.none() | st.tuples(st.integers(0, 25), st.integers(0, 25)))
def test_pieces_add_up_and_each_character_is_marked_as_its_spans_say(
    text: str, best: list[Span], words: list[Span], ends: Span | None
) -> None:
    window = (min(*ends, len(text)), min(max(ends), len(text))) if ends else None
    found = split_pieces(text, best, words, window)
    first, last = window or (0, len(text))
    assert joined(found) == text[first:last]
    assert all(part.text for part in found)
    marks = [(part.is_best, part.is_word) for part in found for _ in part.text]
    expected = [tuple(any(a <= i < b for a, b in spans) for spans in (best, words)) for i in range(first, last)]
    assert marks == expected


def test_a_short_text_is_shown_whole() -> None:
    text = LONG[:SHORT]
    assert _extract(text, None) == _extract(text, (0, 4)) == (0, 700)


def test_a_long_text_is_shown_to_the_end_of_a_word() -> None:
    assert _extract(LONG, None) == (0, 404)
    assert _extract(LONG[: SHORT + 1], None) == (0, 404)


def test_around_the_best_sentence_whole_words_are_shown() -> None:
    assert _extract(LONG, (500, 512)) == (320, 694)  # 320 and 692, the latter within a word
    assert _extract(LONG, (503, 510)) == (320, 694)  # 323 and 690, both within a word
    assert _extract(LONG, (3, 10)) == (0, 194)
    assert _extract(LONG, (990, 994)) == (810, 1000)


def test_a_long_text_without_a_space_is_shown_whole() -> None:
    assert _extract("x" * 1000, None) == _extract("x" * 1000, (400, 500)) == (0, 1000)


SEPARATORS = st.sampled_from([" ", "  ", "\n", " \n", ". "])
LONG_TEXTS = st.lists(st.tuples(st.integers(1, 200), SEPARATORS), min_size=5, max_size=30).map(
    lambda rows: "".join("x" * n + separator for n, separator in rows)
)


@given(LONG_TEXTS, st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_an_extract_cuts_no_word_and_holds_the_best_sentence(text: str, a: float, b: float, known: bool) -> None:
    best = (int(min(a, b) * len(text)), int(max(a, b) * len(text))) if known else None
    first, last = _extract(text, best)
    assert first == 0 or text[first - 1].isspace()
    assert last == len(text) or text[last].isspace()
    if len(text) <= SHORT:
        assert (first, last) == (0, len(text))
    elif best:
        assert first <= max(0, best[0] - _AROUND) and min(len(text), best[1] + _AROUND) <= last
    else:
        assert first == 0 and last >= 400


def test_without_a_reason_a_hit_shows_its_beginning() -> None:
    found = mark_abstract(hit(LONG))
    assert (found.extract, found.cut_before, found.cut_after) == ([MarkedPiece(LONG[:404])], False, True)
    assert found.whole == [MarkedPiece(LONG)]


def test_a_short_abstract_is_not_repeated() -> None:
    found = mark_abstract(hit(TEXT, why((5, 17), words=((0, 4),))))
    assert found.whole == [] and (found.cut_before, found.cut_after) == (False, False)
    assert found.extract == [
        MarkedPiece("Gout", is_word=True),
        MarkedPiece(" "),
        MarkedPiece("hurts a lot.", is_best=True),
    ]


def test_the_first_of_the_nearest_sentences_is_the_best() -> None:
    found = mark_abstract(hit(LONG, why((500, 512), (0, 9), words=((505, 509), (900, 904)))))
    assert (found.cut_before, found.cut_after) == (True, True)
    assert joined(found.extract) == LONG[320:694] and joined(found.whole) == LONG
    assert [part.text for part in found.extract if part.is_best] == ["abcd ", "abcd", " ab"]
    assert [part.text for part in found.extract if part.is_word] == ["abcd"]
    assert [part.text for part in found.whole if part.is_word] == ["abcd", "abcd"]


@pytest.mark.parametrize("best", [(990, 994), (0, 4)])
def test_each_side_says_whether_it_is_cut(best: Span) -> None:
    found = mark_abstract(hit(LONG, why(best)))
    assert (found.cut_before, found.cut_after) == (best[0] > 0, best[0] == 0)


def test_a_hit_without_an_abstract_shows_nothing() -> None:
    found = mark_abstract(hit("", why()))
    assert (found.extract, found.whole, found.cut_before, found.cut_after) == ([], [], False, False)
