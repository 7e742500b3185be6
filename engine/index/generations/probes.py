"""The probes of a generation: fixed texts with the vectors that its encoder gave them, for deep checks.

The file is an uncompressed archive of NumPy arrays, read without pickle: texts (n,), vectors float32 (n, dim).
Generations of one encoder share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.errors import CorruptError
from engine.index.files.arrays import read_arrays, write_arrays
from engine.index.generations.folder import Generation
from engine.records.encoder import Vectors


def write_probes(path: Path, texts: Sequence[str], vectors: Vectors) -> None:
    """Write and fsync probes.

    Raises:
        OSError: the disk is full or broken.
    """
    write_arrays(path, {"texts": np.array(texts, np.str_), "vectors": vectors.astype("<f4")})


def read_probes(generation: Generation) -> tuple[tuple[str, ...], Vectors]:
    """Return the texts and vectors (n, dim) of the probes; an older generation has them in its manifest.

    Raises:
        CorruptError: they can't be read, or there is not one vector for each text.
    """
    if probes := generation.manifest.probes:
        return tuple(probe.text for probe in probes), np.array([probe.vector for probe in probes], np.float32)
    arrays = read_arrays(generation.probes, ("texts", "vectors"))
    texts, vectors = arrays["texts"], arrays["vectors"]
    if vectors.shape != (len(texts), generation.manifest.encoder.dim):
        raise CorruptError(f"{generation.probes} holds arrays whose shapes don't match. Run: engine verify")
    return tuple(texts.tolist()), vectors
