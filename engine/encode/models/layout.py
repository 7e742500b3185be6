"""The layout of a model folder: the modules that texts go through, for documents and for queries.

Nothing is loaded. What this engine can't run as sentence-transformers does is refused, with what it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.encode.models.pooling import POOLINGS
from engine.errors import EncoderError

LIBRARY_SETTINGS = "config_sentence_transformers.json"
_HEAD = ("Dense", "LayerNorm", "Normalize", "Dropout")  # modules that may follow pooling
_WITH_WEIGHTS = ("Dense", "LayerNorm")
_ROUTERS = ("Router", "Asym")
_EXPECTED = (
    "expected Transformer → Pooling or StaticEmbedding, then any of Dense, LayerNorm, Normalize, or a Router of such "
    "modules. Choose another model: engine models"
)
_OLD_POOLINGS = {  # keys of older folders, in the order in which several are joined
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_CROSS = (
    "is a cross-encoder: it scores a question with a text, and makes no vectors. It can re-order hits "
    "(--rerank). Choose a model that makes vectors: engine models"
)
_SPARSE = (
    "is a sparse encoder: its vectors have a component for each word of a vocabulary, which this index can't hold. "
    "Choose a dense model: engine models"
)
_LATE = (
    "is a late-interaction model (ColBERT): it makes a vector of each token, not one of each text. Choose a model with "
    "one vector a text: engine models"
)
_SEQ2SEQ = "has an encoder and a decoder ({}), which this engine can't export. Choose another model: engine models"
# What a folder may be instead of a dense encoder, by parts of the names of its modules, classes or tasks.
_OTHERS = {
    "pylate": _LATE,
    "multi_vector": _LATE,
    "multivector": _LATE,
    "colbert": _LATE,
    "sparse": _SPARSE,
    "splade": _SPARSE,
    "mlmtransformer": _SPARSE,
    "fill-mask": _SPARSE,
    "cross_encoder": _CROSS,
    "crossencoder": _CROSS,
    "sequenceclassification": _CROSS,
    "sequence-classification": _CROSS,
}
_SEQ2SEQ_TYPES = ("t5", "mt5", "umt5", "longt5", "bart", "mbart", "pegasus", "m2m_100")


@dataclass(frozen=True, slots=True)
class _ChainLink:
    """One module of a chain."""

    kind: str  # name of its class
    path: Path


@dataclass(frozen=True, slots=True)
class Tower:
    """A chain of modules from text to vector."""

    start: _ChainLink  # a Transformer or a StaticEmbedding, whose folder has the tokenizer
    pooling: str  # "mean", "cls" and so on; several joined by "+"
    prompt_pooled: bool
    pooling_settings: dict[str, Any] | None  # None: it was named by the user
    head: tuple[_ChainLink, ...]  # after pooling

    @property
    def is_static(self) -> bool:
        """Whether it has an embedding for each token, and no layers."""
        return self.start.kind == "StaticEmbedding"

    @property
    def is_normalised(self) -> bool:
        """Whether its vectors have unit length by themselves."""
        last = [module.kind for module in self.head if module.kind != "Dropout"][-1:]
        return last == ["Normalize"]

    @property
    def modules(self) -> str:
        """The chain for people; "" if it is a transformer and pooling, with Normalize or without."""
        kinds = [module.kind for module in self.head]
        if not self.is_static and set(kinds) <= {"Normalize"}:
            return ""
        return " → ".join([self.start.kind, *([] if self.is_static else ["Pooling"]), *kinds])


@dataclass(frozen=True, slots=True)
class Layout:
    """The towers of a model folder."""

    documents: Tower
    queries: Tower | None  # None: the same


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a model folder.

    Raises:
        EncoderError: missing or not JSON.
    """
    try:
        content = json.loads(require_file(path).read_text(encoding="utf-8"))
    except ValueError as err:
        raise EncoderError(f"{path} is not JSON ({err}). Copy the model folder again") from err
    if not isinstance(content, dict):
        raise EncoderError(f"{path} is not a JSON object. Copy the model folder again")
    return content


def require_file(path: Path) -> Path:
    """Return the path if there is a file.

    Raises:
        EncoderError: no such file.
    """
    if not path.is_file():
        raise EncoderError(
            f"{path} is missing: expected a sentence-transformers model folder. Copy the model folder again, or load "
            "and save it once with sentence-transformers: SentenceTransformer(OLD).save(NEW)"
        )
    return path


