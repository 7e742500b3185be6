"""The packed BERT against sentence-transformers, which pads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from transformers import BertConfig, BertModel, RobertaConfig  # noqa: E402

from engine.encode.original.packedmodel import (  # noqa: E402
    PackedRunner,
    _attend_per_text,
    _attend_varlen,
    _check_config,
    _PackedBert,
    _pool_texts,
)
from engine.encode.texts.tokens import TextTokenizer, Tokens  # noqa: E402
from engine.errors import EncoderError  # noqa: E402
from tests.conftest import SAMPLE, TOY_MODEL  # noqa: E402

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 99}


def texts() -> list[str]:
    """40 texts from nothing to far more than the model reads."""
    with (SAMPLE / "abstracts.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(16)]
    odd = ["", " ", "a", "knee", "\u200b", "knee " * 254, "knee " * 255, "pain and swelling, " * 400]
    return [*odd, *(row["title"] for row in rows), *(f"{row['title']}. {row['abstract']}" for row in rows)]


def encode(
    bert: Any, tokens: Tokens, pooling: str = "mean", dtype: Any = torch.float32, budget: int = 3000
) -> np.ndarray:
    runner = PackedRunner(bert, pooling, 256, dtype)
    runner.size = budget
    return runner.encode([""] * len(tokens.n_tokens), tokens)


@pytest.fixture(scope="module")
def theirs(model_folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_folder), device="cpu")


@pytest.fixture(scope="module")
def tokens(model_folder: Path) -> Tokens:
    return TextTokenizer(model_folder / "tokenizer.json", 256).tokenise(texts())


@pytest.fixture(scope="module")
def wanted(theirs: Any) -> np.ndarray:
    return theirs.encode(texts(), normalize_embeddings=True)


@pytest.mark.parametrize(
    ("dtype", "cosine"), [("float32", 0.999999), pytest.param("bfloat16", 0.999, marks=pytest.mark.slow)]
)
def test_vectors_are_those_of_sentence_transformers(
    theirs: Any, model_folder: Path, tokens: Tokens, wanted: np.ndarray, dtype: str, cosine: float
) -> None:
    if dtype == "bfloat16":  # slow on most processors: the odd texts, some titles and the last abstract
        chosen = [*range(12), len(wanted) - 1]
        tokens, wanted = (
            TextTokenizer(model_folder / "tokenizer.json", 256).tokenise([texts()[i] for i in chosen]),
            wanted[chosen],
        )
    ours = encode(theirs[0].auto_model, tokens, dtype=getattr(torch, dtype))
    assert (ours * wanted).sum(axis=1).min() >= cosine
    assert ours.dtype == np.float32
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_a_vector_does_not_depend_on_its_neighbours(theirs: Any, model_folder: Path) -> None:
    few = TextTokenizer(model_folder / "tokenizer.json", 256).tokenise(texts()[:30])
    together = encode(theirs[0].auto_model, few)
    alone = encode(theirs[0].auto_model, few, budget=1)
    assert np.abs(together - alone).max() <= 1e-6


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_is_that_of_the_padded_model(pooling: str) -> None:
    torch.manual_seed(1)
    bert = BertModel(BertConfig(**SHAPE, max_position_embeddings=64)).eval()
    lengths = [1, 2, 17, 64, 63, 5, 5]
    offsets = np.cumsum([0, *lengths])
    tokens = Tokens(np.arange(offsets[-1], dtype=np.int32) % 99, offsets, np.array(lengths))
    ours = encode(bert, tokens, pooling, budget=100)
    for i, vector in enumerate(ours):
        with torch.inference_mode():
            states = bert(torch.from_numpy(tokens.get_row(i)).long()[None]).last_hidden_state[0]
        expected = torch.nn.functional.normalize(states[0] if pooling == "cls" else states.mean(dim=0), dim=0)
        assert np.abs(vector - expected.numpy()).max() < 1e-5


def test_a_text_without_ids_gets_zeros() -> None:
    tokens = Tokens(np.array([5, 6], np.int32), np.array([0, 0, 2]), np.array([0, 2]))
    vectors = encode(BertModel(BertConfig(**SHAPE)), tokens)
    assert np.array_equal(vectors[0], np.zeros(32))
    assert np.linalg.norm(vectors[1]) == pytest.approx(1, abs=1e-6)


def test_the_sum_of_a_text_has_the_same_bits_in_every_pack() -> None:
    states = torch.randn(700, 384)
    cu = torch.tensor([0, 256, 300, 301, 700], dtype=torch.int32)
    sums = _pool_texts(states, cu, "mean")
    for i in range(4):
        part = states[int(cu[i]) : int(cu[i + 1])]
        alone = _pool_texts(part, torch.tensor([0, len(part)], dtype=torch.int32), "mean")
        assert torch.equal(alone[0], sums[i])
    assert torch.equal(_pool_texts(states, cu, "mean"), sums)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (BertConfig(hidden_act="gelu_new"), "hidden_act is gelu_new"),
        (RobertaConfig(), "model_type is roberta"),
        (BertConfig(is_decoder=True), "decoder"),
        (BertConfig(position_embedding_type="relative_key"), "positions are relative_key"),
    ],
)
def test_what_can_not_be_packed_is_said(config: Any, reason: str) -> None:
    with pytest.raises(EncoderError, match=reason):
        _check_config(config)


def test_the_models_of_this_project_can_be_packed(model_folder: Path) -> None:
    for folder in (model_folder, TOY_MODEL):
        _check_config(BertConfig.from_pretrained(folder))


def test_flash_attention_fits_the_forward() -> None:
    """On tensors without content, as no flash attention runs here: its signature and shapes are checked all the same."""
    pytest.importorskip("torch.nn.attention.varlen", reason="new in torch 2.10")
    model = _PackedBert(BertModel(BertConfig(**SHAPE)), torch.float16, "mean", _attend_varlen).to("meta").eval()
    with torch.inference_mode():
        for n_ids, bounds in [(1000, 6), (1100, 7), (900, 3)]:
            ids, cu = (torch.zeros(n, dtype=torch.int32, device="meta") for n in (n_ids, bounds))
            out = model(ids, ids, cu, 256)
            assert (out.shape, out.dtype) == ((bounds - 1, 32), torch.float32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_flash_attention_is_attention() -> None:
    q, k, v = torch.randn(3, 300, 4, 32, device="cuda", dtype=torch.float16).unbind(0)
    cu = torch.tensor([0, 256, 257, 257, 300], dtype=torch.int32, device="cuda")
    assert torch.allclose(_attend_varlen(q, k, v, cu, 256), _attend_per_text(q, k, v, cu, 256), atol=5e-3)
