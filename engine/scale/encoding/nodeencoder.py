"""The encoder that a node opens: on a GPU where the nodes have GPUs, on one core otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import check_ray_node
from engine.encode.execution.encoder import Encoder
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.execution.threads import get_default_layout
from engine.encode.models.folder import check_encoder
from engine.errors import EncoderError, EngineError
from engine.records.encoder import EncoderIdentity
from engine.reindex.encoding.encoders import Choice, open_on_gpu


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """What every node opens."""

    folder: str  # of the exported encoder, at the same path on all nodes
    identity: EncoderIdentity
    device: str = "cpu"  # "cuda": a GPU, or an error; "auto": a GPU, or a core where the GPU can't be used
    exact: bool = False  # compute in fp32, whatever would be faster


@dataclass(frozen=True, slots=True)
class Seats:
    """The workers that a cluster has room for."""

    count: int
    needs: Mapping[str, Any]  # what Ray keeps for each of them
    device: str  # as NodeSetup


def choose_seats(resources: Mapping[str, float], identity: EncoderIdentity, device: str) -> Seats:
    """Choose one worker for each GPU of a cluster, or, where there is none, for each core.

    resources: of all nodes, by name; "CPU" and "GPU" count.
    device: "auto", "cpu" or "cuda".

    Raises:
        EncoderError: the cluster has no such device, or the encoder can't run on it.
    """
    n_gpus, is_int8 = int(resources.get("GPU", 0)), identity.precision == "int8"
    if device not in ("auto", "cpu") and (device != "cuda" or is_int8 or not n_gpus):
        what = "an int8 encoder runs on a CPU only" if is_int8 else f"no node of the cluster has the device {device}"
        raise EncoderError(f"{what}. Use --device cpu")
    if device == "cpu" or is_int8 or not n_gpus:
        return Seats(max(1, int(resources.get("CPU", 0))), {"num_cpus": 1}, "cpu")
    return Seats(n_gpus, {"num_cpus": 1, "num_gpus": 1}, device)


def open_node_encoder(setup: NodeSetup) -> Encoder:
    """Open the encoder on this node.

    Raises:
        ConfigError: the node asks nobody for a token.
        EncoderMismatchError: the folder on this node holds another encoder.
        CorruptError: a file of it differs by a byte from what was exported.
        EngineError: it can't be loaded, or not on the device that was asked for.
    """
    check_ray_node()
    folder = Path(setup.folder)
    check_encoder(folder, setup.identity)
    if setup.device != "cpu":
        try:
            return open_on_gpu(Choice(setup.identity, None, setup.exact), "cuda")
        except EngineError:
            if setup.device == "cuda":
                raise
    return OnnxEncoder(folder, get_default_layout(1))
