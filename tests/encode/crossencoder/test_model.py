"""What a model folder is: a cross-encoder with its settings, or refused in one line."""

import json
import re
import shutil
from pathlib import Path

import pytest

from engine.encode.crossencoder.model import identify_reranker
from engine.errors import EncoderError
from tests.conftest import TOY_MODEL
from tests.rerankers import LIMIT, edit_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a cross-encoder as far as its identity needs them, without real weights."""
    path = tmp_path / "model"
    path.mkdir()
    shutil.copy(TOY_MODEL / "tokenizer.json", path)
    (path / "model.safetensors").write_bytes(b"weights")
    config = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 64}))
    (path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LIMIT}))
    return path


def test_identity(folder: Path) -> None:
    found = identify_reranker(folder, "/home/ann/reranker")
    assert (found.max_length, found.activation, found.precision) == (LIMIT, "sigmoid", "fp32")
    assert (found.short_name, len(found.fingerprint)) == ("reranker", 64)
    assert found.fingerprint == identify_reranker(folder, "other").fingerprint  # the name is not part of it
    assert found.fingerprint != identify_reranker(folder, "other", "int8").fingerprint


def test_whatever_changes_a_score_changes_the_fingerprint(folder: Path) -> None:
    seen = {identify_reranker(folder, "m").fingerprint}
    for name, key, value in (
        ("config.json", "layer_norm_eps", 1e-3),
        ("tokenizer_config.json", "model_max_length", 32),
        ("tokenizer_config.json", "do_lower_case", False),
        ("config.json", "sentence_transformers", {"activation_fn": "torch.nn.modules.linear.Identity"}),
    ):
        edit_json(folder / name, **{key: value})
        seen.add(identify_reranker(folder, "m").fingerprint)
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).write_bytes(b"{}")
        seen.add(identify_reranker(folder, "m").fingerprint)
    assert len(seen) == 7
    edit_json(folder / "config.json", transformers_version="9")
    assert identify_reranker(folder, "m").fingerprint in seen


@pytest.mark.parametrize(
    ("name", "settings", "activation"),
    [
        ("config.json", {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        ("config.json", {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "identity"),
        ("config.json", {"sentence_transformers": {"version": "4.0"}}, "sigmoid"),
        ("tokenizer_config.json", {}, "sigmoid"),
    ],
)
def test_the_activation_is_read_where_releases_have_stored_it(
    folder: Path, name: str, settings: dict[str, object], activation: str
) -> None:
    edit_json(folder / name, **settings)
    assert identify_reranker(folder, "m").activation == activation


def test_the_newest_place_of_the_activation_counts(folder: Path) -> None:
    edit_json(folder / "config.json", sbert_ce_default_activation_function="torch.nn.modules.linear.Identity")
    (folder / "config_sentence_transformers.json").write_text(
        '{"activation_fn": "torch.nn.modules.activation.Sigmoid"}'
    )
    assert identify_reranker(folder, "m").activation == "sigmoid"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("config.json", {"architectures": ["BertModel"]}, "no cross-encoder: its architecture is BertModel, expected"),
        ("config.json", {"architectures": ["Qwen3ForCausalLM"]}, "its architecture is Qwen3ForCausalLM, expected"),
        ("config.json", {"architectures": None}, "its architecture is none, expected"),
        ("config.json", {"id2label": {"0": "a", "1": "b", "2": "c"}}, "gives 3 numbers for a pair, expected"),
        ("config.json", {"id2label": None}, "gives 2 numbers for a pair, expected"),
        ("config.json", {"auto_map": {}}, "needs code of its own (auto_map in config.json)"),
        ("config.json", {"sentence_transformers": {"activation_fn": "evil.Sigmoid"}}, "makes scores by evil.Sigmoid"),
        ("config.json", {"sentence_transformers": {"activation_fn": "torch.nn.ReLU"}}, "makes scores by torch.nn.ReLU"),
        ("tokenizer_config.json", {"model_max_length": 4}, "reads 4 tokens of a pair"),
    ],
)
def test_what_is_no_usable_cross_encoder_is_refused_in_one_line(
    folder: Path, name: str, settings: dict[str, object], message: str
) -> None:
    edit_json(folder / name, **settings)
    with pytest.raises(EncoderError, match=re.escape(message)) as refused:
        identify_reranker(folder, "m")
    assert "\n" not in str(refused.value)


def test_an_encoder_is_refused_as_a_reranker() -> None:
    with pytest.raises(EncoderError, match="is an encoder of single texts .modules Transformer → Pooling"):
        identify_reranker(TOY_MODEL, "m")


def test_prompts_pickles_and_foreign_modules_are_refused(folder: Path) -> None:
    (folder / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')
    with pytest.raises(EncoderError, match="puts a prompt before every query"):
        identify_reranker(folder, "m")
    (folder / "modules.json").write_text('[{"type": "mine.Module", "path": ""}]')
    with pytest.raises(EncoderError, match="needs code of its own .mine.Module."):
        identify_reranker(folder, "m")
    (folder / "modules.json").write_text("{}")
    (folder / "modules.json").unlink()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="has no model.safetensors"):
        identify_reranker(folder, "m")
    (folder / "config.json").write_text("[")
    with pytest.raises(EncoderError, match="is not JSON"):
        identify_reranker(folder, "m")
    (folder / "config.json").unlink()
    with pytest.raises(EncoderError, match="config.json is missing, expected a sentence-transformers CrossEncoder"):
        identify_reranker(folder, "m")
