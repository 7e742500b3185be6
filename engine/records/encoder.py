"""Vectors, and what identifies the encoder that made them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

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
class EncoderIdentity:
    """Everything that changes a vector. Two encoders are the same one when their fingerprints are equal."""

    model: str  # the name it was requested by; not part of the fingerprint
    dim: int
    max_length: int  # tokens, special tokens included
    pooling: str  # "mean" or "cls"
    normalize: bool
    recipe: str  # how title and abstract become one text
    precision: str  # "fp32", or "int8" on a CPU; half precision with the same vectors counts as fp32
    weights_sha256: str
    tokenizer_sha256: str
    config_sha256: str

    @property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, of every field but the name."""
        fields = asdict(self)
        del fields["model"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

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


def shorten_model_name(model: str) -> str:
    """Return the name of a model for people elsewhere: of a folder its last part, of a hub id all."""
    is_folder = model.startswith(("/", ".", "~")) or model.count("/") > 1
    return Path(model).name if is_folder else model
