"""The original model on torch: the reference for exports and for other ways to run the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

from engine.encode.folder import TOKENIZER
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity, Vectors

logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class TransformerEncoder:
    """A sentence-transformers folder on one device, in fp32."""

    def __init__(self, folder: Path, identity: EncoderIdentity, device: str) -> None:
        """Load the weights, from local safetensors files only.

        Raises:
            EncoderError: the device is not available, or sentence-transformers can't load the folder.
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
        except Exception as err:  # sentence-transformers and transformers raise many types
            raise EncoderError(f"{folder} can't be loaded: {str(err).splitlines()[0]}") from err
        self._identity = identity

    def write_tokenizer(self, folder: Path) -> Path:
        """Write tokenizer.json as the model uses it, with the settings of its tokenizer_config.json.

        Raises:
            EncoderError: the tokenizer of the model can't be written as tokenizer.json.
        """
        path = folder / TOKENIZER
        try:
            path.write_text(self.model.tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        except AttributeError as err:
            raise EncoderError(f"{self._identity.model} has no fast tokenizer, expected a tokenizer.json") from err
        return path

    def encode_reference(self, texts: Sequence[str]) -> Vectors:
        """Encode texts with sentence-transformers itself, tokenizer included: float32 (n, dim), unit length."""
        vectors: Vectors = self.model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return vectors

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        return self._identity
