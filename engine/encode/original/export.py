"""Export of a model folder to ONNX, with a check that the vectors stay the same. Needs torch; searching does not."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModel

from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.execution.runtime import onnxruntime
from engine.encode.models.folder import DOCUMENTS, QUERIES, TowerFiles, write_receipt
from engine.encode.original.transformer import TransformerEncoder
from engine.encode.texts.probes import PROBES
from engine.errors import EncoderError
from engine.platform import is_disk_full
from engine.records.encoder import EncoderIdentity, Vectors

_MAX_DIFFERENCE = 1e-4  # of any component of a probe's vector, exported against original
_MIN_COSINE = 0.97  # of a probe's vector at int8 and at fp32; below it, quantisation has gone wrong
_INT8 = "int8"
_OPSET = 17
_IDS = torch.ones(2, 8, dtype=torch.long)  # what is traced; both lengths may vary
_STATES = "token_embeddings"
_VARIED = {0: "texts", 1: "tokens"}


class TransformerOutput(torch.nn.Module):
    """A transformer that gives one of its outputs: "last_hidden_state", or the "logits" of a classifier."""

    def __init__(self, model: torch.nn.Module, inputs: Iterable[str], output: str) -> None:
        """Take a model with the names of its inputs, in the order of the call."""
        super().__init__()
        self.model = model
        self.inputs = tuple(inputs)
        self.output = output

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """Map inputs, (n, length) int64 each, to states (n, length, dim) or logits (n, labels), float32."""
        found: torch.Tensor = getattr(self.model(**dict(zip(self.inputs, values, strict=True))), self.output)
        return found


class _BothWays(torch.nn.Module):
    """A Gemma whose tokens attend both ways. The tracer can't follow its masks, so they are made here."""

    def __init__(self, model: torch.nn.Module, window: int) -> None:
        super().__init__()
        self.model = model
        self.window = window

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ids and mask, (n, length) int64 each, to states (n, length, dim) float32."""
        places = torch.arange(ids.shape[1])
        near = (places[:, None] - places[None, :]).abs() < self.window
        seen = mask[:, None, None, :].bool() & torch.ones_like(near)
        masks = {
            name: torch.zeros_like(allowed, dtype=torch.float32).masked_fill(~allowed, torch.finfo(torch.float32).min)
            for name, allowed in (("full_attention", seen), ("sliding_attention", seen & near))
        }
        states: torch.Tensor = self.model(input_ids=ids, attention_mask=masks).last_hidden_state
        return states


class _Head(torch.nn.Module):
    """The modules after pooling: pooled states to vectors."""

    def __init__(self, modules: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(modules)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Map pooled states (n, width) to vectors (n, dim), both float32."""
        features = {"sentence_embedding": pooled}
        for part in self.parts:
            features = part(features)
        return features["sentence_embedding"]


class _Lookup(torch.nn.Module):
    """Static embeddings without pooling: token ids to their embeddings."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(weights.detach(), requires_grad=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Map ids (n, length) int64 to embeddings (n, length, dim) float32."""
        return torch.nn.functional.embedding(ids, self.weights)


def export_encoder(folder: Path, identity: EncoderIdentity, target: Path) -> None:
    """Write tokenizer, graphs, weights and encoder.json into an existing empty folder and check them.

    Raises:
        EncoderError: the model can't be exported, or the vectors of the exported encoder differ from its own.
        OSError: the disk is full.
    """
    original = TransformerEncoder(folder, identity, "cpu")
    _export_tower(original, target, DOCUMENTS, as_query=False)
    if original.queries is not None:
        _export_tower(original, target, QUERIES, as_query=True)
    write_receipt(target, identity)
    _check_export(original, target)


def _export_tower(original: TransformerEncoder, target: Path, files: TowerFiles, *, as_query: bool) -> None:
    """Write the files of one tower.

    Raises:
        EncoderError: torch can't export the model.
        OSError: the disk is full.
    """
    original.write_tokenizer(target, files.tokenizer, as_query=as_query)
    tower = original.queries if as_query and original.queries else original.documents
    start, *rest = original.list_modules(as_query=as_query)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of constants; the probes below check the result
            if tower.is_static:
                write, to_fuse = partial(_write_lookup, start.embedding.weight), None
            else:
                write, to_fuse = partial(_write_states, tower.start.path), tower.start.path
            build_graph(write, target / files.graph, files.weights, original.identity.precision, to_fuse)
            if any(module.kind != "Normalize" for module in tower.head):
                head = rest if tower.is_static else rest[1:]
                pooled = torch.zeros(2, _count_pooled(start, tower.pooling))
                write_graph(_Head(head), {"pooled": pooled}, "vectors", target / files.head, axes={0: "texts"})
    except EncoderError:
        raise
    except Exception as err:  # torch and onnx raise many types
        if is_disk_full(err):
            raise
        reason = str(err).strip().split("\n")[0][:200] or repr(err)
        raise EncoderError(
            f"{original.identity.model} can't be exported ({reason}). Choose another model: engine models"
        ) from err


