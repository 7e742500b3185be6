"""Folders of cross-encoders, as sentence-transformers saves them: checked and identified without loading them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from engine.encode.models.recipe import RECIPE
from engine.errors import EncoderError
from engine.receipts import FileReceipt
from engine.records.reranker import RerankerIdentity

_CONFIG, _TOKENIZER = "config.json", "tokenizer_config.json"
_LIBRARY = "config_sentence_transformers.json"
_SETTINGS = (_CONFIG, _TOKENIZER, "sentence_bert_config.json", _LIBRARY)
_NO_SETTINGS = ("__version__", "transformers_version", "_name_or_path")  # of the libraries; they change no score
_CLASSIFIER = "ForSequenceClassification"
_ACTIVATIONS = {"Sigmoid": "sigmoid", "Identity": "identity"}  # classes of torch.nn
_DEFAULT_ACTIVATION = "torch.nn.Sigmoid"  # of sentence-transformers, for one label
_EXPECTED = (
    f"expected a sentence-transformers CrossEncoder with one label, whose architecture ends with {_CLASSIFIER}. "
    "Name another reranker: --rerank FOLDER"
)


def identify_reranker(folder: Path, name: str, precision: str = "fp32") -> RerankerIdentity:
    """Return the identity of a cross-encoder's folder at a precision ("fp32" or "int8").

    Hashes the weights, but loads nothing.

    Raises:
        EncoderError: it is no cross-encoder, or this engine can't run it safely and exactly; the message says why.
    """
    config, library = _read_settings(folder / _CONFIG), _read_optional(folder / _LIBRARY)
    _check_kind(folder, config)
    _check_safety(folder, config)
    if library.get("default_prompt_name"):
        raise EncoderError(
            f"{folder} puts a prompt before every query (default_prompt_name), which rerankers here don't do. "
            "Name another reranker: --rerank FOLDER"
        )
    return RerankerIdentity(
        model=name,
        max_length=_read_longest(folder, config),
        activation=_read_activation(folder, config, library),
        recipe=RECIPE,
        precision=precision,
        weights_sha256=_hash_files(sorted(folder.glob("*.safetensors"))),
        tokenizer_sha256=_hash_files([_require(folder / "tokenizer.json")]),
        config_sha256=_hash_settings(folder),
    )


def _require(path: Path) -> Path:
    """Return the path if there is a file.

    Raises:
        EncoderError: no such file.
    """
    if not path.is_file():
        raise EncoderError(f"{path} is missing, {_EXPECTED}")
    return path


def _read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        EncoderError: missing, or no such object.
    """
    try:
        content = json.loads(_require(path).read_text(encoding="utf-8"))
    except ValueError as err:
        raise EncoderError(f"{path} is not JSON ({err}). Copy the model folder again") from err
    if not isinstance(content, dict):
        raise EncoderError(f"{path} is not a JSON object. Copy the model folder again")
    return content


def _read_optional(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if there is no file.

    Raises:
        EncoderError: the file holds something else.
    """
    return _read_settings(path) if path.is_file() else {}


def _check_kind(folder: Path, config: dict[str, Any]) -> None:
    """Check that a model scores pairs of texts with one number.

    Raises:
        EncoderError: it is of another kind.
    """
    modules = _read_module_names(folder)
    if modules not in ([], ["Transformer"]):
        kind = "an encoder of single texts" if "Pooling" in modules else "of another kind"
        raise EncoderError(f"{folder} is {kind} (modules {' → '.join(modules)}), {_EXPECTED}")
    architecture = str(next(iter(config.get("architectures") or ()), "none"))
    if not architecture.endswith(_CLASSIFIER):
        raise EncoderError(f"{folder} is no cross-encoder: its architecture is {architecture}, {_EXPECTED}")
    n_labels = len(config.get("id2label") or "01")  # transformers leaves two labels out
    if (n_labels := int(config.get("num_labels", n_labels))) != 1:
        raise EncoderError(f"{folder} gives {n_labels} numbers for a pair, {_EXPECTED}")


def _read_module_names(folder: Path) -> list[str]:
    """Read the class names of the modules; none if the folder is one of transformers.

    Raises:
        EncoderError: the file lists no modules, or one with code of its own.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        kinds = [str(module["type"]) for module in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as err:
        raise EncoderError(f"{path} does not list modules. Copy the model folder again") from err
    if foreign := [kind for kind in kinds if not kind.startswith("sentence_transformers.")]:
        raise EncoderError(f"{folder} needs code of its own ({foreign[0]}), which this engine never runs")
    return [kind.rsplit(".", 1)[-1] for kind in kinds]


def _check_safety(folder: Path, config: dict[str, Any]) -> None:
    """Refuse models that run code of their own or come as pickles.

    Raises:
        EncoderError: it is such a model.
    """
    if "auto_map" in config:
        raise EncoderError(f"{folder} needs code of its own (auto_map in {_CONFIG}), which this engine never runs")
    if not list(folder.glob("*.safetensors")):
        raise EncoderError(
            f"{folder} has no model.safetensors; .bin files are pickles, which can run code, and are never loaded. "
            "Convert it where you trust it: CrossEncoder(OLD).save_pretrained(NEW)"
        )


def _read_activation(folder: Path, config: dict[str, Any], library: dict[str, Any]) -> str:
    """Read what makes a score of the output, where the releases of sentence-transformers have stored it.

    Raises:
        EncoderError: another function than the known ones.
    """
    older = config.get("sentence_transformers") or {}
    given = (
        library.get("activation_fn")
        or older.get("activation_fn")
        or config.get("sbert_ce_default_activation_function")
        or _DEFAULT_ACTIVATION
    )
    name = _ACTIVATIONS.get(str(given).rsplit(".", 1)[-1])
    if name is None or not str(given).startswith("torch.nn."):
        raise EncoderError(
            f"{folder} makes scores by {str(given)[:80]}, expected {' or '.join(_ACTIVATIONS)} of torch.nn. "
            "Name another reranker: --rerank FOLDER"
        )
    return name


def _read_longest(folder: Path, config: dict[str, Any]) -> int:
    """Read how many tokens of a pair the model takes: the tokenizer's limit, at most the positions there are.

    Raises:
        EncoderError: no such number, or too small for any pair.
    """
    given = _read_optional(folder / "sentence_bert_config.json").get("max_seq_length")
    given = given or _read_optional(folder / _TOKENIZER).get("model_max_length")
    positions = config.get("max_position_embeddings")
    limits = [int(value) for value in (given, positions) if isinstance(value, int | float) and value > 0]
    longest = min(limits, default=0)
    if not 8 <= longest <= 1_000_000:
        raise EncoderError(
            f"{folder} reads {longest:,} tokens of a pair, expected at least 8 and a limit. "
            f"Set model_max_length in {_TOKENIZER}"
        )
    return longest


def _hash_files(paths: list[Path]) -> str:
    """Return the SHA-256 of a file; for several files, that of their digests in their order."""
    digests = [FileReceipt.recall(path).sha256 for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _hash_settings(folder: Path) -> str:
    """Return the SHA-256 of the settings that can change a score."""
    content = {
        name: {key: value for key, value in _read_optional(folder / name).items() if key not in _NO_SETTINGS}
        for name in _SETTINGS
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
