"""The stored vectors of a generation: all of them, block by block, and those of some records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from engine.corpus.storage.resolution import resolve_ids
from engine.errors import AbstractNotFoundError
from engine.index.generations.vectorfolder import VectorBlock, VectorFacts, write_vector_folder
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import name_some
from engine.records.encoder import Vectors

_BLOCK = 4096  # records read at once


def export_vectors(
    snapshot: OpenGeneration, folder: Path, progress: Progress, kind: str = "npy", *, overwrite: bool
) -> VectorFacts:
    """Write all stored vectors to a folder, as they are, in the order of `engine export`; return what it holds.

    kind: "npy" or "parquet".

    Raises:
        UsageError: the folder can't be written to, or holds other files.
        MissingExtraError: Parquet is asked for, and pyarrow is not installed.
        EngineError: the disk is full, or another error of the system.
        CorruptError: a record has no vector.
    """
    manifest, vectors = snapshot.manifest, snapshot.vectors
    encoder = manifest.encoder
    facts = VectorFacts(
        index=snapshot.folder.name,
        generation=manifest.generation,
        model=encoder.short_name,
        fingerprint=encoder.fingerprint,
        recipe=encoder.recipe,
        dimension=encoder.dim,
        n_records=vectors.size,
        n_vectors=vectors.n_rows,
    )
    write_vector_folder(folder, facts, _scan_blocks(snapshot, progress), kind, overwrite=overwrite)
    return facts


def _scan_blocks(snapshot: OpenGeneration, progress: Progress) -> Iterator[VectorBlock]:
    """Yield all records with their vectors, oldest in the index first.

    Raises:
        CorruptError: a record has no vector.
    """
    left, done = snapshot.corpus.read_all("record_id, text_sha256"), 0
    while rows := list(islice(left, _BLOCK)):
        progress("exporting vectors", done, snapshot.vectors.size)
        vectors, counts = snapshot.vectors.read_vectors(np.array([row["id"] for row in rows], np.int64))
        yield VectorBlock([row["record_id"] for row in rows], [row["text_sha256"] for row in rows], counts, vectors)
        done += len(rows)
    progress("exporting vectors", done, snapshot.vectors.size)


def read_points(snapshot: OpenGeneration, ids: Sequence[str]) -> Vectors:
    """Return one unit vector per id, (n, dim), in order; of a record in passages, their mean scaled to unit length.

    Raises:
        AbstractNotFoundError: ids are not in the index; the message names the first.
        CorruptError: a record has no vector.
    """
    found = resolve_ids(snapshot.corpus, list(map(str, ids))) if ids else []
    if lost := [given for given, doc_id in zip(ids, found, strict=True) if doc_id is None]:
        raise AbstractNotFoundError(
            f"{pluralize(len(lost), 'id')} not in this index: {name_some(lost)}. "
            f"Ids look like {snapshot.corpus.find_example_id()!r}; engine search shows them"
        )
    doc_ids, places = np.unique(np.array(found, np.int64), return_inverse=True)
    points: Vectors = snapshot.vectors.get_points(doc_ids)[places]
    return points
