"""The ways to run an encoder on a CPU that may be faster than ONNX Runtime in fp32, and whether they can run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.encode.cpu.runners import CpuRunner
from engine.encode.execution.processor import read_flags
from engine.records.encoder import EncoderIdentity

# Processors with one of these compute in bfloat16 by themselves; on others it is far slower than fp32. The last is
# ARM's.
_HALF_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to run an encoder that takes part in the contest."""

    name: str  # for people, and in the manifest
    library: str  # the distribution that it needs
    open: Callable[[], CpuRunner]

    @property
    def version(self) -> str | None:
        """The installed version of its library; None if it is not installed."""
        return read_library_version(self.library)


@cache
def read_library_version(library: str) -> str | None:
    """Return the installed version of a distribution, without importing it; None if it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def list_contestants(
    folder: Path, identity: EncoderIdentity, find_model: Callable[[], Path], n_cores: int
) -> list[Contestant]:
    """List the ways that may be faster than ONNX Runtime at fp32 here; none for an encoder that is not plain.

    Args:
        folder: the exported encoder.
        identity: of the encoder.
        find_model: returns the folder of the original model; raises EncoderError if it is not there.
        n_cores: to use.
    """
    if not identity.is_plain or identity.precision != "fp32" or _HALF_FLAGS.isdisjoint(read_flags()):
        return []
    every = list_half(folder, identity, find_model, n_cores)
    return [contestant for contestant in every if contestant.version]


def list_half(
    folder: Path, identity: EncoderIdentity, find_model: Callable[[], Path], n_cores: int
) -> list[Contestant]:
    """List all ways to compute in bfloat16, whether or not this machine has what they need."""

    def open_openvino() -> CpuRunner:
        from engine.encode.cpu.openvinorunner import OpenVinoRunner

        return OpenVinoRunner(folder, identity, n_cores)

    def open_torch() -> CpuRunner:
        model = find_model()  # before torch is imported, which takes seconds
        from engine.encode.cpu.torchrunner import open_torch_runner

        return open_torch_runner(model, identity, n_cores)

    return [
        Contestant("OpenVINO bfloat16", "openvino", open_openvino),
        Contestant("torch bfloat16", "torch", open_torch),
    ]
