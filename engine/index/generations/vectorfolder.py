"""A folder of vectors for other programs: the vectors, a table that says whose they are, and a manifest.

``vectors.npy`` is a matrix of float32, one row per vector, and ``ids.jsonl`` has a line for each row: the id of the
record, the number of the passage from 1, and the SHA-256 of the text of the record. Instead of both,
``vectors.parquet`` has these columns and the vector. ``manifest.json`` says which encoder made the vectors; it is
written last, so a folder without it is not whole.
"""

from __future__ import annotations

import contextlib
import json
import re
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from engine.arrow import load_arrow
from engine.errors import CorruptError, EngineError, SourceError, UsageError
from engine.files import check_new_folder, read_text, write_path_whole, write_text
from engine.receipts import FileReceipt, format_json
from engine.records.encoder import Vectors

FORMAT = 1  # version of the folder
MANIFEST, MATRIX, IDS, PARQUET = "manifest.json", "vectors.npy", "ids.jsonl", "vectors.parquet"
FILES = (MANIFEST, MATRIX, IDS, PARQUET)
KINDS = {"npy": (MATRIX, IDS), "parquet": (PARQUET,)}  # the files of each kind
ID, PASSAGE, DIGEST, VECTOR = "id", "passage", "text_sha256", "vector"  # columns of the table
_DTYPE = np.dtype("<f4")
_MAX_MANIFEST = 1 << 20  # bytes
_BLOCK = 4096  # rows read at once, and of a row group of Parquet
_GROUPS_KEPT = 4  # row groups of Parquet that stay in memory
_HEX = re.compile(r"[0-9a-f]{64}")
_EXPECTED = "expected a folder as `engine vectors export` writes it"


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
                yield {ID: record_id, PASSAGE: passage, DIGEST: digest}


@dataclass(frozen=True, slots=True)
class VectorRow:
    """What the table says of one vector."""

    record_id: str
    passage: int  # from 1
    digest: str  # SHA-256 of the text of the record, in 64 hex digits; "" where unknown


def _explain(err: Exception) -> str:
    """Return why a file can't be read, as a part of a sentence."""
    if isinstance(err, AttributeError | TypeError | KeyError):
        return "it has another structure"
    if isinstance(err, OSError) and err.strerror:
        return err.strerror
    return str(err)[:200].rstrip(". ")


