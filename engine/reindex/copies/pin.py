"""The files of an index, held open, so that what a run publishes or deletes meanwhile changes nothing.

A published file never changes, and stays readable through an open descriptor after its name is gone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from engine.encode.crossencoder.folder import RERANKER, list_reranker_files
from engine.encode.models.folder import list_encoder_files
from engine.errors import CorruptError, EngineError, GenerationError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import NAME, read_manifest
from engine.index.generations.segment import read_receipt
from engine.platform import open_to_read
from engine.receipts import FileReceipt
from engine.records.generation import Manifest


@dataclass(frozen=True, slots=True)
class _PinnedFile:
    """An open file that never changes."""

    descriptor: int
    receipt: FileReceipt  # its name is relative to the folder of the index
    inode: tuple[int, int]  # device and number: equal for files that generations share


@dataclass(frozen=True, slots=True)
class PinnedIndex:
    """The published files of an index at one moment."""

    pointer: bytes  # content of CURRENT
    current: int
    manifest: Manifest  # of the current generation
    generations: tuple[int, ...]  # ascending
    files: tuple[_PinnedFile, ...]  # in order of name
    notes: tuple[str, ...]  # what was left out, and why


@contextmanager
def pin_index(folder: IndexFolder, *, only_current: bool) -> Iterator[PinnedIndex]:
    """Hold the published files of an index open while the block runs.

    An older generation that is incomplete is left out with a note. One that a run deletes meanwhile is left out.

    Raises:
        NoGenerationError: nothing was published yet.
        CorruptError: the current generation is incomplete.
        EngineError: more files than this process may have open.
    """
    while True:
        with ExitStack() as stack:
            pointer = folder.read_pointer_bytes()
            try:
                pinned = _open_generations(folder, pointer, stack, only_current=only_current)
            except (GenerationError, FileNotFoundError) as err:
                if folder.read_pointer_bytes() != pointer:  # a run has published meanwhile
                    continue
                raise CorruptError(_explain_failure(folder, err)) from err
            yield pinned
            return


def _explain_failure(folder: IndexFolder, err: EngineError | FileNotFoundError) -> str:
    """Return the message about a generation that can't be opened."""
    what = f"{err.filename} is missing" if isinstance(err, FileNotFoundError) else str(err)
    return what if ": engine " in what else f"{what}. Run: engine verify -i {folder.path.name}"


def _open_generations(folder: IndexFolder, pointer: bytes, stack: ExitStack, *, only_current: bool) -> PinnedIndex:
    """Open the files of the current generation, then of the others that are complete."""
    current = folder.read_current()
    opened: dict[str, _PinnedFile] = {}
    _open_generation(folder, current, opened, stack)
    generations, notes = [current], []
    for number in () if only_current else folder.list_numbers():
        if number == current:
            continue
        try:
            _open_generation(folder, number, opened, stack)
        except (EngineError, FileNotFoundError) as err:
            if folder.get_generation_path(number).is_dir():
                notes.append(f"generation {number:06d} is left out, since it is incomplete: {err}")
            continue
        generations.append(number)
    for file in _list_rerankers(folder):
        _open_file(folder, file, opened, stack)
    files = tuple(opened[name] for name in sorted(opened))
    manifest = read_manifest(folder.get_generation_path(current))
    return PinnedIndex(pointer, current, manifest, tuple(sorted(generations)), files, tuple(notes))


def _open_generation(folder: IndexFolder, number: int, opened: dict[str, _PinnedFile], stack: ExitStack) -> None:
    """Open the files of a generation and of its encoder that are not open yet; all of them or none are added."""
    new: dict[str, _PinnedFile] = {}
    for file in [*list_generation_files(folder, number), *_list_encoder(folder, number)]:
        if file.name not in opened:
            _open_file(folder, file, new, stack)
    opened |= new


def _open_file(folder: IndexFolder, file: FileReceipt, opened: dict[str, _PinnedFile], stack: ExitStack) -> None:
    """Open a file of the size that its receipt says.

    Raises:
        CorruptError: it has another size.
        EngineError: more files than this process may have open.
        OSError: it can't be opened.
    """
    path = folder.path / file.name
    try:
        descriptor = open_to_read(path)
    except OSError as err:
        if err.errno != errno.EMFILE:
            raise
        raise EngineError(
            f"{folder.path} has more files than a process may have open. Allow more: ulimit -n 65536; "
            "or leave out the older generations: --current"
        ) from err
    stack.callback(os.close, descriptor)
    found = os.fstat(descriptor)
    if found.st_size != file.n_bytes:
        raise CorruptError(f"{path} has {found.st_size:,} bytes, expected {file.n_bytes:,}. Run: engine verify")
    opened[file.name] = _PinnedFile(descriptor, file, (found.st_dev, found.st_ino))


def list_generation_files(folder: IndexFolder, number: int) -> list[FileReceipt]:
    """List all files of a generation and of its segments, by their names in the folder of the index.

    Raises:
        GenerationError: its manifest or the receipt of a segment is missing or damaged.
        FileNotFoundError: it was deleted meanwhile.
    """
    path = folder.get_generation_path(number)
    manifest = read_manifest(path)
    dead = [entry.dead for entry in manifest.segments if entry.dead is not None]
    found = _place(folder, path, [FileReceipt.of(path / NAME), *manifest.files, *dead])
    for entry in manifest.segments:
        files = folder.get_segment_files(entry.name)
        receipt = read_receipt(files, entry.sha256)
        found += _place(folder, files.path, [FileReceipt.of(files.receipt), *receipt.files])
    return found


def _list_encoder(folder: IndexFolder, number: int) -> list[FileReceipt]:
    """List the files of the encoder of a generation."""
    path = folder.get_encoder_path(read_manifest(folder.get_generation_path(number)).encoder.fingerprint)
    return _place(folder, path, list_encoder_files(path))


def _list_rerankers(folder: IndexFolder) -> list[FileReceipt]:
    """List the files of the rerankers of an index; one that is just being written is no part of it."""
    paths = sorted((folder.path / "encoders").glob(f"[!.]*/{RERANKER}"))
    return [file for path in paths for file in _place(folder, path.parent, list_reranker_files(path.parent))]


def _place(folder: IndexFolder, path: Path, files: list[FileReceipt]) -> list[FileReceipt]:
    """Return receipts of files in a folder inside an index, by their names in the index."""
    inside = path.relative_to(folder.path).as_posix()
    return [replace(file, name=f"{inside}/{file.name}") for file in files]
