"""The right index class for the vectors of a generation."""

from __future__ import annotations

from engine.index.flat import FlatIndex
from engine.index.folder import Generation


def open_vectors(generation: Generation, device: str = "cpu") -> FlatIndex:
    """Open the vectors of a checked generation for searching; on "cuda", unfiltered ones run on the GPU and are exact.

    Raises:
        CorruptError: a file does not match the manifest.
        ConfigError: there is no GPU.
    """
    dim, ann = generation.manifest.encoder.dim, generation.manifest.ann
    if ann is None:
        index = FlatIndex(generation.vectors, dim)
    else:
        from engine.index.ivf import IvfIndex  # imported here, since most indexes are exact

        index = IvfIndex(generation.vectors, generation.codes, dim, ann)
    if device != "cuda":
        return index
    from engine.index.gpu import GpuIndex, open_gpu_scanner

    return GpuIndex(generation.vectors, dim, index, open_gpu_scanner)