def _count_pooled(start: Any, pooling: str) -> int:
    """Return the number of components of pooled states."""
    return int(start.get_embedding_dimension()) * len(pooling.split("+"))


def build_graph(
    write: Callable[[Path], None], graph: Path, weights: str, precision: str, transformer: Path | None
) -> None:
    """Write a graph as ONNX Runtime optimises it, after it was traced, fused and, at int8, quantised.

    write: writes the plain graph to a path. transformer: the folder of the model to fuse; None if there is nothing to
    fuse. The tracer warns of constants; ignore that, and compare the result with the original.
    """
    with tempfile.TemporaryDirectory(dir=graph.parent) as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, fused = Path(scratch, "plain.onnx"), Path(scratch, "fused.onnx")
        write(plain)
        if transformer is None:
            fused = plain
        else:
            _fuse_graph(transformer, plain, fused)
        if precision == _INT8:
            _quantise_graph(fused)
        _optimise_graph(fused, graph, weights)


def write_graph(
    model: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    output: str,
    path: Path,
    *,
    axes: Mapping[int, str] | None = None,
    output_axes: Mapping[int, str] | None = None,
) -> None:
    """Trace a model with the legacy exporter and write it as ONNX; by default texts and tokens may vary in number.

    axes: what varies of the inputs, and of the output unless output_axes says otherwise.
    """
    varied = dict(axes or _VARIED)
    with torch.no_grad():
        torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes=dict.fromkeys(inputs, varied) | {output: dict(output_axes or varied)},
            opset_version=_OPSET,
            dynamo=False,
        )


def _write_lookup(weights: torch.Tensor, path: Path) -> None:
    """Trace static embeddings."""
    write_graph(_Lookup(weights), {"input_ids": _IDS}, _STATES, path)


def make_inputs(*, takes_kinds: bool) -> dict[str, torch.Tensor]:
    """Return the inputs of a transformer that it is traced with: ids, mask and, if it takes them, kinds of token."""
    inputs = {"input_ids": _IDS, "attention_mask": torch.ones_like(_IDS)}
    return inputs | ({"token_type_ids": torch.zeros_like(_IDS)} if takes_kinds else {})


def _write_states(folder: Path, path: Path) -> None:
    """Trace a transformer with eager attention, whose graph can be fused, up to its last hidden states."""
    model = AutoModel.from_pretrained(
        str(folder), attn_implementation="eager", use_safetensors=True, local_files_only=True, dtype=torch.float32
    ).eval()
    model.config.use_cache = False
    inputs = make_inputs(takes_kinds=bool(getattr(model.config, "type_vocab_size", 0)))
    if getattr(model.config, "use_bidirectional_attention", False):
        write_graph(_BothWays(model, int(model.config.sliding_window)), inputs, _STATES, path)
    else:
        write_graph(TransformerOutput(model, inputs, "last_hidden_state"), inputs, _STATES, path)


def _fuse_graph(folder: Path, plain: Path, fused: Path) -> None:
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


def _quantise_graph(graph: Path) -> None:
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


def _optimise_graph(fused: Path, graph: Path, weights: str) -> None:
    """Write the graph as ONNX Runtime optimises it, at a level that any machine can load, with weights of this name."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(graph)
    # Weights in a separate file are mapped, not parsed: a cold search starts 0.1 s sooner.
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", weights)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(fused), options, providers=["CPUExecutionProvider"])


def _check_export(original: TransformerEncoder, target: Path) -> None:
    """Compare the exported encoder, tokenizer included, with sentence-transformers' own encode on the probe texts.

    Raises:
        EncoderError: a component differs by _MAX_DIFFERENCE or more; at int8, a cosine is below _MIN_COSINE.
    """
    exported = OnnxEncoder(target)
    for as_query in (False, True):
        encode = exported.encode_queries if as_query else exported.encode
        _compare(original, encode(PROBES).vectors, original.encode_reference(PROBES, as_query=as_query))
    exported.close()


def _compare(original: TransformerEncoder, found: Vectors, expected: Vectors) -> None:
    """Compare vectors of the probes.

    Raises:
        EncoderError: as _check_export.
    """
    if original.identity.precision == _INT8:
        if not (cosine := float((found * expected).sum(axis=1).min())) >= _MIN_COSINE:
            raise EncoderError(
                f"{original.identity.model}: at int8 a probe's vector has cosine {cosine:.3f} to that at fp32, "
                f"expected {_MIN_COSINE} or more. Use --precision fp32"
            )
        return
    difference = float(np.abs(expected - found).max())
    if not difference < _MAX_DIFFERENCE:
        raise EncoderError(
            f"{original.identity.model}: the exported encoder differs from the original by {difference:.2g}, "
            f"expected less than {_MAX_DIFFERENCE:g}. This model can't be used here"
        )
