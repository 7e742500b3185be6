"""The exported encoder against the original, on the real weights and on the toy."""

import errno
import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine import open_index
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.model import identify
from engine.encode.models.recipe import prepare_text
from engine.encode.texts.probes import PROBES
from engine.errors import EngineError
from engine.index.generations.folder import IndexFolder
from engine.options import DEFAULT_MODEL, IndexSettings
from engine.query.index import get_generation
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from tests.conftest import CURRENT, TOY, TOY_MODEL, jsonl, silent


@pytest.fixture(scope="module")
def exported(sample: IndexFolder) -> OnnxEncoder:
    """The real weights as exported for the sample index."""
    (folder,) = (sample.path / "encoders").iterdir()
    return OnnxEncoder(folder)


@pytest.mark.parametrize("n", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_same_space_as_the_reference(
    sample: IndexFolder, model_folder: Path, shared: Path, tmp_path: Path, n: int
) -> None:
    """Real abstracts through the whole engine against sentence-transformers: vectors, and top 10 of some titles."""
    from sentence_transformers import SentenceTransformer, util

    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(n)]
    shutil.copytree(sample.path / "encoders", tmp_path / "indexes" / "sibling" / "encoders")  # not exported again
    folder = IndexFolder(tmp_path / "indexes" / "rheumatology")
    index_sources(folder, Order((jsonl(tmp_path / "rows.jsonl", rows),), IndexSettings(device="cpu")), silent)
    reference = SentenceTransformer(str(model_folder), device="cpu")
    theirs = reference.encode([". ".join(filter(None, (row["title"], row["abstract"]))) for row in rows])
    queries = [row["title"] for row in rows[: n // 6]]
    with open_index(folder.path) as index:
        stored = [get_generation(index).corpus.find_doc_id(row["id"]) for row in rows]
        ours = get_generation(index).vectors.get_points(np.array(stored))
        assert (ours * theirs).sum(axis=1).min() >= 0.9999
        found = index.search_batch(queries, top_k=10, mode="semantic")
    for hits, wanted in zip(found, util.semantic_search(reference.encode(queries), theirs, top_k=10), strict=True):
        names = {rows[hit["corpus_id"]]["id"]: hit["score"] for hit in wanted}
        assert [hit.score for hit in hits] == pytest.approx([hit["score"] for hit in wanted], abs=1e-5)
        assert all(hit.id in names or hit.score <= wanted[-1]["score"] + 1e-5 for hit in hits)  # up to ties


@pytest.mark.parametrize(
    ("name", "setting"),
    [("tokenizer_config.json", {"do_lower_case": False}), ("sentence_bert_config.json", {"do_lower_case": True})],
)
def test_settings_of_the_tokenizer_are_honoured_or_refused(tmp_path: Path, name: str, setting: dict[str, bool]) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    from sentence_transformers import SentenceTransformer

    from engine.encode.original.export import export_encoder
    from engine.errors import EncoderError

    model, target = Path(shutil.copytree(TOY_MODEL, tmp_path / "model")), tmp_path / "exported"
    target.mkdir()
    path = model / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **setting}))
    if name == "tokenizer_config.json":  # the tokenizer itself keeps case, and its settings are said to matter
        content = json.loads((model / "tokenizer.json").read_text())
        content["normalizer"]["lowercase"] = True
        (model / "tokenizer.json").write_text(json.dumps(content))
    else:
        content = json.loads((model / "tokenizer.json").read_text())
        content["normalizer"]["lowercase"] = False
        (model / "tokenizer.json").write_text(json.dumps(content))
    try:
        export_encoder(model, identify(model, "toy"), target)
    except EncoderError as err:
        assert "differs from the original" in str(err)
        return
    texts = ["Colchicine in GOUT", *PROBES]
    theirs = SentenceTransformer(str(model), device="cpu").encode(texts)
    assert np.abs(theirs - OnnxEncoder(target).encode(texts).vectors).max() < 1e-4


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
    from engine.encode.original.export import export_encoder

    identity, folder = identify(TOY_MODEL, "toy"), tmp_path / "encoder"
    folder.mkdir()
    export_encoder(TOY_MODEL, identity, folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "encoder.data",
        "encoder.json",
        "encoder.onnx",
        "tokenizer.json",
    ]
    (committed,) = (CURRENT / "encoders").iterdir()
    ours, theirs = OnnxEncoder(folder).encode(PROBES).vectors, OnnxEncoder(committed).encode(PROBES).vectors
    assert np.abs(ours - theirs).max() < 1e-5


def test_an_export_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    from engine.encode.original import export
    from engine.errors import EncoderError

    monkeypatch.setattr(export, "_MAX_DIFFERENCE", 0.0)
    with pytest.raises(EncoderError, match="the exported encoder differs from the original"):
        export.export_encoder(TOY_MODEL, identify(TOY_MODEL, "toy"), tmp_path)


def test_the_original_on_torch_gives_the_same_vectors(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [cpu] extra")
    from engine.encode.original.transformer import TransformerEncoder
    from engine.errors import EncoderError

    (committed,) = (CURRENT / "encoders").iterdir()
    texts = [*PROBES, "knee " * 500] * 20
    original = TransformerEncoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "cpu").encode_reference(texts)
    assert np.abs(original - OnnxEncoder(committed).encode(texts).vectors).max() < 1e-5
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(EncoderError, match="no CUDA device is available"):
            TransformerEncoder(TOY_MODEL, identify(TOY_MODEL, "toy"), "cuda")


@pytest.mark.slow
def test_int8_is_near_fp32_and_a_text_has_one_vector_whatever_its_neighbours(
    exported: OnnxEncoder, shared: Path, tmp_path: Path
) -> None:
    folder = IndexFolder(tmp_path / "indexes" / "int8")
    index_sources(folder, Order((TOY,), IndexSettings(model=DEFAULT_MODEL, device="cpu", precision="int8")), silent)
    (path,) = (folder.path / "encoders").iterdir()
    encoder = OnnxEncoder(path)
    assert (encoder.identity.precision, exported.identity.precision) == ("int8", "fp32")
    assert path.name == encoder.identity.fingerprint != exported.identity.fingerprint
    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(20)]
    texts = [prepare_text(row["title"], row["abstract"]) for row in rows]
    found = encoder.encode(texts).vectors
    cosines = (found * exported.encode(texts).vectors).sum(axis=1)
    assert cosines.mean() >= 0.993 and cosines.min() >= 0.98
    assert np.array_equal(encoder.encode(texts[:7][::-1]).vectors[::-1], found[:7])
    assert (path / "encoder.data").stat().st_size < 60e6 < (exported.folder / "encoder.data").stat().st_size


def test_a_full_disk_is_no_fault_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))

    monkeypatch.setattr("engine.encode.original.export.build_graph", fail)
    order = Order((TOY,), IndexSettings(model=str(TOY_MODEL), device="cpu"))
    with pytest.raises((EngineError, OSError), match="No space left") as caught:
        index_sources(IndexFolder(tmp_path / "indexes" / "new"), order, silent)
    assert "another model" not in str(caught.value)