def read_layout(folder: Path, pooling: str | None = None) -> Layout:
    """Read the chains of modules of a folder; pooling is that of a plain Hugging Face folder, which names none.

    Raises:
        EncoderError: it is no dense encoder, or has modules that this engine can't run; the message says what it is.
    """
    _refuse_others(folder)
    if not (folder / "modules.json").is_file():
        return Layout(_read_plain(folder, pooling), None)
    modules = _read_modules(folder)
    if modules[0].kind in _ROUTERS:
        layout = _read_router(folder, modules)
    else:
        layout = Layout(_read_chain(folder, modules), None)
    if pooling is not None and pooling != layout.documents.pooling:
        raise EncoderError(f"{folder} has a pooling of its own ({layout.documents.pooling}). Leave out --pooling")
    return layout


def _refuse_others(folder: Path) -> None:
    """Refuse what is no dense encoder, by what its files say that it is.

    Raises:
        EncoderError: it is of another kind.
    """
    if (folder / "adapter_config.json").is_file():
        raise EncoderError(
            f"{folder} is an adapter (adapter_config.json), not a whole model. Merge it into its base model and save "
            "that: merge_and_unload() in peft"
        )
    told = _list_told(folder)
    for part, reason in _OTHERS.items():
        if any(part in text.lower() for text in told):
            raise EncoderError(f"{folder} {reason}")
    config = read_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    if config.get("model_type") in _SEQ2SEQ_TYPES or config.get("is_encoder_decoder"):
        raise EncoderError(f"{folder} {_SEQ2SEQ.format(config.get('model_type'))}")


def _list_told(folder: Path) -> list[str]:
    """Return what the files of a folder call it: classes of its modules, architectures, type and task."""
    told = ["colbert"] if (folder / "artifact.metadata").is_file() else []
    has_modules = (folder / "modules.json").is_file()
    told += [module["type"] for module in _load_modules(folder)] if has_modules else []
    # With modules, what the transformer was before says nothing.
    for name, key in (
        *((("config.json", "architectures"),) if not has_modules else ()),
        (LIBRARY_SETTINGS, "model_type"),
        ("sentence_bert_config.json", "transformer_task"),
    ):
        value = read_object(folder / name).get(key) if (folder / name).is_file() else None
        told += [value] if isinstance(value, str) else [str(one) for one in value or ()]
    return told


