"""Publishing: makes a finished ``building`` folder the current generation, in an order that survives any crash."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from engine.errors import DurabilityError, EngineError, GenerationError
from engine.index.files import durable
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import NAME, dump_manifest, read_manifest
from engine.index.generations.placement import Placement
from engine.index.generations.segment import CODES, DATABASE, MAP, RECEIPT, VECTORS, dump_receipt
from engine.platform import replace_path, sync_path
from engine.receipts import FileReceipt
from engine.records.generation import Manifest, SegmentReceipt

_SECONDS_OF_A_DAY = 86_400


def seal_segment(folder: IndexFolder, receipt: SegmentReceipt) -> tuple[str, str]:
    """Sync the data files of the segment in ``building``, write its receipt, and return its name and the SHA-256.

    The files of the receipt are filled in here, read back from disk.

    Raises:
        OSError: the disk is full or broken.
    """
    files = folder.building_segment
    receipt = replace(receipt, files=seal_files(files.path, (DATABASE, VECTORS, CODES, MAP)))
    text = dump_receipt(receipt).encode("utf-8")
    durable.write_bytes(files.receipt, text)
    durable.seal(files.path)
    sync_path(files.path)
    digest = hashlib.sha256(text).hexdigest()
    return f"{receipt.generation:06d}-{digest[:8]}", digest


def seal_files(path: Path, names: Iterable[str]) -> tuple[FileReceipt, ...]:
    """Fsync those of the named files that are in a folder, and return their receipts, read back from disk."""
    present = [name for name in names if (path / name).exists()]
    for name in present:
        sync_path(path / name)
    return tuple(replace(FileReceipt.of(path / name), name=name) for name in present)


def publish(
    folder: IndexFolder, manifest: Manifest, new_segment: str | None, placement: Placement | None = None
) -> None:
    """Move the new segment and the generation into place, write the manifest and point CURRENT to it.

    The data files are already synced. new_segment: the name of the segment in ``building``; None if there is none.
    placement: holds the generation elsewhere before CURRENT points to it.

    Raises:
        EngineError: it can't be placed; the old generation stays current.
        DurabilityError: the new generation is visible, but the last fsync failed.
        OSError: an earlier step failed; the old generation stays current.
    """
    building, number = folder.building_generation, manifest.generation
    durable.write_bytes(building / NAME, dump_manifest(manifest).encode("utf-8"))
    durable.seal(building)
    sync_path(building)
    if new_segment is not None:
        target = folder.get_segment_files(new_segment).path
        if target.exists():  # left by a run that was killed: its generation was never published
            durable.remove_folder(target, RECEIPT)
        replace_path(folder.building_segment.path, target)
    sync_path(folder.segments)
    replace_path(building, folder.get_generation_path(number))
    try:
        sync_path(folder.generations)
        if placement is not None:
            placement.place(folder.check(number, quick=True))
        point_to(folder, number)
    except (OSError, EngineError):
        if folder.read_pointer() != number:  # not published: remove it again
            with contextlib.suppress(OSError):
                durable.remove_folder(folder.get_generation_path(number), NAME)
        raise


def point_to(folder: IndexFolder, number: int) -> None:
    """Point CURRENT to a generation.

    Raises:
        DurabilityError: CURRENT was replaced, but the last fsync failed.
        OSError: CURRENT was not replaced.
    """
    durable.replace_text(folder.pointer, folder.format_pointer(number))
    try:
        sync_path(folder.path)
    except OSError as err:
        raise DurabilityError(
            f"generation {number:06d} of {folder.path} is published, but the disk did not confirm it ({err.strerror}). "
            "Check the disk, then: engine verify --deep"
        ) from err


def choose_number(folder: IndexFolder) -> int:
    """Return the number of the next generation: above all numbers on disk and the one in CURRENT."""
    return max([*folder.list_numbers(), folder.read_pointer()], default=0) + 1


def prune(folder: IndexFolder, keep: int, placement: Placement | None = None) -> list[int]:
    """Keep the current generation and those it was made from, `keep` in all; delete the others, return their numbers.

    So the next run also deletes generations that were rolled back, and those that a crash left unpublished. Segments
    that no generation names any more are deleted too. What can't be deleted stays; the next run tries again. Where
    generations are placed, the others are dropped before their files are deleted.

    Raises:
        NoGenerationError: nothing was published yet.
        CorruptError: CURRENT or the folder of the segments is missing or can't be read; nothing was deleted.
    """
    folder.list_entries(folder.segments)
    kept = list(islice(_read_ancestry(folder), keep))
    if placement is not None:
        placement.drop(folder, kept)
    deleted = []
    for number in folder.list_numbers():
        if number not in kept:
            with contextlib.suppress(OSError):
                durable.remove_folder(folder.get_generation_path(number), NAME)
                deleted.append(number)
    _prune_segments(folder)
    return deleted


def remove_unused(folder: IndexFolder, keep: int, placement: Placement | None = None) -> None:
    """Delete what no kept generation needs, generations and encoders. What can't be deleted stays."""
    with contextlib.suppress(OSError, GenerationError):
        prune(folder, keep, placement)
        _prune_encoders(folder)


