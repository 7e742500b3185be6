import gzip
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from engine.encode.models.model import locate
from engine.encode.models.recipe import clean_text, prepare_text
from engine.encode.texts.probes import TOKEN_PROBES
from engine.encode.texts.tokens import FastTokenizer, PromptedTokenizer, TextTokenizer, Tokens, load_tokenizer
from engine.errors import EncoderError
from engine.options import DEFAULT_MODEL
from tests.conftest import examples

# What abstracts are made of, and what tokenizers stumble over.
ALPHABET = "aeknstAÉß .,-()/%<=>±µβ2³½关節ألم’–\u0301\u00ad\u200b\u2009\ufb01\u0130[]#"


@cache
def both() -> tuple[TextTokenizer, FastTokenizer]:
    path = locate(DEFAULT_MODEL) / "tokenizer.json"
    return TextTokenizer(path, 256), FastTokenizer(path, 256)


@pytest.fixture(scope="module")
def tokenizer(model_folder: Path) -> TextTokenizer:
    return TextTokenizer(model_folder / "tokenizer.json", 256)


@pytest.mark.parametrize("words", [1, 253, 254, 255, 256, 5000])
def test_length_before_the_cut_is_exact(tokenizer: TextTokenizer, words: int) -> None:
    found = tokenizer.tokenise(["knee " * words])
    assert found.n_tokens[0] == words + 2  # [CLS] and [SEP]
    assert list(found.lengths) == [min(words + 2, 256)]
    assert found.get_row(0)[-1] == 102  # [SEP] stays at the end


def test_a_text_without_words_has_length_0(tokenizer: TextTokenizer) -> None:
    assert list(tokenizer.tokenise(["", "\u200b", "a"]).n_tokens) == [0, 0, 3]


def test_ids_are_those_of_the_reference(tokenizer: TextTokenizer, model_folder: Path, shared: Path) -> None:
    from sentence_transformers import SentenceTransformer

    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [f"{row['title']}. {row['abstract']}" for row in map(json.loads, (next(file) for _ in range(200)))]
    reference = SentenceTransformer(str(model_folder), device="cpu")
    wanted = [list(map(int, ids[ids != 0])) for ids in reference.preprocess(texts)["input_ids"]]
    found = tokenizer.tokenise(texts)
    assert [found.get_row(i).tolist() for i in range(len(texts))] == wanted


def test_a_megabyte_is_counted_too(tokenizer: TextTokenizer) -> None:
    assert np.array_equal(tokenizer.tokenise(["knee " * 200_000]).n_tokens, [200_002])


def test_a_very_long_text_is_read_in_blocks_with_the_same_result(model_folder: Path) -> None:
    tokenizer = TextTokenizer(model_folder / "tokenizer.json", 64)
    text = "Knee pain (gout), \u00e9t\u00e9 2\u00b5g.  " * 5000
    expected = tokenizer.tokenizer.encode(text)
    plain, sizes = tokenizer.tokenizer, []

    class Watched:
        def encode(self, text: str) -> object:
            sizes.append(len(text))
            return plain.encode(text)

        def encode_batch_fast(self, texts: list[str], **options: bool) -> object:
            sizes.extend(map(len, texts))
            return counter.encode_batch_fast(texts, **options)

    counter = Tokenizer.from_str(plain.to_str())
    counter.no_truncation()
    tokenizer._counter = Watched()  # type: ignore[assignment]
    tokenizer.tokenizer = Watched()  # type: ignore[assignment]
    found = tokenizer.tokenise(["short", text])
    assert found.get_row(1).tolist() == expected.ids
    assert found.n_tokens[1] == 2 + sum(len(part.ids) - 2 for part in (expected, *expected.overflowing))
    assert sum(sizes) == len("short") + len(text) and max(sizes) <= 65_536
    for strange in ("x" * 200_000, " " * 200_000, " " * 200_000 + "gout"):  # one word, none, and a late one
        assert tokenizer.tokenise([strange]).get_row(0).tolist() == plain.encode(strange).ids


def test_what_is_cut_of_a_very_long_text_is_counted_without_being_kept(model_folder: Path) -> None:
    tokenizer, text = (
        TextTokenizer(model_folder / "tokenizer.json", 64),
        "Knee pain (gout), \u00e9t\u00e9 2\u00b5g.  " * 9000,
    )
    whole = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    whole.no_truncation()
    whole.no_padding()
    kept: list[str] = []
    encode = tokenizer._encode
    tokenizer._encode = lambda block: kept.append(block) or encode(block)  # type: ignore[method-assign,func-returns-value]
    assert tokenizer.tokenise([text]).n_tokens.tolist() == [len(whole.encode(text).ids)]
    assert len(kept) == 1 and len(kept[0]) <= 65_536


