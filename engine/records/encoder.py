"""Vectors, and what identifies the encoder that made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # (n, dim), unit length unless said otherwise


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder returns for n texts, in the order of the texts."""

    vectors: Vectors  # (n, dim) float32
    n_tokens: NDArray[np.int64]  # (n,) length of each text before truncation, special tokens included
    made_by: str = ""  # the way the encoder was run: "ONNX Runtime fp32"


@dataclass(frozen=True, slots=True)
class QueryTower:
    """The part of an encoder that reads queries, where it has weights of its own."""

    model: str  # the name it was requested by, or "" if it is in the model's folder; not part of the fingerprint
    max_length: int  # tokens, special tokens included
    pooling: str
    modules: str
    weights_sha256: str
    tokenizer_sha256: str
    config_sha256: str


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Everything that changes a vector. Two encoders are the same one when their fingerprints are equal."""

    model: str  # the name it was requested by; not part of the fingerprint
    dim: int
    max_length: int  # tokens, special tokens included
    pooling: str  # "mean", "cls" and so on; several joined by "+"
    normalize: bool
    recipe: str  # how title and abstract become one text
    precision: str  # "fp32", or "int8" on a CPU; half precision with the same vectors counts as fp32
    weights_sha256: str
    tokenizer_sha256: str
    config_sha256: str
    # The others are part of the fingerprint only where they are not as here, so that a model that has nothing of the
    # kind keeps its fingerprint.
    query_prompt: str = ""  # put before every query
    document_prompt: str = ""  # put before every text of a record
    template: str = ""  # of the text of a record, such as "{title}[SEP]{abstract}"; "": the recipe's own
    modules: str = ""  # what follows pooling beside Normalize, or another start: "StaticEmbedding", "Dense"
    cut_from: int = 0  # components of a vector before it was cut to dim; 0: not cut
    prompt_pooled: bool = True  # False: the tokens of a prompt are read, but left out of pooling
    query_tower: QueryTower | None = None  # None: queries and documents go through the same weights

    @property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, of every field but the names."""
        values = asdict(self)
        named = {each.name: values[each.name] for each in fields(self) if values[each.name] != each.default}
        del named["model"]
        if self.query_tower is not None:
            del named["query_tower"]["model"]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    @property
    def is_plain(self) -> bool:
        """Whether documents need no more than a transformer, mean or cls pooling and unit length."""
        simple = self.pooling in ("mean", "cls") and self.prompt_pooled
        return simple and not self.modules and not self.cut_from

    @property
    def query_length(self) -> int:
        """Number of tokens of a query that are read, special tokens included."""
        return self.query_tower.max_length if self.query_tower else self.max_length

    @property
    def short_name(self) -> str:
        """The name for people elsewhere: of a folder its last part, of a hub id all.

        >>> EncoderIdentity("/home/ann/models/adapted", 2, 8, "mean", True, "", "fp32", "", "", "").short_name
        'adapted'
        """
        return shorten_model_name(self.model)

    def __str__(self) -> str:
        digests = f"fingerprint {self.fingerprint[:12]}, weights {self.weights_sha256[:12]}"
        return f"{self.model} ({self.precision}, {self.recipe!r}, {digests})"


def build_identity(content: Mapping[str, Any]) -> EncoderIdentity:
    """Return the identity that asdict gave, from JSON."""
    tower = content.get("query_tower")
    return EncoderIdentity(**{**content, "query_tower": QueryTower(**tower) if tower else None})


def shorten_model_name(model: str) -> str:
    """Return the name of a model for people elsewhere: of a folder its last part, of a hub id all."""
    is_folder = model.startswith(("/", ".", "~")) or model.count("/") > 1
    return Path(model).name if is_folder else model
