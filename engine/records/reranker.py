"""What identifies a reranker, the model of the second stage of a search."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from engine.records.encoder import shorten_model_name


@dataclass(frozen=True, slots=True)
class RerankerIdentity:
    """Everything that changes the score of a pair. Two rerankers are the same one when their fingerprints are equal."""

    model: str  # the name it was requested by; not part of the fingerprint
    max_length: int  # tokens of a pair, special tokens included
    activation: str  # "sigmoid" or "identity": what makes a score of the output
    recipe: str  # how title and abstract become one text
    precision: str  # "fp32" or "int8"
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
        """The name for people elsewhere: of a folder its last part, of a hub id all."""
        return shorten_model_name(self.model)

    def __str__(self) -> str:
        return f"{self.model} ({self.precision}, fingerprint {self.fingerprint[:12]})"