def _load_modules(folder: Path) -> list[dict[str, str]]:
    """Return the entries of modules.json, each with type and path.

    Raises:
        EncoderError: it does not list modules.
    """
    path = folder / "modules.json"
    try:
        entries = [{"type": str(one["type"]), "path": str(one["path"])} for one in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as err:
        raise EncoderError(f"{path} does not list modules. Copy the model folder again") from err
    if not entries:
        raise EncoderError(f"{path} does not list modules. Copy the model folder again")
    return entries


def _read_modules(folder: Path) -> list[_ChainLink]:
    """Read the modules of modules.json, in order.

    Raises:
        EncoderError: a module has code of its own.
    """
    return [_build_part(folder, entry["type"], entry["path"]) for entry in _load_modules(folder)]


def _build_part(folder: Path, kind: str, path: str) -> _ChainLink:
    """Return a module of a folder.

    Raises:
        EncoderError: it has code of its own, or lies outside the folder.
    """
    if not kind.startswith("sentence_transformers."):
        raise EncoderError(f"{folder} needs code of its own ({kind}), which this engine never runs")
    if path.startswith("/") or ".." in Path(path).parts:
        raise EncoderError(f"{folder} names a module outside of it ({path}). Copy the model folder again")
    return _ChainLink(kind.rsplit(".", 1)[-1], folder / path)


def _read_plain(folder: Path, pooling: str | None) -> Tower:
    """Return the chain of a plain Hugging Face folder: a transformer and the named pooling.

    Raises:
        EncoderError: no pooling was named, or the folder holds no transformer.
    """
    if not (folder / "config.json").is_file():
        require_file(folder / "modules.json")
    if read_object(folder / "config.json").get("model_type") == "model2vec":
        return Tower(_ChainLink("StaticEmbedding", folder), "mean", True, None, ())
    if pooling is None:
        raise EncoderError(
            f"{folder} has no modules.json: it is a plain Hugging Face model, which does not say how the vector of a "
            f"text is made. Name what its card says (MedCPT, SPECTER2, SapBERT: cls): --pooling {', '.join(POOLINGS)}"
        )
    return Tower(_ChainLink("Transformer", folder), _check_pooling(folder, pooling.split("+")), True, None, ())


def _check_pooling(where: Path, names: Sequence[str]) -> str:
    """Return poolings joined.

    Raises:
        EncoderError: none, or one that is unknown.
    """
    if not names or not set(names) <= POOLINGS.keys():
        raise EncoderError(f"{where}: pooling {'+'.join(names) or 'none'}, expected any of {', '.join(POOLINGS)}")
    return "+".join(names)


def _read_router(folder: Path, modules: Sequence[_ChainLink]) -> Layout:
    """Read the two chains of a Router, each followed by the modules after it.

    Raises:
        EncoderError: it routes in another way than by query and document.
    """
    path = modules[0].path / "router_config.json"
    content = read_object(path if path.is_file() else modules[0].path / "config.json")
    types, structure = content.get("types"), content.get("structure")
    parameters = content.get("parameters") or {}
    if not isinstance(types, dict) or not isinstance(structure, dict) or parameters.get("route_mappings"):
        raise EncoderError(f"{path}: expected a route for queries and one for documents. Choose another: engine models")
    towers = []
    for route in ("document", "query"):
        names = structure.get(route) or structure.get(parameters.get("default_route"))
        if not names:
            raise EncoderError(f"{path} has the routes {', '.join(structure)}: expected query and document")
        inside = [_build_part(modules[0].path, str(types.get(name, "")), str(name)) for name in names]
        towers.append(_read_chain(folder, [*inside, *modules[1:]]))
    documents, queries = towers
    return Layout(documents, None if queries == documents else queries)


def _read_chain(folder: Path, modules: Sequence[_ChainLink]) -> Tower:
    """Read a chain of modules.

    Raises:
        EncoderError: a module that this engine can't run, or not in this place.
    """
    kinds = [module.kind for module in modules]
    n_start = 1 if kinds[0] == "StaticEmbedding" else 2
    if kinds[:n_start] not in (["StaticEmbedding"], ["Transformer", "Pooling"]) or not set(kinds[n_start:]) <= set(
        _HEAD
    ):
        raise EncoderError(f"{folder}: modules {' → '.join(kinds)}, {_EXPECTED}")
    head = tuple(modules[n_start:])
    for module in head:
        _check_head(module)
    if n_start == 1:
        return Tower(modules[0], "mean", True, None, head)
    settings = read_object(modules[1].path / "config.json")
    old = [name for key, name in _OLD_POOLINGS.items() if settings.get(key)]
    mode = settings.get("pooling_mode") or old or "mean"
    pooling = _check_pooling(modules[1].path, [mode] if isinstance(mode, str) else list(map(str, mode)))
    return Tower(modules[0], pooling, bool(settings.get("include_prompt", True)), settings, head)


def _check_head(module: _ChainLink) -> None:
    """Check that a module after pooling is one that sentence-transformers runs without code of the folder.

    Raises:
        EncoderError: it is not, or its weights are a pickle.
    """
    if module.kind not in _WITH_WEIGHTS:
        return
    settings = read_object(module.path / "config.json")
    if settings.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        raise EncoderError(f"{module.path} works on tokens, not on the vector of a text. Choose another: engine models")
    if not str(settings.get("activation_function", "torch.")).startswith("torch."):
        raise EncoderError(
            f"{module.path} needs code of its own ({settings['activation_function']}), which is never run"
        )
    require_safetensors(module.path)


def require_safetensors(folder: Path) -> None:
    """Check that a folder has weights that are no pickle.

    Raises:
        EncoderError: it has none.
    """
    if not list(folder.glob("*.safetensors")):
        raise EncoderError(
            f"{folder} has no model.safetensors; .bin files are pickles, which can run code, and are never loaded. "
            "Convert it where you trust it: SentenceTransformer(OLD).save(NEW)"
        )