def _prune_segments(folder: IndexFolder) -> None:
    """Delete segments that no generation names; none if a manifest can't be read.

    Raises:
        CorruptError: the folder of the segments is missing or can't be read.
    """
    try:
        manifests = [read_manifest(folder.get_generation_path(n)) for n in folder.list_numbers()]
    except GenerationError:
        return
    used = {segment.name for manifest in manifests for segment in manifest.segments}
    for path in folder.list_entries(folder.segments):
        if path.name not in used:
            with contextlib.suppress(OSError):
                durable.remove_folder(path, RECEIPT)


def _read_ancestry(folder: IndexFolder) -> Iterator[int]:
    """Yield the current generation, the one it was made from, and so on, while they are on disk and readable."""
    number: int | None = folder.read_current()
    while number is not None and folder.get_generation_path(number).is_dir():
        yield number
        try:
            number = read_manifest(folder.get_generation_path(number)).parent
        except GenerationError:
            return


def _prune_encoders(folder: IndexFolder) -> None:
    """Delete encoders that no generation uses any more; none if a manifest can't be read.

    Rerankers stay: no generation depends on one, so query.rerankers decides about them. What another process is just
    writing stays for a day.
    """
    try:
        used = {read_manifest(folder.get_generation_path(n)).encoder.fingerprint for n in folder.list_numbers()}
    except GenerationError:
        return
    for path in folder.list_entries(folder.path / "encoders"):
        with contextlib.suppress(OSError):
            is_fresh = path.name.startswith(".") and time.time() - path.stat().st_mtime < _SECONDS_OF_A_DAY
            if path.name not in used and not is_fresh and not (path / "reranker.json").exists():
                durable.remove_folder(path, "encoder.json")


def prepare(folder: IndexFolder) -> None:
    """Create the folders of an index and clear what a stopped run left in ``building``.

    CURRENT names generation 0 from the start, so that a pointer lost later is noticed.

    Raises:
        OSError: the folder is not writable.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    if not folder.pointer.exists() and not folder.list_numbers():
        durable.replace_text(folder.pointer, "000000\n")
    folder.generations.mkdir(exist_ok=True)
    folder.segments.mkdir(exist_ok=True)
    _prune_segments(folder)
    if folder.building.exists():
        durable.remove_folder(folder.building, NAME)
    for path in (folder.building, folder.building_segment.path, folder.building_generation):
        path.mkdir()


def install_encoder(folder: IndexFolder, made: Path, fingerprint: str) -> Path:
    """Move a finished encoder folder into the index, durably, and return its new path; an older copy is replaced."""
    target = folder.get_encoder_path(fingerprint)
    target.parent.mkdir(exist_ok=True)
    for path in made.iterdir():
        sync_path(path)
    durable.seal(made)
    sync_path(made)
    if target.exists():
        durable.remove_folder(target, "encoder.json")
    replace_path(made, target)
    sync_path(target.parent)
    return target
