"""Open the vectors of a generation as what they are."""

from __future__ import annotations

from engine.index.flat import FlatIndex
from engine.index.folder import Generation


def open_vectors(generation: Generation, device: str = "cpu") -> FlatIndex:
    """The vectors of a checked generation, ready to be searched; on "cuda" unfiltered searches are exact, on the GPU.

    Raises:
        CorruptError: a file is not what the manifest says.
        ConfigError: there is no GPU.
    """
    dim, ann = generation.manifest.encoder.dim, generation.manifest.ann
    if ann is None:
        found = FlatIndex(generation.vectors, dim)
    else:
        from engine.index.ivf import IvfIndex  # most indexes are smaller

        found = IvfIndex(generation.vectors, generation.codes, dim, ann)
    if device != "cuda":
        return found
    from engine.index.gpu import GpuIndex, open_gpu_scanner

    return GpuIndex(generation.vectors, dim, found, open_gpu_scanner)
