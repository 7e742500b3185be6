"""An exported encoder on OpenVINO in bfloat16. Needs neither torch nor the original model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from engine.encode.models.folder import GRAPH
from engine.encode.models.pooling import pool_states
from engine.encode.texts.tokens import Tokens
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity, Vectors


def _load_openvino() -> Any:
    """Import OpenVINO without its telemetry, which reports each import.

    OpenVINO has a stub for the case that the package is missing.
    """
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # import raises ImportError
    import openvino

    return openvino


class OpenVinoRunner:
    """A graph compiled for this processor. Each text runs alone, without padding; one on each core at a time."""

    def __init__(self, folder: Path, identity: EncoderIdentity, n_cores: int) -> None:
        """Read and compile the graph of an exported encoder.

        Raises:
            EncoderError: OpenVINO can't run the graph.
            ImportError: OpenVINO is not installed.
        """
        openvino = _load_openvino()
        self._pooling, self._dim = identity.pooling, identity.dim
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "NUM_STREAMS": n_cores,
            "INFERENCE_NUM_THREADS": n_cores,
            "PERFORMANCE_HINT": "THROUGHPUT",
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(str(folder / GRAPH)), "CPU", settings)
            self._queue: Any = openvino.AsyncInferQueue(compiled, n_cores)
        except Exception as err:  # its errors share no base but RuntimeError and Exception
            raise EncoderError(f"OpenVINO can't run {folder / GRAPH}: {str(err).splitlines()[-1]}") from err
        self._names = {name for node in compiled.inputs for name in node.get_names()}

    def encode(self, tokens: Tokens) -> Vectors:
        """Encode the tokens of n texts: float32 (n, dim), unit length, in the order of the texts.

        Raises:
            RuntimeError: OpenVINO failed on a text.
        """
        vectors = np.zeros((len(tokens.n_tokens), self._dim), np.float32)

        def keep(request: Any, position: int) -> None:
            vectors[position] = pool_states(request.get_output_tensor(0).data[0], self._pooling)

        self._queue.set_callback(keep)
        for position in np.argsort(-tokens.lengths, kind="stable").tolist():
            ids = tokens.get_row(position).astype(np.int64)[None]
            feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            self._queue.start_async({name: feeds[name] for name in self._names}, position)
        self._queue.wait_all()
        return vectors

    def close(self) -> None:
        """Release the compiled graph."""
        del self._queue
