"""Export of a model folder to ONNX, with a check that the vectors stay the same. Needs torch; searching does not."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel

from engine.encode.folder import GRAPH, WEIGHTS, write_receipt
from engine.encode.onnx import OnnxEncoder
from engine.encode.probes import PROBES
from engine.encode.runtime import onnxruntime
from engine.encode.transformer import TransformerEncoder
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity

_MAX_DIFFERENCE = 1e-4  # of any component of a probe's vector, exported against original
_MIN_COSINE = 0.97  # of a probe's vector at int8 and at fp32; below it, quantisation has gone wrong
_INT8 = "int8"
OPSET = 17


class _TokenStates(torch.nn.Module):
    """The transformer without pooling: token ids to last hidden states."""

    def __init__(self, model: torch.nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Map inputs, (n, length) int64 each, to states (n, length, dim) float32."""
        states: torch.Tensor = self.model(**dict(zip(self.inputs, values, strict=True))).last_hidden_state
        return states


def export_encoder(folder: Path, identity: EncoderIdentity, target: Path) -> None:
    """Write tokenizer.json, encoder.onnx, encoder.data and encoder.json into an existing empty folder and check them.

    Raises:
        EncoderError: the vectors of the exported encoder differ from those of the original.
    """
    original = TransformerEncoder(folder, identity, "cpu")
    original.write_tokenizer(target)
    with tempfile.TemporaryDirectory(dir=target) as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of constants; the probes below check the result
        plain, fused = Path(scratch, "plain.onnx"), Path(scratch, "fused.onnx")
        _write_graph(folder, plain)
        fuse_graph(folder, plain, fused)
        if identity.precision == _INT8:
            quantise_graph(fused)
        optimise_graph(fused, target / GRAPH)
    write_receipt(target, identity)
    _check_export(original, target)


def _write_graph(folder: Path, path: Path) -> None:
    """Trace the transformer with the legacy exporter and eager attention, whose graph can be fused."""
    model = AutoModel.from_pretrained(
        str(folder), attn_implementation="eager", use_safetensors=True, local_files_only=True, dtype=torch.float32
    ).eval()
    kinds = getattr(model.config, "type_vocab_size", 0)
    inputs = ("input_ids", "attention_mask", *(("token_type_ids",) if kinds else ()))
    ids = torch.ones(2, 8, dtype=torch.long)
    values = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(inputs)]
    axes = {0: "texts", 1: "tokens"}
    with torch.no_grad():
        torch.onnx.export(
            _TokenStates(model, inputs),
            values,
            str(path),
            input_names=list(inputs),
            output_names=["token_embeddings"],
            dynamic_axes=dict.fromkeys((*inputs, "token_embeddings"), axes),
            opset_version=OPSET,
            dynamo=False,
        )


def fuse_graph(folder: Path, plain: Path, fused: Path) -> None:
    """Fuse attention, layer norms and GELU of BERT-like graphs; leave other families unchanged."""
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
    if config.model_type != "bert":
        fused.write_bytes(plain.read_bytes())
        return
    from onnxruntime.transformers.optimizer import optimize_model  # must follow the import of runtime

    optimised = optimize_model(
        str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size, opt_level=1
    )
    optimised.save_model_to_file(str(fused))


def quantise_graph(graph: Path) -> None:
    """Quantise the weights of all matrix products to int8, in place; activations are scaled at run time, per text.

    Scales per channel keep the cosine to fp32 above 0.99. Seven bits instead of eight prevent an overflow on processors
    without VNNI, so that all machines give the same vectors. Embeddings are not quantised: they cost no time.
    """
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic  # must follow the import of runtime

    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # it suggests a step that `fuse_graph` has taken
    try:
        quantize_dynamic(
            str(graph),
            str(graph),
            op_types_to_quantize=["MatMul", "Attention"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
    finally:
        root.setLevel(before)


def optimise_graph(fused: Path, graph: Path) -> None:
    """Write the graph as ONNX Runtime optimises it, at a level that any machine can load."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(graph)
    # Weights in a separate file are mapped, not parsed: a cold search starts 0.1 s sooner.
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(fused), options, providers=["CPUExecutionProvider"])


def _check_export(original: TransformerEncoder, target: Path) -> None:
    """Compare the exported encoder, tokenizer included, with sentence-transformers' own encode on the probe texts.

    Raises:
        EncoderError: a component differs by _MAX_DIFFERENCE or more; at int8, a cosine is below _MIN_COSINE.
    """
    exported, expected = OnnxEncoder(target).encode(PROBES).vectors, original.encode_reference(PROBES)
    if original.identity.precision == _INT8:
        if not (cosine := float((exported * expected).sum(axis=1).min())) >= _MIN_COSINE:
            raise EncoderError(
                f"{original.identity.model}: at int8 a probe's vector has cosine {cosine:.3f} to that at fp32, "
                f"expected {_MIN_COSINE} or more. Use --precision fp32"
            )
        return
    difference = float(np.abs(expected - exported).max())
    if not difference < _MAX_DIFFERENCE:
        raise EncoderError(
            f"{original.identity.model}: the exported encoder differs from the original by {difference:.2g}, "
            f"expected less than {_MAX_DIFFERENCE:g}. This model can't be used here"
        )
