"""Tiny random models, one of each kind, laid out as the published ones are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import TOY_MODEL

LIBRARY = "config_sentence_transformers.json"
Build = Callable[[Path], None]


def edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))


def copy_toy(folder: Path) -> None:
    shutil.copytree(TOY_MODEL, folder)


def with_settings(**values: object) -> Build:
    """The toy with other settings of sentence-transformers."""

    def build(folder: Path) -> None:
        copy_toy(folder)
        edit(folder / LIBRARY, **values)

    return build


def parts() -> tuple[Any, Any]:
    """The modules of sentence-transformers, and the toy's transformer."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    torch.manual_seed(7)
    return modules, SentenceTransformer(str(TOY_MODEL), device="cpu")[0]


def save(folder: Path, chain: list[Any], **settings: object) -> None:
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(modules=chain, device="cpu", **settings).save(str(folder), create_model_card=False)


def with_pooling(*names: str, include_prompt: bool = True, prompts: dict[str, str] | None = None) -> Build:
    def build(folder: Path) -> None:
        modules, transformer = parts()
        save(folder, [transformer, modules.Pooling(32, names, include_prompt)], prompts=prompts)

    return build


def with_head(*kinds: str) -> Build:
    def build(folder: Path) -> None:
        import torch

        modules, transformer = parts()
        width, head = 32, []
        for kind in kinds:
            if kind == "Dense":
                head.append(modules.Dense(width, width // 2 * 3, activation_function=torch.nn.Tanh()))
                width = width // 2 * 3
            else:
                head.append(modules.LayerNorm(width) if kind == "LayerNorm" else modules.Normalize())
        save(folder, [transformer, modules.Pooling(32, "mean"), *head], prompts={"query": "q: ", "document": "d: "})

    return build


def make_transformer(folder: Path, config: Any) -> Any:
    """A random transformer with the toy's tokenizer."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import AutoModel

    torch.manual_seed(3)
    plain = folder.with_name(f"{folder.name}-plain")
    AutoModel.from_config(config).save_pretrained(plain)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOY_MODEL / name, plain)
    return Transformer(str(plain), max_seq_length=64)


def last_token(folder: Path) -> None:
    """As Qwen3-Embedding: a causal model, the state of the last token, an instruction before queries."""
    from sentence_transformers.sentence_transformer import modules
    from transformers import Qwen3Config

    config = Qwen3Config(
        vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=128, pad_token_id=0,
    )  # fmt: skip
    chain = [make_transformer(folder, config), modules.Pooling(32, "lasttoken"), modules.Normalize()]
    save(folder, chain, prompts={"query": "Instruct: find\nQuery:"})


def gemma(folder: Path) -> None:
    """As EmbeddingGemma: attention both ways, two Dense layers, prompts for both."""
    import torch
    from sentence_transformers.sentence_transformer import modules
    from transformers import Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=128, sliding_window=16, pad_token_id=0,
        layer_types=["sliding_attention", "full_attention"], use_bidirectional_attention=True,
    )  # fmt: skip
    plain = torch.nn.Identity()
    chain = [
        make_transformer(folder, config),
        modules.Pooling(32, "mean"),
        modules.Dense(32, 96, bias=False, activation_function=plain),
        modules.Dense(96, 32, bias=False, activation_function=plain),
        modules.Normalize(),
    ]
    prompts = {"query": "task: search result | query: ", "document": "title: none | text: "}
    save(folder, chain, prompts=prompts)


def roberta(folder: Path) -> None:
    """As XLM-RoBERTa models: positions counted from the padding token on."""
    from sentence_transformers.sentence_transformer import modules
    from transformers import XLMRobertaConfig

    config = XLMRobertaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=66, pad_token_id=1, type_vocab_size=1,
    )  # fmt: skip
    save(folder, [make_transformer(folder, config), modules.Pooling(32, "cls"), modules.Normalize()])


def static(folder: Path) -> None:
    """As static-retrieval-mrl: an embedding for each token, cut to fewer components."""
    import torch
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer

    torch.manual_seed(5)
    tokenizer = Tokenizer.from_file(str(TOY_MODEL / "tokenizer.json"))
    tokenizer.no_truncation()
    save(folder, [modules.StaticEmbedding(tokenizer, embedding_dim=48)])
    edit(folder / LIBRARY, truncate_dim=32)


def model2vec(folder: Path) -> None:
    """As potion: half precision under another name, with weights and a mapping, then Normalize."""
    import numpy as np
    from safetensors.numpy import save_file

    static(folder)
    generator = np.random.default_rng(1)
    tensors = {
        "embeddings": generator.normal(size=(200, 24)).astype(np.float16),
        "mapping": generator.integers(0, 200, 257),
        "weights": generator.random(257),
    }
    save_file(tensors, folder / "model.safetensors")
    types = ("models.StaticEmbedding", ""), ("models.Normalize", "1_Normalize")
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.{kind}"}
        for i, (kind, path) in enumerate(types)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "1_Normalize").mkdir()
    (folder / LIBRARY).write_text("{}")


def router(folder: Path) -> None:
    """As mdbr-leaf asymmetric models: queries by static embeddings, documents by a transformer, one Normalize."""
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer

    found, transformer = parts()
    tokenizer = Tokenizer.from_file(str(TOY_MODEL / "tokenizer.json"))
    routes = modules.Router.for_query_document(
        query_modules=[found.StaticEmbedding(tokenizer, embedding_dim=32)],
        document_modules=[transformer, found.Pooling(32, "cls")],
    )
    save(folder, [routes, found.Normalize()], prompts={"query": "find: "})


def two_heads(folder: Path) -> None:
    """A Router whose towers share a transformer and differ in the layer after it."""
    found, transformer = parts()
    routes = found.Router.for_query_document(
        query_modules=[transformer, found.Pooling(32, "mean"), found.Dense(32, 16)],
        document_modules=[transformer, found.Pooling(32, "mean"), found.Dense(32, 16)],
    )
    save(folder, [routes], prompts={"document": "d: "})


def half_precision(folder: Path) -> None:
    """Weights in float16."""
    from safetensors.torch import load_file, save_file

    copy_toy(folder)
    path = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})


def sharded(folder: Path) -> None:
    """Weights in several files."""
    from transformers import AutoModel

    copy_toy(folder)
    (folder / "model.safetensors").unlink()
    AutoModel.from_pretrained(TOY_MODEL).save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1


def plain(folder: Path) -> None:
    """A Hugging Face folder, as MedCPT and SapBERT: no modules.json."""
    copy_toy(folder)
    for name in ("modules.json", LIBRARY, "sentence_bert_config.json"):
        (folder / name).unlink()
    for name in ("1_Pooling", "2_Normalize"):
        shutil.rmtree(folder / name)


PROMPTS = {"query": "query: ", "document": "passage: "}
# Kind -> how it is made.
KINDS: dict[str, Build] = {
    "prompts": with_settings(prompts=PROMPTS),
    "query prompt only": with_settings(prompts={"query": "Represent this sentence: "}),
    "default prompt": with_settings(prompts=PROMPTS, default_prompt_name="query"),
    "default prompt of another name": with_settings(prompts={"sts": "sts: "}, default_prompt_name="sts"),
    "matryoshka": with_settings(truncate_dim=12, prompts=PROMPTS),
    "cls": with_pooling("cls"),
    "max": with_pooling("max"),
    "several poolings": with_pooling("cls", "mean"),
    "weighted mean": with_pooling("weightedmean"),
    "root mean": with_pooling("mean_sqrt_len_tokens"),
    "prompt left out of pooling": with_pooling("mean", include_prompt=False, prompts=PROMPTS),
    "prompt left out of the first": with_pooling("cls", "weightedmean", "max", include_prompt=False, prompts=PROMPTS),
    "dense": with_head("Dense", "Normalize"),
    "dense without normalize": with_head("Dense"),
    "layer norm": with_head("LayerNorm", "Dense", "LayerNorm"),
    "last token": last_token,
    "gemma": gemma,
    "xlm-roberta": roberta,
    "static": static,
    "model2vec": model2vec,
    "router": router,
    "two heads": two_heads,
    "half precision": half_precision,
    "sharded": sharded,
}
