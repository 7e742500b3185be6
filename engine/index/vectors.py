"""The vectors of a generation, opened for searching."""

from __future__ import annotations

import numpy as np

from engine.index.flat import FlatIndex
from engine.index.folder import Generation
from engine.index.parts import Part, SegmentedIndex


def open_vectors(generation: Generation, device: str = "cpu") -> SegmentedIndex:
    """Open the vectors of a checked generation for searching; on "cuda", unfiltered ones run on the GPU and are exact.

    Raises:
        CorruptError: a file does not match the manifest.
        ConfigError: there is no GPU.
    """
    parts, dim = [Part(_open_part(generation), np.empty(0, np.int64))], generation.manifest.encoder.dim
    if device != "cuda":
        return SegmentedIndex(parts, dim)
    from engine.index.gpu import GpuIndex, open_gpu_scanner

    return GpuIndex(parts, dim, open_gpu_scanner)


def _open_part(generation: Generation) -> FlatIndex:
    """Open the vectors of a generation, with their codes where it has some.

    Raises:
        CorruptError: a file does not match the manifest.
    """
    dim, ann = generation.manifest.encoder.dim, generation.manifest.ann
    if ann is None:
        return FlatIndex(generation.vectors, dim)
    from engine.index.ivf import IvfIndex  # imported here, since most indexes are exact

    return IvfIndex(generation.vectors, generation.codes, dim, ann)