def check_vector_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that vectors can't be written to.

    Raises:
        UsageError: it holds other files, can't be made, or holds vectors that may not be overwritten.
    """
    check_new_folder(folder, FILES)
    if (folder / MANIFEST).exists() and not overwrite:
        raise UsageError(f"{folder} holds exported vectors. Write over them: --overwrite; or name another folder: -o")


def write_vector_folder(
    folder: Path, facts: VectorFacts, blocks: Iterable[VectorBlock], kind: str = "npy", *, overwrite: bool
) -> None:
    """Write the vectors and their table block by block, as a kind of KINDS, then the manifest.

    Raises:
        UsageError: as check_vector_folder.
        MissingExtraError: Parquet is asked for, and pyarrow is not installed.
        EngineError: the disk is full, or another error of the system.
        CorruptError: the blocks hold other numbers of records and vectors than the facts say.
    """
    check_vector_folder(folder, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        with {"npy": _open_matrix, "parquet": _open_parquet}[kind](folder, facts) as write:
            _write_blocks(facts, blocks, write)
        files = [asdict(FileReceipt.of(folder / name)) for name in KINDS[kind]]
    except OSError as err:
        raise EngineError(f"{folder} can't be written: {err.strerror or err}. Name another folder: -o FOLDER") from err
    content = {"format_version": FORMAT, "dtype": "float32", "normalised": True, **asdict(facts), "files": files}
    write_text(folder / MANIFEST, [format_json(content)], overwrite=True)


def _write_blocks(facts: VectorFacts, blocks: Iterable[VectorBlock], write: Callable[[VectorBlock], object]) -> None:
    """Write all blocks.

    Raises:
        CorruptError: they hold other numbers of records and vectors than the facts say.
    """
    n_records = n_vectors = 0
    for block in blocks:
        write(block)
        n_records, n_vectors = n_records + len(block.record_ids), n_vectors + len(block.vectors)
    if (n_records, n_vectors) != (facts.n_records, facts.n_vectors):
        raise CorruptError(
            f"{facts.index} gave {n_vectors:,} vectors of {n_records:,} records, its manifest says "
            f"{facts.n_vectors:,} of {facts.n_records:,}. Run: engine verify --deep -i {facts.index}"
        )


@contextlib.contextmanager
def _open_matrix(folder: Path, facts: VectorFacts) -> Iterator[Callable[[VectorBlock], object]]:
    """Yield what writes a block to vectors.npy and ids.jsonl."""
    with (
        write_path_whole(folder / MATRIX, overwrite=True) as vectors,
        write_path_whole(folder / IDS, overwrite=True) as ids,
        vectors.open("xb") as matrix,
        ids.open("x", encoding="utf-8") as table,
    ):
        shape = (facts.n_vectors, facts.dimension)
        write_array_header_1_0(matrix, {"descr": dtype_to_descr(_DTYPE), "fortran_order": False, "shape": shape})

        def write(block: VectorBlock) -> None:
            matrix.write(np.ascontiguousarray(block.vectors, _DTYPE).data)
            table.writelines(json.dumps(row) + "\n" for row in block.list_rows())

        yield write
        matrix.flush()
        table.flush()


@contextlib.contextmanager
def _open_parquet(folder: Path, facts: VectorFacts) -> Iterator[Callable[[VectorBlock], object]]:
    """Yield what writes a block to vectors.parquet, as a row group.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = load_arrow()
    columns = {ID: arrow.string(), PASSAGE: arrow.int32(), DIGEST: arrow.string()}
    schema = arrow.schema({**columns, VECTOR: arrow.list_(arrow.float32(), facts.dimension)})
    with (
        write_path_whole(folder / PARQUET, overwrite=True) as path,
        parquet.ParquetWriter(path, schema, use_dictionary=False) as writer,
    ):

        def write(block: VectorBlock) -> None:
            rows = list(block.list_rows())
            flat = arrow.array(np.ascontiguousarray(block.vectors, _DTYPE).reshape(-1))
            vectors = arrow.FixedSizeListArray.from_arrays(flat, facts.dimension)
            cells = [arrow.array([row[name] for row in rows], kind) for name, kind in columns.items()]
            writer.write_table(arrow.Table.from_arrays([*cells, vectors], schema=schema), row_group_size=_BLOCK)

        yield write


# Reading


