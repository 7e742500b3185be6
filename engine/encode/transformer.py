"""The original model on torch: what an export, or another way to run the same weights, is checked against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

from engine.encode.receipt import TOKENIZER
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity, Vectors

logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class TransformerEncoder:
    """A sentence-transformers folder on one device, in fp32."""

    def __init__(self, folder: Path, identity: EncoderIdentity, device: str) -> None:
        """Load the weights, from safetensors only and from this disk only.

        Raises:
            EncoderError: the device is not there, or sentence-transformers can't load the folder.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise EncoderError("no CUDA device is available here. Use --device cpu, or install the [gpu] extra")
        try:
            self.model = SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            ).eval()
        except Exception as err:  # sentence-transformers and transformers raise many kinds
            raise EncoderError(f"{folder} can't be loaded: {str(err).splitlines()[0]}") from err
        self._identity = identity

    def write_tokenizer(self, folder: Path) -> Path:
        """Write tokenizer.json as the model really uses it, its tokenizer_config.json taken into account.

        Raises:
            EncoderError: the model has a tokenizer that can't be written so.
        """
        path = folder / TOKENIZER
        try:
            path.write_text(self.model.tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        except AttributeError as err:
            raise EncoderError(f"{self._identity.model} has no fast tokenizer, expected a tokenizer.json") from err
        return path

    def encode_reference(self, texts: Sequence[str]) -> Vectors:
        """Encode texts by sentence-transformers itself, tokenizer included: float32 (n, dim), unit length."""
        vectors: Vectors = self.model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return vectors

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors are."""
        return self._identity
