from pathlib import Path

import numpy as np
import pytest

from engine.encode.tokens import TextTokenizer
from engine.errors import EncoderError


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> TextTokenizer:
    return TextTokenizer(model_folder / "tokenizer.json", 256)


@pytest.mark.parametrize("words", [1, 253, 254, 255, 256, 5000])
def test_length_before_the_cut_is_exact(tokenizer: TextTokenizer, words: int) -> None:
    found = tokenizer.tokenise(["knee " * words])
    assert found.n_tokens[0] == words + 2  # [CLS] and [SEP]
    assert list(found.lengths) == [min(words + 2, 256)]
    assert found.row(0)[-1] == 102  # [SEP] stays at the end


def test_a_text_without_words_has_length_0(tokenizer: TextTokenizer) -> None:
    assert list(tokenizer.tokenise(["", "\u200b", "a"]).n_tokens) == [0, 0, 3]


def test_ids_are_those_of_the_reference(tokenizer: TextTokenizer, model_folder: Path, shared: Path) -> None:
    import gzip
    import json

    from sentence_transformers import SentenceTransformer

    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [f"{row['title']}. {row['abstract']}" for row in map(json.loads, (next(file) for _ in range(200)))]
    reference = SentenceTransformer(str(model_folder), device="cpu")
    wanted = [list(map(int, ids[ids != 0])) for ids in reference.preprocess(texts)["input_ids"]]
    found = tokenizer.tokenise(texts)
    assert [found.row(i).tolist() for i in range(len(texts))] == wanted


def test_a_megabyte_is_counted_too(tokenizer: TextTokenizer) -> None:
    assert np.array_equal(tokenizer.tokenise(["knee " * 200_000]).n_tokens, [200_002])


def test_not_a_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(EncoderError, match="is not a tokenizer"):
        TextTokenizer(path, 256)