class VectorTable:
    """The rows of a folder of vectors, made by this engine or elsewhere; vectors stay on disk."""

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            UsageError: a file is missing or can't be read, or the vectors are not float32 in rows.
            CorruptError: a file differs from what the manifest says.
            MissingExtraError: the vectors are in Parquet, and pyarrow is not installed.
        """
        self.folder = folder
        self.manifest = _read_manifest(folder)
        is_parquet = not (folder / MATRIX).exists() and (folder / PARQUET).exists()
        self._file: _MatrixFile | _ParquetFile = (_ParquetFile if is_parquet else _MatrixFile)(folder)
        self.path, self.shape = self._file.path, self._file.shape

    def read_rows(self) -> Iterator[VectorRow]:
        """Yield what the table says of each vector, in order.

        Raises:
            UsageError: a row can't be read, or there are more or fewer rows than vectors.
        """
        n = 0
        for cells in self._file.read_cells():
            n += 1
            yield _parse_row(cells, f"{self._file.table}, row {n:,}")
        if n != self.shape[0]:
            raise UsageError(f"{self._file.table} has {n:,} rows, but {self.path} holds {self.shape[0]:,} vectors")

    def read_vectors(self, first: int, n: int) -> Vectors:
        """Return the vectors of n rows from a row on, (n, dimensions), as they are stored."""
        return self._file.read_vectors(first, n)

    def scan_vectors(self) -> Iterator[tuple[int, Vectors]]:
        """Yield the number of the first row of a block, and its vectors, block by block."""
        for start in range(0, self.shape[0], _BLOCK):
            yield start, self.read_vectors(start, min(_BLOCK, self.shape[0] - start))


class _MatrixFile:
    """vectors.npy and ids.jsonl."""

    def __init__(self, folder: Path) -> None:
        """Map the matrix.

        Raises:
            UsageError: it is missing, or no matrix of float32.
        """
        self.path, self.table = folder / MATRIX, folder / IDS
        try:
            matrix = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except Exception as err:  # NumPy raises many types
            raise UsageError(f"{self.path} can't be read: {_explain(err)}. {_EXPECTED.capitalize()}") from err
        if not isinstance(matrix, np.ndarray):
            raise UsageError(
                f"{self.path} is an archive of arrays (.npz), expected one matrix. Write it with: "
                "numpy.save('vectors.npy', vectors)"
            )
        if matrix.ndim != 2 or matrix.dtype != _DTYPE:
            make = "vectors.astype('float32')" if matrix.ndim == 2 else "vectors.reshape(-1, DIMENSIONS)"
            raise UsageError(
                f"{self.path} holds {matrix.dtype} in the shape {matrix.shape}, expected float32 in rows. Convert it: "
                f"numpy.save('vectors.npy', {make})"
            )
        self._matrix: Vectors = matrix
        self.shape = (int(matrix.shape[0]), int(matrix.shape[1]))

    def read_cells(self) -> Iterator[Any]:
        """Yield the cells of each row by column; blank lines are skipped.

        Raises:
            UsageError: the table is missing, or a line is no JSON.
        """
        n = 0
        try:
            with self.table.open(encoding="utf-8-sig") as file:
                for line in file:
                    n += 1
                    if line.strip():
                        yield json.loads(line)
        except (OSError, ValueError, RecursionError) as err:
            where = "" if isinstance(err, OSError | UnicodeError) else f" at line {n:,}"
            raise UsageError(f"{self.table} can't be read{where}: {_explain(err)}. {_EXPECTED.capitalize()}") from err

    def read_vectors(self, first: int, n: int) -> Vectors:
        """Return a copy of n rows."""
        return np.array(self._matrix[first : first + n])


class _ParquetFile:
    """vectors.parquet."""

    def __init__(self, folder: Path) -> None:
        """Open the file.

        Raises:
            UsageError: it can't be read, or lacks a column.
            MissingExtraError: pyarrow is not installed.
        """
        self.path = self.table = folder / PARQUET
        arrow, parquet = load_arrow()
        self._failure = arrow.ArrowException
        with self._explain_damage():
            self._file = parquet.ParquetFile(self.path)
        kinds = {field.name: field.type for field in self._file.schema_arrow}
        kind = kinds.get(VECTOR, arrow.null())
        types = (arrow.types.is_fixed_size_list, arrow.types.is_list, arrow.types.is_large_list)
        if ID not in kinds or not any(is_list(kind) for is_list in types) or kind.value_type != arrow.float32():
            found = ", ".join(f"{name}: {each}" for name, each in kinds.items())
            raise UsageError(
                f"{self.path} has the columns {found}, expected {ID}: string and {VECTOR}: lists of float, which are "
                "float32. Numbers of another type have to be converted"
            )
        self._columns = [name for name in (ID, PASSAGE, DIGEST) if name in kinds]
        groups = range(self._file.num_row_groups)
        sizes = [self._file.metadata.row_group(at).num_rows for at in groups]
        self._starts = (np.cumsum(sizes, dtype=np.int64) - sizes).tolist()
        self.shape = (int(sum(sizes)), int(kind.list_size) if types[0](kind) else self._measure_first())
        self._read_group = lru_cache(_GROUPS_KEPT)(self._read_vectors_of)

    @contextlib.contextmanager
    def _explain_damage(self) -> Iterator[None]:
        """Say which file can't be read.

        Raises:
            UsageError: the block fails to read it.
        """
        try:
            yield
        except (OSError, ValueError, self._failure) as err:
            raise UsageError(f"{self.path} can't be read: {_explain(err)}. {_EXPECTED.capitalize()}") from err

    def _measure_first(self) -> int:
        """Return the number of values of the first vector; 0 where there is none."""
        with self._explain_damage():
            for batch in self._file.iter_batches(_BLOCK, columns=[VECTOR]):
                if lengths := batch.column(VECTOR).value_lengths().drop_null().to_pylist():
                    return int(lengths[0])
        return 0

    def read_cells(self) -> Iterator[Any]:
        """Yield the cells of each row by column.

        Raises:
            UsageError: the file is damaged.
        """
        with self._explain_damage():
            for batch in self._file.iter_batches(_BLOCK, columns=self._columns):
                yield from batch.to_pylist()

    def read_vectors(self, first: int, n: int) -> Vectors:
        """Return n rows, from the row groups that hold them."""
        parts = [np.empty((0, self.shape[1]), np.float32)]
        for group in range(bisect(self._starts, first) - 1, bisect_left(self._starts, first + n)):
            start = self._starts[group]
            parts.append(self._read_group(group)[max(first - start, 0) : first + n - start])
        return np.concatenate(parts)

    def _read_vectors_of(self, group: int) -> Vectors:
        """Return the vectors of a row group; one that is null has NaN.

        Raises:
            UsageError: the file is damaged, or a vector has another number of values than the first one.
        """
        with self._explain_damage():
            column = self._file.read_row_group(group, columns=[VECTOR]).column(VECTOR).combine_chunks()
        lengths = column.value_lengths().fill_null(self.shape[1]).to_numpy()
        if (odd := np.flatnonzero(lengths != self.shape[1])).size:
            raise UsageError(
                f"{self.path}, row {self._starts[group] + odd[0] + 1:,}: the vector has {lengths[odd[0]]:,} values, "
                f"expected {self.shape[1]:,} as in the first one"
            )
        vectors = np.full((len(column), self.shape[1]), np.nan, np.float32)
        is_there = column.is_valid().to_numpy(zero_copy_only=False)
        vectors[is_there] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.shape[1])
        return vectors


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder of vectors, whose files are as it says.

    Raises:
        UsageError: it is missing, no JSON object or of an unknown version.
        CorruptError: a file differs from what it says.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f'{folder} has no {MANIFEST}, {_EXPECTED}; its least content is {{"fingerprint": …}}')
    try:
        content = json.loads(read_text(path, _MAX_MANIFEST))
        receipts = [_read_receipt(one) for one in content.get("files", [])]
    except (SourceError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as err:
        raise UsageError(f"{path} is no manifest of vectors: {_explain(err)}. {_EXPECTED.capitalize()}") from err
    if content.get("format_version", FORMAT) != FORMAT:
        raise UsageError(f"{path} has the version {content['format_version']}, expected {FORMAT}. Export it again")
    for receipt in receipts:
        if receipt.name not in FILES:
            raise UsageError(f"{path} names the file {receipt.name[:80]!r}, expected one of {', '.join(FILES[1:])}")
        if problem := receipt.find_problem(folder):
            raise CorruptError(f"{problem}. Export the vectors again: engine vectors export")
    return content  # type: ignore[no-any-return]


def _read_receipt(entry: dict[str, Any]) -> FileReceipt:
    """Return what a manifest says of a file.

    Raises:
        KeyError: it does not say all.
        TypeError: it says it in another form.
    """
    name, n_bytes, digest = entry["name"], entry["n_bytes"], entry["sha256"]
    if not (isinstance(name, str) and isinstance(n_bytes, int) and isinstance(digest, str)):
        raise TypeError("no receipt of a file")
    return FileReceipt(name, n_bytes, digest)


def _parse_row(cells: Any, place: str) -> VectorRow:
    """Return a row of the table.

    Raises:
        UsageError: it names no record, or its values are not what they should be.
    """
    cells = cells if isinstance(cells, dict) else {}
    record_id, passage, digest = cells.get(ID), cells.get(PASSAGE), cells.get(DIGEST) or ""
    if not isinstance(record_id, str) or not record_id.strip():
        raise UsageError(f"{place}: {ID} is {record_id!r}, expected the id of a record as text")
    passage = 1 if passage is None else passage
    if not isinstance(passage, int) or passage < 1:
        raise UsageError(f"{place}: {PASSAGE} is {passage!r}, expected a number from 1")
    if not isinstance(digest, str) or (digest and not _HEX.fullmatch(digest.lower())):
        raise UsageError(f"{place}: {DIGEST} is {str(digest)[:80]!r}, expected 64 hexadecimal digits or nothing")
    return VectorRow(record_id, passage, digest.lower())
