"""Tiny random cross-encoders of several architectures, saved as sentence-transformers saves them."""

import json
import os
import time
from pathlib import Path
from typing import Any

from engine.encode.crossencoder.folder import RERANKER, seal_reranker
from engine.encode.models.folder import GRAPH, TOKENIZER, WEIGHTS
from engine.records.reranker import RerankerIdentity
from tests.conftest import TOY_MODEL

ARCHITECTURES = ("bert", "modernbert", "deberta", "electra")
LIMIT = 48  # tokens of a pair


def make_reranker(folder: Path, architecture: str = "bert", *, n_labels: int = 1, seed: int = 0) -> Path:
    """Save a cross-encoder with random weights large enough for its scores to differ, and the tokenizer of the toy."""
    import torch
    import transformers
    from sentence_transformers import CrossEncoder

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(TOY_MODEL))
    tokenizer.model_max_length = LIMIT
    torch.manual_seed(seed)
    names = {"bert": "Bert", "modernbert": "ModernBert", "deberta": "DebertaV2", "electra": "Electra"}
    name = names[architecture]
    config = getattr(transformers, f"{name}Config")(**settings_of(architecture, len(tokenizer), n_labels))
    model = getattr(transformers, f"{name}ForSequenceClassification")(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    reranker = CrossEncoder(str(folder), device="cpu")
    pairs = [
        (f"gout {text}", text) for text in ("a", "knee pain in the joint", "lupus, uric acid and more " * 3, "gout")
    ]
    last = [one for one in reranker.model.classifier.modules() if isinstance(one, torch.nn.Linear)][-1]
    with torch.no_grad():  # so that outputs differ by about 1, around 0
        outputs = reranker.predict(pairs, activation_fn=torch.nn.Identity(), convert_to_tensor=True)
        last.weight.div_(outputs.std())
        last.bias.copy_((last.bias - outputs.mean()) / outputs.std())
    reranker.save_pretrained(str(folder))
    return folder


def seal_empty(encoders: Path, model: str = "/models/tiny", *, weights: str = "", age: float = 0) -> RerankerIdentity:
    """Install a sealed reranker whose files hold nothing that could run, exported so many seconds ago."""
    identity = RerankerIdentity(model, 64, "identity", "", "fp32", weights or model, "b", "c")
    folder = encoders / identity.fingerprint
    folder.mkdir(parents=True)
    for name in (TOKENIZER, GRAPH, WEIGHTS):
        (folder / name).write_text(name, encoding="utf-8")
    seal_reranker(folder, identity)
    then = time.time() - age
    os.utime(folder / RERANKER, (then, then))
    return identity


def settings_of(architecture: str, n_words: int, n_labels: int) -> dict[str, Any]:
    """The configuration of a tiny model."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    others: dict[str, dict[str, Any]] = {
        "bert": {},
        "electra": {"embedding_size": 16},
        "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 16},
        "modernbert": {
            "global_attn_every_n_layers": 2,
            "local_attention": 16,
            **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0),
        },
    }
    return {
        **sizes,
        "vocab_size": n_words,
        "max_position_embeddings": 64,
        "num_labels": n_labels,
        "initializer_range": 0.5,  # far more than usual, so that small differences of the texts show
        **others[architecture],
    }


def edit_json(path: Path, **settings: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **settings}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}), encoding="utf-8")
