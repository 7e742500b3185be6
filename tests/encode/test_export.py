"""The exported encoder against the original, on the real weights and on the toy."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from engine.encode.model import identify
from engine.encode.onnx import OnnxEncoder
from engine.encode.probes import PROBES
from engine.index.folder import IndexFolder
from tests.conftest import TOY_MODEL, V1


@pytest.fixture(scope="module")
def exported(sample: IndexFolder) -> OnnxEncoder:
    """The real weights as exported for the sample index."""
    (folder,) = (sample.path / "encoders").iterdir()
    return OnnxEncoder(folder)


def test_same_space_as_the_reference(exported: OnnxEncoder, model_folder: Path, shared: Path) -> None:
    from sentence_transformers import SentenceTransformer, util

    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(300)]
    texts = [". ".join(filter(None, (row["title"], row["abstract"]))) for row in rows]
    queries = [row["title"] for row in rows[:50]]
    reference = SentenceTransformer(str(model_folder), device="cpu")
    theirs, their_queries = reference.encode(texts), reference.encode(queries)
    ours, our_queries = exported.encode(texts).vectors, exported.encode(queries).vectors
    assert (ours * theirs).sum(axis=1).min() >= 0.9999
    for query, wanted in zip(our_queries, util.semantic_search(their_queries, theirs, top_k=10), strict=True):
        scores = ours @ query
        mine = np.argsort(-scores, kind="stable")[:10]
        cut = wanted[-1]["score"]
        assert {int(i) for i in mine if scores[i] > cut + 1e-5} <= {hit["corpus_id"] for hit in wanted}
        assert np.allclose(scores[mine], [hit["score"] for hit in wanted], atol=1e-5)


def test_vectors_do_not_depend_on_company(exported: OnnxEncoder) -> None:
    together = exported.encode(PROBES).vectors
    alone = np.vstack([exported.encode([text]).vectors for text in PROBES])
    assert np.array_equal(together, alone)


def test_vectors_honour_the_contract(exported: OnnxEncoder) -> None:
    encoded = exported.encode(PROBES)
    assert encoded.vectors.shape == (len(PROBES), 384)
    assert encoded.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-6)
    assert exported.encode([]).vectors.shape == (0, 384)


def test_the_graph_is_fused(exported: OnnxEncoder, sample: IndexFolder) -> None:
    import onnx

    (folder,) = (sample.path / "encoders").iterdir()
    kinds = [node.op_type for node in onnx.load(folder / "encoder.onnx", load_external_data=False).graph.node]
    assert kinds.count("Attention") == 6
    assert kinds.count("SkipLayerNormalization") == 12


def test_a_fresh_export_of_the_toy_gives_the_committed_vectors(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    from engine.encode.export import export_encoder

    identity = identify(TOY_MODEL, "toy")
    export_encoder(TOY_MODEL, identity, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "encoder.data",
        "encoder.json",
        "encoder.onnx",
        "tokenizer.json",
    ]
    (committed,) = (V1 / "encoders").iterdir()
    ours, theirs = OnnxEncoder(tmp_path).encode(PROBES).vectors, OnnxEncoder(committed).encode(PROBES).vectors
    assert np.abs(ours - theirs).max() < 1e-5


def test_an_export_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    from engine.encode import export
    from engine.errors import EncoderError

    monkeypatch.setattr(export, "MAX_DIFFERENCE", 0.0)
    with pytest.raises(EncoderError, match="the exported encoder differs from the original"):
        export.export_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"), tmp_path)


def test_the_original_on_torch_gives_the_same_vectors(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    from engine.encode.transformer import TransformerEncoder
    from engine.errors import EncoderError

    (committed,) = (V1 / "encoders").iterdir()
    texts = [*PROBES, "knee " * 500] * 20
    original = TransformerEncoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "cpu").encode(texts)
    exported = OnnxEncoder(committed).encode(texts)
    assert np.abs(original.vectors - exported.vectors).max() < 1e-5
    assert np.array_equal(original.n_tokens, exported.n_tokens)
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(EncoderError, match="no CUDA device is available"):
            TransformerEncoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "cuda")
