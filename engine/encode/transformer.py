"""The original model on torch: indexing on a CUDA device, and the reference that an export is checked against."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

from engine.encode.saved import TOKENIZER
from engine.encode.tokens import TextTokenizer
from engine.errors import EncoderError
from engine.records import Encoded, EncoderIdentity, Vectors

BATCH = 64  # texts in one padded batch

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
                str(folder), device=device, local_files_only=True, model_kwargs={"use_safetensors": True}
            ).eval()
        except Exception as err:  # sentence-transformers and transformers raise many kinds
            raise EncoderError(f"{folder} can't be loaded: {str(err).splitlines()[0]}") from err
        self._identity = identity
        self.device = device
        with tempfile.TemporaryDirectory() as scratch:
            self.tokenizer = TextTokenizer(self.write_tokenizer(Path(scratch)), identity.max_length)

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

    def reference(self, texts: Sequence[str]) -> Vectors:
        """What sentence-transformers itself makes of texts, tokenizer included: float32 (n, dim), unit length."""
        vectors: Vectors = self.model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return vectors

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors are."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order given. Batches are of like length.

        Raises:
            EncoderError: torch failed, for want of memory for example.
        """
        tokens = self.tokenizer.tokenise(texts)
        order = sorted(range(len(texts)), key=lambda i: len(tokens.ids[i]))
        vectors = np.empty((len(texts), self._identity.dim), np.float32)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            try:
                vectors[batch] = self.embed([tokens.ids[i] for i in batch])
            except RuntimeError as err:
                reason = str(err).splitlines()[0]
                raise EncoderError(
                    f"{self._identity.model} failed on {self.device}: {reason}. Try --device cpu"
                ) from err
        return Encoded(vectors, tokens.n_tokens)

    def embed(self, ids: Sequence[list[int]]) -> Vectors:
        """Run one padded batch: float32 (n, dim)."""
        longest = max(map(len, ids))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids], device=self.device)
        features = {"input_ids": padded, "attention_mask": mask, "token_type_ids": torch.zeros_like(padded)}
        with torch.inference_mode():
            out = self.model(features)["sentence_embedding"]
        unit: Vectors = torch.nn.functional.normalize(out.float(), dim=1).cpu().numpy()
        return unit
