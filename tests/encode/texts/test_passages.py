import gzip
import json
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.encode.models.model import locate
from engine.encode.models.recipe import clean_text, prepare_text
from engine.encode.texts.passages import _MAX_TITLE_TOKENS, _MIN_TOKENS, Count, _Passage, cut_passages
from engine.encode.texts.sentences import split_sentences
from engine.encode.texts.tokens import TextTokenizer
from engine.options import DEFAULT_MODEL
from tests.conftest import examples

TEXTS = st.lists(
    st.sampled_from(
        [
            "Knee pain",
            "hurts. ",
            "We asked 12.",
            " e.g. ",
            "METHODS: ",
            "関節",
            "x" * 40,
            "\u0301",
            "\n",
            " ",
            "\u200b",
            ", ",
            "; ",
        ]
    )
    | st.text(max_size=4),
    max_size=60,
).map("".join)


def count(texts: Sequence[str]) -> NDArray[np.int64]:
    """A token a word, and one at either end: what can be counted by hand."""
    return np.array([len(text.split()) + 2 if text.split() else 0 for text in texts])


def joints(texts: Sequence[str]) -> NDArray[np.int64]:
    """As above, and three more for every sentence but the last: together parts have more than alone."""
    return count(texts) + [3 * text.count(". ") for text in texts]


def letters(texts: Sequence[str]) -> NDArray[np.int64]:
    """A token a character, white space too."""
    return np.array([len(text) + 2 if text.strip() else 0 for text in texts])


def tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """Those of the real encoder."""
    return tokenizer().tokenise(texts).n_tokens


@cache
def tokenizer() -> TextTokenizer:
    return TextTokenizer(locate(DEFAULT_MODEL) / "tokenizer.json", 256)


def words(n: int) -> str:
    """A sentence of n words."""
    return " ".join(["Knee", *["pain"] * (n - 2), "hurts."])


def halves(text: str) -> list[str]:
    """The first and the second half of the words."""
    parts = text.split()
    return [" ".join(parts[: len(parts) // 2]), " ".join(parts[len(parts) // 2 :])]


def test_what_fits_stays_as_it_is_prepared() -> None:
    abstract = f" {words(6)} {words(6)}\n"
    assert cut_passages("Two words", abstract, count, 16) == [
        _Passage((1, len(abstract) - 1), prepare_text("Two words", abstract))
    ]


def test_passages_end_with_sentences_and_begin_with_the_title() -> None:
    abstract = " ".join([words(6)] * 6)  # with two words of title and two special tokens, two sentences make 16
    made = cut_passages("Two words", abstract, count, 16)
    pair = f"{words(6)} {words(6)}"
    assert [passage.text for passage in made] == [f"Two words. {pair}"] * 3
    assert [abstract[start:end] for start, end in (passage.span for passage in made)] == [pair] * 3


def test_passages_are_of_like_length() -> None:
    abstract = " ".join([words(4)] * 4)  # three would fit in the first, and leave one
    assert [passage.text for passage in cut_passages("", abstract, count, 16)] == [f"{words(4)} {words(4)}"] * 2


def test_a_long_sentence_is_cut_between_words() -> None:
    made = cut_passages("Title", words(30), count, 16)
    assert [len(passage.text.split()) for passage in made] == [8 + 1, 7 + 1, 8 + 1, 7 + 1]
    assert " ".join(passage.text.removeprefix("Title. ") for passage in made) == words(30)


def test_a_long_word_is_cut_between_characters() -> None:
    made = cut_passages("", "x" * 40, letters, 16)
    assert [passage.text for passage in made] == ["x" * 10] * 4
    assert [passage.span for passage in made] == [(0, 10), (10, 20), (20, 30), (30, 40)]


def test_a_long_title_gives_its_first_words() -> None:
    made = cut_passages(words(100), words(100), count, 128)
    head = " ".join(words(100).split()[:_MAX_TITLE_TOKENS])
    assert all(
        passage.text.startswith(f"{head}. Knee") for passage in cut_passages(words(100), words(9) * 40, count, 256)[:1]
    )
    assert [passage.text for passage in made] == [f"{head}. {half}" for half in halves(words(100))]
    assert cut_passages(words(100), "", count, 16) == [_Passage((0, 0), " ".join(words(100).split()[:14]))]
    assert cut_passages("t" * 100, "x" * 20, letters, 16)[0] == _Passage((0, 5), "ttttttt. xxxxx")


@pytest.mark.parametrize("limit", [128, 256])
def test_a_title_that_is_not_too_long_is_never_cut(limit: int) -> None:
    title = words(_MAX_TITLE_TOKENS).removesuffix(".")
    assert all(passage.text.startswith(f"{title}. ") for passage in cut_passages(title, words(300), count, limit))


def test_without_abstract_the_title_is_the_passage() -> None:
    assert cut_passages("Title", " \n", count, 16) == [_Passage((0, 0), "Title")]


def test_without_text_there_is_none() -> None:
    assert cut_passages(" ", "\n", count, 16) == []


def test_a_limit_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="passages of 15 tokens: expected 16 or more"):
        cut_passages("a", "b", count, _MIN_TOKENS - 1)


@examples(2)
@given(TEXTS, TEXTS, st.sampled_from([16, 17, 32, 64]), st.sampled_from([count, joints, letters, tokens]))
@example("a" * 300, "b. " * 300, 16, tokens)
def test_passages_fit_and_hold_everything(title: str, abstract: str, limit: int, measure: Count) -> None:
    made = cut_passages(title, abstract, measure, limit)
    assert bool(made) == bool(prepare_text(title, abstract))
    last, held = 0, ""
    for start, end in (passage.span for passage in made):
        assert last <= start <= end <= len(abstract)
        assert abstract[start:end] == abstract[start:end].strip()
        last, held = end, held + abstract[start:end]
    assert not made or "".join(held.split()) == "".join(abstract.split())
    for passage in made:
        assert measure([passage.text])[0] <= limit
        assert passage.text.endswith(clean_text(abstract[slice(*passage.span)]))


def test_real_abstracts(shared: Path) -> None:
    """No passage is too long, no two neighbours would fit in one, and sentences that fit stay whole."""
    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(200)]
    for title, abstract in ((row["title"], row["abstract"]) for row in rows):
        made = cut_passages(title, abstract, tokens, 128)
        assert max(tokens([passage.text for passage in made])) <= 128
        for one, two in pairwise(made):
            assert tokens([prepare_text(title, abstract[one.span[0] : two.span[1]])])[0] > 128
            for start, end in split_sentences(abstract):
                if start < two.span[0] < end:
                    assert tokens([prepare_text(title, abstract[start:end])])[0] > 128
