"""The packed BERT against sentence-transformers, which pads."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from transformers import BertConfig, BertModel, RobertaConfig  # noqa: E402

from engine.encode.forward import Sent  # noqa: E402
from engine.encode.link import HostLink  # noqa: E402
from engine.encode.packed import PackedBert, per_text, pooled, supported, varlen  # noqa: E402
from engine.encode.packing import packs  # noqa: E402
from engine.encode.padded import PaddedModel  # noqa: E402
from engine.encode.tokens import TextTokenizer, Tokens  # noqa: E402
from tests.conftest import SAMPLE, TOY_MODEL  # noqa: E402

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 99}


def texts() -> list[str]:
    """40 texts from nothing to far more than the model reads."""
    with (SAMPLE / "abstracts.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(16)]
    odd = ["", " ", "a", "knee", "\u200b", "knee " * 254, "knee " * 255, "pain and swelling, " * 400]
    return [*odd, *(row["title"] for row in rows), *(f"{row['title']}. {row['abstract']}" for row in rows)]


def encoded(model: Any, tokens: Tokens, budget: int = 3000) -> np.ndarray:
    """All vectors, in order."""
    lines = np.full((len(tokens.n_tokens), model(*send(tokens, [0])).shape[1]), np.nan, np.float32)
    with torch.inference_mode():
        for pack in packs(tokens, budget, model.rounded):
            lines[pack.positions] = model(*HostLink().send(pack)).numpy()
    return lines


def send(tokens: Tokens, rows: list[int]) -> Sent:
    among = np.isin(np.arange(len(tokens.n_tokens)), rows)
    (pack,) = packs(tokens, 10**6, among=among)
    return HostLink().send(pack)


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


@pytest.mark.parametrize(("dtype", "cosine"), [("float32", 0.999999), ("bfloat16", 0.999)])
def test_vectors_are_those_of_sentence_transformers(
    theirs: Any, tokens: Tokens, wanted: np.ndarray, dtype: str, cosine: float
) -> None:
    ours = encoded(PackedBert(theirs[0].auto_model, getattr(torch, dtype), "mean"), tokens)
    assert (ours * wanted).sum(axis=1).min() >= cosine
    assert ours.dtype == np.float32
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


def test_padded_gives_the_same(theirs: Any, tokens: Tokens, wanted: np.ndarray) -> None:
    ours = encoded(PaddedModel(theirs[0].auto_model, "mean", 256), tokens)
    assert (ours * wanted).sum(axis=1).min() >= 0.999999


def test_a_vector_does_not_depend_on_its_neighbours(theirs: Any, tokens: Tokens) -> None:
    model = PackedBert(theirs[0].auto_model, torch.float32, "mean")
    together = encoded(model, tokens)
    alone = encoded(model, tokens, budget=1)
    assert np.abs(together - alone).max() <= 1e-6


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padded_and_packed_pool_alike(pooling: str) -> None:
    torch.manual_seed(1)
    bert = BertModel(BertConfig(**SHAPE, max_position_embeddings=64)).eval()
    lengths = [1, 2, 17, 64, 63, 5, 5]
    offsets = np.cumsum([0, *lengths])
    tokens = Tokens(np.arange(offsets[-1], dtype=np.int32) % 99, offsets, np.array(lengths))
    packed = encoded(PackedBert(bert, torch.float32, pooling), tokens)
    padded = encoded(PaddedModel(bert, pooling, 64), tokens)
    assert np.abs(packed - padded).max() < 1e-5


def test_the_sum_of_a_text_has_the_same_bits_in_every_pack() -> None:
    states = torch.randn(700, 384)
    cu = torch.tensor([0, 256, 300, 301, 301, 700], dtype=torch.int32)
    sums = pooled(states, cu, "mean")
    for i in range(5):
        part = states[int(cu[i]) : int(cu[i + 1])]
        alone = pooled(part, torch.tensor([0, len(part)], dtype=torch.int32), "mean")
        assert torch.equal(alone[0], sums[i])
    assert torch.equal(pooled(states, cu, "mean"), sums)


def test_tokens_after_the_last_text_change_nothing() -> None:
    bert = BertModel(BertConfig(**SHAPE)).eval()
    for pooling in ("mean", "cls"):
        model = PackedBert(bert, torch.float32, pooling)
        ids, cu = torch.arange(12, dtype=torch.int32), torch.tensor([0, 7, 10, 10], dtype=torch.int32)
        wanted = model(ids[:10], ids[:10], cu[:3], 7)
        assert torch.allclose(model(ids, ids, cu, 7)[:2], wanted, atol=1e-6)
        assert torch.allclose(model(ids[:10], ids[:10], cu, 7)[:2], wanted, atol=1e-6)  # nor do texts without any


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
    assert reason in (supported(config) or "")


def test_the_models_of_this_project_can_be_packed(model_folder: Path) -> None:
    for folder in (model_folder, TOY_MODEL):
        assert supported(BertConfig.from_pretrained(folder)) is None


@pytest.mark.parametrize("dynamic", [True, False])
def test_the_forward_with_flash_attention_is_one_graph(dynamic: bool) -> None:
    """On tensors without content, as no flash attention runs here: its signature and shapes are checked all the same."""
    pytest.importorskip("torch.nn.attention.varlen", reason="new in torch 2.10")
    graphs: list[Any] = []

    def keep(graph: Any, example: Any) -> Any:
        graphs.append(graph)
        return graph

    model = PackedBert(BertModel(BertConfig(**SHAPE)), torch.float16, "mean", varlen).to("meta").eval()
    torch._dynamo.reset()
    compiled = torch.compile(model, dynamic=dynamic, backend=keep, fullgraph=True)
    shapes = [(1000, 6), (1100, 7), (900, 3)]
    with torch.inference_mode():
        for n_ids, bounds in shapes:
            ids, cu = (torch.zeros(n, dtype=torch.int32, device="meta") for n in (n_ids, bounds))
            out = compiled(ids, ids, cu, 256)
            assert (out.shape, out.dtype) == ((bounds - 1, 32), torch.float32)
    assert len(graphs) == (1 if dynamic else len(shapes))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_flash_attention_is_attention() -> None:
    q, k, v = torch.randn(3, 300, 4, 32, device="cuda", dtype=torch.float16).unbind(0)
    cu = torch.tensor([0, 256, 257, 257, 300], dtype=torch.int32, device="cuda")
    assert torch.allclose(varlen(q, k, v, cu, 256), per_text(q, k, v, cu, 256), atol=5e-3)
