"""A folder of vectors for other programs: the vectors, a table that says whose they are, and a manifest.

``vectors.npy`` is a matrix of float32, one row per vector, and ``ids.jsonl`` has a line for each row: the id of the
record, the number of the passage from 1, and the SHA-256 of the text of the record. ``manifest.json`` says which
encoder made the vectors; it is written last, so a folder without it is not whole.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from engine.errors import CorruptError, EngineError, UsageError
from engine.files import check_new_folder, write_path_whole, write_text
from engine.receipts import FileReceipt, format_json
from engine.records.encoder import Vectors

FORMAT = 1  # version of the folder
MANIFEST, MATRIX, IDS = "manifest.json", "vectors.npy", "ids.jsonl"
FILES = (MANIFEST, MATRIX, IDS)
_DTYPE = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class VectorFacts:
    """What a folder of vectors holds, and who made them."""

    index: str  # its name
    generation: int
    model: str  # for people
    fingerprint: str  # of the encoder, 64 hex digits
    recipe: str  # how title and abstract became texts
    dimension: int
    n_records: int
    n_vectors: int  # of all records; with passages, a record has several


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Some records with their vectors."""

    record_ids: Sequence[str]  # (n,)
    digests: Sequence[str]  # (n,) SHA-256 of the text of each record, in 64 hex digits; "" where unknown
    counts: NDArray[np.int64]  # (n,) vectors of each record: 1, or one per passage
    vectors: Vectors  # (counts.sum(), dimension), record after record

    def list_rows(self) -> Iterator[dict[str, object]]:
        """Yield the line of the table of each vector."""
        for record_id, digest, n in zip(self.record_ids, self.digests, self.counts.tolist(), strict=True):
            for passage in range(1, n + 1):
                yield {"id": record_id, "passage": passage, "text_sha256": digest}


def check_vector_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that vectors can't be written to.

    Raises:
        UsageError: it holds other files, can't be made, or holds vectors that may not be overwritten.
    """
    check_new_folder(folder, FILES)
    if (folder / MANIFEST).exists() and not overwrite:
        raise UsageError(f"{folder} holds exported vectors. Write over them: --overwrite; or name another folder: -o")


def write_vector_folder(folder: Path, facts: VectorFacts, blocks: Iterable[VectorBlock], *, overwrite: bool) -> None:
    """Write the vectors and their table block by block, then the manifest.

    Raises:
        UsageError: as check_vector_folder.
        EngineError: the disk is full, or another error of the system.
        CorruptError: the blocks hold other numbers of records and vectors than the facts say.
    """
    check_vector_folder(folder, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        _write_tables(folder, facts, blocks)
        files = [asdict(FileReceipt.of(folder / name)) for name in (MATRIX, IDS)]
    except OSError as err:
        raise EngineError(f"{folder} can't be written: {err.strerror or err}. Name another folder: -o FOLDER") from err
    content = {"format_version": FORMAT, "dtype": "float32", "normalised": True, **asdict(facts), "files": files}
    write_text(folder / MANIFEST, [format_json(content)], overwrite=True)


def _write_tables(folder: Path, facts: VectorFacts, blocks: Iterable[VectorBlock]) -> None:
    """Write the matrix and the table of its rows.

    Raises:
        CorruptError: the blocks hold other numbers of records and vectors than the facts say.
    """
    n_records = n_vectors = 0
    with _open_new(folder / MATRIX) as matrix, _open_new(folder / IDS) as table:
        shape = (facts.n_vectors, facts.dimension)
        header = {"descr": dtype_to_descr(_DTYPE), "fortran_order": False, "shape": shape}
        write_array_header_1_0(matrix, header)
        for block in blocks:
            matrix.write(np.ascontiguousarray(block.vectors, _DTYPE).data)
            table.write("".join(json.dumps(row) + "\n" for row in block.list_rows()).encode())
            n_records, n_vectors = n_records + len(block.record_ids), n_vectors + len(block.vectors)
        if (n_records, n_vectors) != (facts.n_records, facts.n_vectors):
            raise CorruptError(
                f"{facts.index} gave {n_vectors:,} vectors of {n_records:,} records, its manifest says "
                f"{facts.n_vectors:,} of {facts.n_records:,}. Run: engine verify --deep -i {facts.index}"
            )


@contextlib.contextmanager
def _open_new(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream into a file that gets its name when the block has ended without an error."""
    with ExitStack() as stack:
        part = stack.enter_context(write_path_whole(path, overwrite=True))
        yield stack.enter_context(part.open("xb"))
