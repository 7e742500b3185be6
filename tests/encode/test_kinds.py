"""Every kind of model gives the vectors of sentence-transformers, for documents and for queries."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [cpu] extra")

from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.model import identify
from engine.encode.original.export import export_encoder
from engine.encode.texts.probes import PROBES
from tests.encode.kinds import KINDS

TEXTS = (*PROBES, "knee pain and gout in runners, " * 30)


# The others differ from one of these in one value only.
IN_GATE = {
    "prompts", "matryoshka", "several poolings", "prompt left out of the first", "layer norm", "last token", "gemma",
    "static", "model2vec", "router",
}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [kind if kind in IN_GATE else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_vectors_are_those_of_sentence_transformers(kind: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder, target = tmp_path / "model", tmp_path / "exported"
    KINDS[kind](folder)
    target.mkdir()
    identity = identify(folder, kind)
    export_encoder(folder, identity, target)
    original, encoder = SentenceTransformer(str(folder), device="cpu"), OnnxEncoder(target)
    for ours, theirs in (
        (encoder.encode(TEXTS), original.encode_document(list(TEXTS), normalize_embeddings=True)),
        (encoder.encode_queries(TEXTS), original.encode_query(list(TEXTS), normalize_embeddings=True)),
    ):
        assert ours.vectors.shape == theirs.shape == (len(TEXTS), identity.dim)
        assert float((ours.vectors * theirs.astype(np.float32)).sum(axis=1).min()) >= 0.9999
        assert np.abs(np.linalg.norm(ours.vectors, axis=1) - 1).max() < 1e-5
