"""Export of a cross-encoder to ONNX, with a check that the scores stay the same. Needs torch; searching does not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from transformers.utils import logging

from engine.encode.crossencoder.folder import seal_reranker
from engine.encode.crossencoder.runner import OnnxReranker
from engine.encode.models.folder import GRAPH, TOKENIZER, WEIGHTS
from engine.encode.original.export import TransformerOutput, build_graph, make_inputs, write_graph
from engine.encode.texts.probes import PROBES
from engine.errors import EncoderError
from engine.platform import is_disk_full
from engine.records.reranker import RerankerIdentity

_MAX_DIFFERENCE = 1e-4  # of any score of a probe, exported against original
_MIN_CORRELATION = 0.95  # of the scores of probes at int8 and at fp32; below it, quantisation has gone wrong
_QUERIES = (PROBES[0], PROBES[2], PROBES[6])
_TEXTS = (*PROBES, " ".join(PROBES), " ".join(PROBES * 40), "")  # one is longer than any model reads, one is empty

logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def export_reranker(folder: Path, identity: RerankerIdentity, target: Path) -> None:
    """Write tokenizer.json, encoder.onnx, encoder.data and reranker.json into an existing empty folder and check them.

    Raises:
        EncoderError: the model can't be loaded or exported, or the scores of the exported one differ from its own.
        OSError: the disk is full.
    """
    original = _load_original(folder, identity)
    (target / TOKENIZER).write_text(original.tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    try:
        build_graph(partial(_write_logits, original), target / GRAPH, WEIGHTS, identity.precision, folder)
    except Exception as err:  # torch and onnx raise many types
        if is_disk_full(err):
            raise
        reason = str(err).strip().split("\n")[0][:200] or repr(err)
        raise EncoderError(f"{identity.model} can't be exported: {reason}") from err
    seal_reranker(target, identity)
    _compare_scores(original, identity, target)


def _load_original(folder: Path, identity: RerankerIdentity) -> CrossEncoder:
    """Load a cross-encoder from local safetensors files only, in fp32, with the attention whose graph can be fused.

    Raises:
        EncoderError: sentence-transformers can't load it, or reads another limit of tokens than this engine.
    """
    settings = {"use_safetensors": True, "dtype": torch.float32, "attn_implementation": "eager"}
    try:
        model: CrossEncoder = CrossEncoder(str(folder), device="cpu", local_files_only=True, model_kwargs=settings)
    except Exception as err:  # sentence-transformers and transformers raise many types
        raise EncoderError(f"{folder} can't be loaded: {str(err).splitlines()[0]}") from err
    if model.max_seq_length != identity.max_length:
        raise EncoderError(
            f"{folder}: sentence-transformers reads {model.max_seq_length} tokens of a pair, expected "
            f"{identity.max_length}. Save it anew: CrossEncoder(OLD).save_pretrained(NEW)"
        )
    model.eval()
    return model


def _write_logits(original: CrossEncoder, path: Path) -> None:
    """Trace the classifier: token ids of pairs to one output each."""
    inputs = make_inputs(takes_kinds="token_type_ids" in original.tokenizer.model_input_names)
    classifier: Any = original.model
    model = TransformerOutput(classifier, inputs, "logits")
    write_graph(model, inputs, "logits", path, axes={0: "pairs", 1: "tokens"}, output_axes={0: "pairs"})


def _compare_scores(original: CrossEncoder, identity: RerankerIdentity, target: Path) -> None:
    """Compare the exported reranker, tokenizer included, with CrossEncoder.predict on probes.

    Raises:
        EncoderError: a score differs by _MAX_DIFFERENCE or more; at int8, the correlation is below _MIN_CORRELATION.
    """
    exported = OnnxReranker(target)
    found = np.concatenate([exported.score(query, _TEXTS)[0] for query in _QUERIES])
    exported.close()
    pairs = [(query, text) for query in _QUERIES for text in _TEXTS]
    expected: NDArray[np.float32] = original.predict(pairs, show_progress_bar=False, convert_to_numpy=True)
    if identity.precision == "int8":
        correlation = float(np.corrcoef(found, expected)[0, 1])
        if not correlation >= _MIN_CORRELATION:
            raise EncoderError(
                f"{identity.model}: at int8 the scores of probes correlate with those at fp32 by {correlation:.3f}, "
                f"expected {_MIN_CORRELATION} or more. Use --rerank-precision fp32"
            )
        return
    difference = float(np.abs(expected - found).max())
    if not difference < _MAX_DIFFERENCE:
        raise EncoderError(
            f"{identity.model}: the exported reranker differs from the original by {difference:.2g}, "
            f"expected less than {_MAX_DIFFERENCE:g}. This model can't be used here"
        )
