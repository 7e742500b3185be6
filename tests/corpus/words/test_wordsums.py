"""Sums of words: equal just for the same words in as many records."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.words.wordindex import STEMS, TEXT, TITLE, WordIndex
from engine.corpus.words.wordsums import WordSums, count_words
from engine.corpus.words.wordwriter import write_words
from engine.index.files.durable import share_file
from tests.conftest import examples

TWO = [(1, "Gout, gout", "Beer and gout."), (2, "Bäder", "gouty bones 你好")]


def test_each_word_of_a_record_counts_once_in_a_field() -> None:
    assert count_words(TWO, TEXT, "g") == {"gout": 1, "gouty": 1}
    assert count_words(TWO, TITLE, "g") == {"gout": 1}
    assert count_words(TWO, STEMS, "b") == {"beer": 1, "bader": 1, "bone": 1}
    assert count_words(TWO, TEXT, "你") == {"你好": 1}


def test_a_sum_is_that_of_the_digests() -> None:
    sums = WordSums()
    sums.add_texts(TWO)
    assert sums.sums[TEXT, "g"] == sums.hash_word("gout") + sums.hash_word("gouty")
    assert {beginning for field, beginning in sums.sums if field == TITLE} == {"g", "b"}


def test_words_that_are_forgotten_get_the_same_digest() -> None:
    sums = WordSums()
    first = sums.hash_word("gout")
    sums.digests.clear()
    assert sums.hash_word("gout") == first != sums.hash_word("gou")


texts = st.lists(st.tuples(st.text("ab é-", max_size=8), st.text("ab 你.", max_size=8)), max_size=6)


@examples(0.3)
@given(rows=texts)
def test_an_index_has_the_sums_of_its_texts(tmp_path_factory: object, rows: list[tuple[str, str]]) -> None:
    folder = Path(tmp_path_factory.mktemp("words")) / "words"  # type: ignore[attr-defined]
    records = [(number, *row) for number, row in enumerate(rows)]
    write_words(folder, None, np.empty(0, np.int64), records, share_file)
    words, of_texts, of_index = WordIndex(folder), WordSums(), WordSums()
    of_texts.add_texts(records)
    for field in (TITLE, TEXT, STEMS):
        of_index.add_counts(field, words.count_words(field, ""))
        beginnings = {beginning for name, beginning in of_texts.sums if name == field}
        assert words.count_others(field, beginnings) == 0
        for beginning in beginnings:
            assert Counter(dict(words.count_words(field, beginning))) == count_words(records, field, beginning)
    assert of_index.sums == of_texts.sums


def test_a_word_that_is_too_long_for_an_index_is_left_out(tmp_path: Path) -> None:
    rows = [(1, "x" * 65_530, "y" * 65_531 + " short"), (2, "é" * 32_766, "")]
    write_words(tmp_path / "words", None, np.empty(0, np.int64), rows, share_file)
    assert dict(WordIndex(tmp_path / "words").count_words(TEXT, "")) == {"short": 1, "x" * 65_530: 1, "e" * 32_766: 1}
    assert count_words(rows, TEXT, "y") == {} and count_words(rows, TEXT, "e") == {"e" * 32_766: 1}
