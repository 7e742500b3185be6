"""The original model on torch: the reference for exports and for other ways to run the same weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding, Transformer
from transformers.utils import logging

from engine.encode.models.folder import DOCUMENTS
from engine.encode.models.layout import Layout, Tower, read_layout
from engine.encode.models.model import Adjustment, locate, read_query_tower
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity, Vectors

logging.disable_progress_bar()  # type: ignore[no-untyped-call]

_LOADING = {"use_safetensors": True, "dtype": torch.float32}


class TransformerEncoder:
    """A model folder on one device, in fp32; for queries another one, if its identity says so."""

    def __init__(self, folder: Path, identity: EncoderIdentity, device: str) -> None:
        """Load the weights, from local safetensors files only.

        Raises:
            EncoderError: the device is not available, or sentence-transformers can't load the folder.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise EncoderError("no CUDA device is available here. Use --device cpu, or install the [gpu] extra")
        if device == "mps" and not torch.backends.mps.is_available():
            raise EncoderError("no GPU of a Mac is available here (device mps). Use --device cpu")
        tower, name = identity.query_tower, identity.query_tower.model if identity.query_tower else ""
        layout = _read_as(folder, identity.pooling)
        self.documents = layout.documents
        self.queries = layout.queries
        self.model = _load(folder, layout, device)
        self.query_model = self.model
        if tower is not None and name:
            place = locate(name)
            layout = _read_as(place, tower.pooling)
            self.queries = read_query_tower(layout, Adjustment()) or layout.documents
            self.query_model = _load(place, layout, device)
        self._identity = identity
        for as_query in (False, True) if self.queries else (False,):
            _limit_length(self.list_modules(as_query=as_query)[0], _get_length(identity, as_query=as_query))

    def list_modules(self, *, as_query: bool = False) -> list[Any]:
        """Return the modules that a document goes through, or a query, in order."""
        model = self.query_model if as_query else self.model
        first, *rest = list(model)
        routes = getattr(first, "sub_modules", None)
        if routes is None:
            return [first, *rest]
        route = "query" if as_query else "document"
        return [*routes[route if route in routes else first.default_route], *rest]

    def write_tokenizer(self, folder: Path, name: str = DOCUMENTS.tokenizer, *, as_query: bool = False) -> Path:
        """Write tokenizer.json as the model uses it, with the settings of its tokenizer_config.json.

        Raises:
            EncoderError: the tokenizer of the model can't be written as tokenizer.json.
        """
        path, module = folder / name, self.list_modules(as_query=as_query)[0]
        try:
            if isinstance(module, StaticEmbedding):  # it reads no special tokens
                content = json.dumps(json.loads(module.tokenizer.to_str()) | {"post_processor": None})
            else:
                content = module.tokenizer.backend_tokenizer.to_str()
        except AttributeError as err:
            raise EncoderError(f"{self._identity.model} has no fast tokenizer, expected a tokenizer.json") from err
        path.write_text(content, encoding="utf-8")
        return path

    def encode_reference(self, texts: Sequence[str], *, as_query: bool = False) -> Vectors:
        """Encode texts with sentence-transformers itself, with prompt and tokenizer: float32 (n, dim), unit length."""
        model, prompt = self.model, self._identity.document_prompt
        if as_query:
            model, prompt = self.query_model, self._identity.query_prompt
        vectors: Vectors = model.encode(
            list(texts),
            prompt=prompt,
            task="query" if as_query else "document",
            normalize_embeddings=True,
            show_progress_bar=False,
            truncate_dim=self._identity.dim,
        )
        return vectors

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        return self._identity


def _read_as(folder: Path, pooling: str) -> Layout:
    """Read the layout of a folder; the pooling is that of a plain Hugging Face folder."""
    return read_layout(folder, None if (folder / "modules.json").is_file() else pooling)


def _get_length(identity: EncoderIdentity, *, as_query: bool) -> int:
    """Return the number of tokens that a tower reads."""
    return identity.query_length if as_query else identity.max_length


def _limit_length(module: Any, n_tokens: int) -> None:
    """Keep a transformer from reading more tokens than it has positions, which its settings may allow."""
    if isinstance(module, Transformer) and (module.max_seq_length is None or module.max_seq_length > n_tokens):
        module.max_seq_length = n_tokens


def _load(folder: Path, layout: Layout, device: str) -> SentenceTransformer:
    """Load a model folder in fp32.

    Raises:
        EncoderError: sentence-transformers can't load it.
    """
    try:
        if (folder / "modules.json").is_file():
            model = SentenceTransformer(str(folder), device=device, local_files_only=True, model_kwargs=dict(_LOADING))
        else:
            model = SentenceTransformer(modules=_build_plain(folder, layout.documents), device=device)
        return model.float().eval()
    except Exception as err:  # sentence-transformers and transformers raise many types
        raise EncoderError(f"{folder} can't be loaded: {str(err).splitlines()[0]}") from err


def _build_plain(folder: Path, tower: Tower) -> list[Any]:
    """Build the modules of a folder that lists none."""
    if tower.is_static:
        return [StaticEmbedding.load(str(folder), local_files_only=True)]
    transformer = Transformer.load(str(folder), local_files_only=True, model_kwargs=dict(_LOADING))
    names = tuple(tower.pooling.split("+"))
    return [transformer, Pooling(transformer.get_embedding_dimension(), names)]