def test_not_a_tokenizer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(EncoderError, match="is not a tokenizer"):
        TextTokenizer(path, 256)


@pytest.fixture(scope="module")
def fast(model_folder: Path) -> FastTokenizer:
    return FastTokenizer(model_folder / "tokenizer.json", 256)


def same(found: Tokens, wanted: Tokens) -> bool:
    pairs = ((found.ids, wanted.ids), (found.offsets, wanted.offsets), (found.n_tokens, wanted.n_tokens))
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


@examples(3)
@given(st.lists(st.text(max_size=60) | st.text(ALPHABET, max_size=400), max_size=6))
def test_the_fast_tokenizer_gives_the_ids_of_the_reference(texts: list[str]) -> None:
    reference, fast = both()
    prepared_texts = [clean_text(text) for text in texts]
    assert same(fast.tokenise(prepared_texts), reference.tokenise(prepared_texts))


def test_on_probes_and_real_abstracts_too(tokenizer: TextTokenizer, fast: FastTokenizer, shared: Path) -> None:
    assert same(fast.tokenise(TOKEN_PROBES), tokenizer.tokenise(TOKEN_PROBES))
    with gzip.open(shared / "pubmedqa" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [
            prepare_text(row.get("title") or "", row.get("abstract") or row.get("text") or "")
            for row in map(json.loads, file)
        ]
    assert len(texts) >= 900
    assert same(fast.tokenise(texts), tokenizer.tokenise(texts))


@pytest.mark.parametrize("max_length", [2, 3, 8, 255, 256, 512])
def test_whatever_the_length_of_the_cut(model_folder: Path, max_length: int) -> None:
    path = model_folder / "tokenizer.json"
    texts = ["knee " * n for n in (0, 1, 2, 5, 6, 7, 253, 254, 255, 600)]
    assert same(FastTokenizer(path, max_length).tokenise(texts), TextTokenizer(path, max_length).tokenise(texts))


def test_the_fast_one_is_taken_when_it_gives_the_same_ids(model_folder: Path) -> None:
    assert isinstance(load_tokenizer(model_folder / "tokenizer.json", 256), FastTokenizer)


def test_any_difference_on_the_probes_means_the_reference(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = FastTokenizer.tokenise

    def one_id_off(self: FastTokenizer, texts: list[str]) -> Tokens:
        found = real(self, texts)
        found.ids[-2] += 1
        return found

    monkeypatch.setattr(FastTokenizer, "tokenise", one_id_off)
    assert isinstance(load_tokenizer(model_folder / "tokenizer.json", 256), TextTokenizer)
    assert "nanotoken and tokenizers differ on the probe texts; using tokenizers" in caplog.text


def test_without_nanotoken_or_with_another_kind_of_tokenizer_the_reference_is_taken(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Tokenizer(BPE({"a": 0, "b": 1, "[UNK]": 2}, [], unk_token="[UNK]"))
    other.save(str(tmp_path / "tokenizer.json"))
    assert isinstance(load_tokenizer(tmp_path / "tokenizer.json", 8), TextTokenizer)
    monkeypatch.setitem(sys.modules, "nanotoken", None)
    assert isinstance(load_tokenizer(model_folder / "tokenizer.json", 256), TextTokenizer)


@pytest.mark.parametrize("prompt", ["query: ", "query:"])
def test_a_blank_at_the_end_of_a_prompt_is_no_word_where_blanks_are_tokens(tmp_path: Path, prompt: str) -> None:
    from tokenizers import models, pre_tokenizers

    vocabulary = [("<unk>", 0.0), ("\u2581", -1.0), *((letter, -2.0) for letter in "aequry:")]
    pieces = Tokenizer(models.Unigram(vocabulary, 0))
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.save(str(tmp_path / "tokenizer.json"))
    tokenizer = PromptedTokenizer(TextTokenizer(tmp_path / "tokenizer.json", 64), prompt)
    empty, one, two = tokenizer.tokenise(["", "a", "a a"]).n_tokens.tolist()
    assert empty == 0 < one < two
