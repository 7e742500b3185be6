"""Backups of an index, made while it is used and updated."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from engine import __version__
from engine.corpus.storage.journal import Journal
from engine.corpus.storage.snapshot import copy_database
from engine.errors import CorruptError, UsageError
from engine.files import COMPRESSED, refuse_dash
from engine.index.files import durable
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import FORMAT_VERSION
from engine.phrases import quote_word
from engine.platform import open_to_read, sync_file
from engine.progress import Progress
from engine.receipts import FileReceipt
from engine.reindex.copies.archive import ENDING, ArchiveWriter, Member, walk_archive
from engine.reindex.copies.backupreceipt import BACKUP, BackupReceipt, dump_backup
from engine.reindex.copies.keptfiles import find_kept_problems
from engine.reindex.copies.part import hold_part, publish_part, sync_tree
from engine.reindex.copies.pin import PinnedIndex, pin_index
from engine.reindex.intake.queries import list_fetched_files

_COPIED = ("index.toml", "nightly.jsonl", "watches.json")  # files that change in place, beside databases
_PASSED = (
    "CURRENT",
    "LOCK",
    "NIGHTLY.lock",
    "WATCH.lock",
    "TABLE.lock",
    "generations",
    "segments",
    "encoders",
    "building",
    "shards",
    "queries",  # of which what is whole is copied
    BACKUP,
)
_SIDES = ("-wal", "-shm", "-journal", ".tmp")  # endings of files that belong to another
_BLOCK = 1 << 20
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class _Backup:
    """A finished backup."""

    path: Path
    receipt: BackupReceipt
    notes: tuple[str, ...]  # what was left out, and why


@dataclass(frozen=True, slots=True)
class _BackupFile:
    """A file that goes into a backup."""

    receipt: FileReceipt  # its name is relative to the folder of the index
    source: Path | int  # an open descriptor, where the file may be deleted meanwhile
    same_as: str | None = None  # name of an earlier piece with the same inode

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the content from its start."""
        descriptor = os.dup(self.source) if isinstance(self.source, int) else open_to_read(self.source)
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(descriptor, "rb") as file:
            yield file


def _check_place(path: Path, folder: IndexFolder) -> None:
    """Refuse a path where no backup of an index can be made.

    Raises:
        UsageError: it exists, is "-", in the folder of the index or in none that can be written to, or would be
            compressed.
    """
    refuse_dash(path)
    if path.suffix.lower() in COMPRESSED:
        raise UsageError(
            f"{path} would be a compressed file, expected a folder or a name that ends in {ENDING}. Compress it "
            f"afterwards, or name: -o {quote_word(path.with_name(path.name.split('.')[0] + ENDING))}"
        )
    if os.path.lexists(path):
        inside = path / folder.path.name if path.is_dir() else path.with_name(f"{path.stem}-2{path.suffix}")
        raise UsageError(
            f"{path} exists, and a backup never replaces anything. Name a new place: -o {quote_word(inside)}"
        )
    above = path.absolute().parent
    if not above.is_dir():
        raise UsageError(
            f"{path} can't be made: there is no folder {above}. Make it first: mkdir -p {quote_word(above)}"
        )
    if not os.access(above, os.W_OK):
        raise UsageError(f"{path} can't be made: no permission in {above}. Name a folder of your own")
    if above.resolve().is_relative_to(folder.path.resolve()):
        raise UsageError(f"{path} is in the index itself, expected a place elsewhere. Name another: -o PATH")


def make_backup(folder: IndexFolder, path: Path, report: Progress, *, only_current: bool = False) -> _Backup:
    """Copy an index to a new folder, or to an archive if the name ends in .tar. Runs may publish meanwhile.

    The copy holds the generations, segments and encoders that there are when this begins, and the decisions, index.toml
    and the log of the nights. It is read back and compared with the receipts before it gets its name.

    only_current: leave out the generations before the current one.

    Raises:
        UsageError: the path is taken, or no backup can be made there.
        LockedError: another process makes a backup there.
        NoGenerationError: nothing was published yet.
        CorruptError: a file of the index is missing or damaged.
        EngineError: the disk is full, or another error of the system.
    """
    _check_place(path, folder)
    target = path.absolute()
    with hold_part(target) as part, pin_index(folder, only_current=only_current) as pinned:
        loose, notes = _copy_loose_files(folder, pinned, part / "loose")
        for problem in find_kept_problems(IndexFolder(part / "loose")):
            named = problem.replace(str(part / "loose"), str(folder.path))
            raise CorruptError(f"{named}. No backup was made")
        pieces = _list_pieces(pinned, loose)
        receipt = _build_receipt(folder, pinned, loose, pieces)
        made = part / f"made{target.suffix if target.suffix == ENDING else ''}"
        write, find = (_write_archive, _find_archive_damage) if made.suffix else (_write_folder, find_damage)
        write(made, receipt, pieces, report)
        if damage := find(made, receipt, report):
            raise CorruptError(f"{damage}. No backup was made. Run: engine verify --deep -i {folder.path.name}")
        publish_part(made, target)
    return _Backup(path, receipt, (*pinned.notes, *notes))


def _copy_loose_files(folder: IndexFolder, pinned: PinnedIndex, to: Path) -> tuple[dict[str, Path], list[str]]:
    """Copy the files of an index that change in place; return the copies by name, and notes on what was left out."""
    to.mkdir()
    (to / folder.pointer.name).write_bytes(pinned.pointer)
    notes = []
    for path in sorted(folder.path.iterdir()):
        if path.name == folder.decisions.name and path.is_file():
            copy_database(path, to / path.name)
        elif path.name in _COPIED and path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
        elif path.name not in _PASSED and not path.name.endswith(_SIDES) and path.name[0] != ".":
            why = "a backup does not hold what was reported" if path.name == "news" else "it is no part of an index"
            notes.append(f"{path} is left out: {why}")
    _copy_fetched(folder.path, to)
    return {path.relative_to(to).as_posix(): path for path in sorted(to.rglob("*")) if path.is_file()}, notes


def _copy_fetched(index: Path, to: Path) -> None:
    """Copy what was fetched for the queries of an index.

    A run may remove old files meanwhile, after it has written the one that replaces them: then all are listed again.

    Raises:
        FileNotFoundError: files keep vanishing.
        OSError: a file can't be read or written.
    """
    for is_last in (False, False, True):
        try:
            for path in list_fetched_files(index):
                target = to / path.relative_to(index)
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".json":  # replaced by the next fetch; the others never change
                    target.write_bytes(path.read_bytes())
                else:
                    durable.share_file(path, target)
            return
        except FileNotFoundError:
            if is_last:
                raise
            shutil.rmtree(to / "queries", ignore_errors=True)


def _list_pieces(pinned: PinnedIndex, loose: Mapping[str, Path]) -> list[_BackupFile]:
    """Return all files of a backup but its receipt, in order of name."""
    pieces = [_BackupFile(replace(FileReceipt.of(path), name=name), path) for name, path in loose.items()]
    first: dict[tuple[int, int], str] = {}
    for file in pinned.files:
        name = first.setdefault(file.inode, file.receipt.name)
        pieces.append(_BackupFile(file.receipt, file.descriptor, name if name != file.receipt.name else None))
    return sorted(pieces, key=lambda piece: piece.receipt.name)


def _build_receipt(
    folder: IndexFolder, pinned: PinnedIndex, loose: Mapping[str, Path], pieces: Sequence[_BackupFile]
) -> BackupReceipt:
    """Describe a backup that is going to be made."""
    journal = Journal(loose.get(folder.decisions.name, Path(os.devnull, "none")))
    return BackupReceipt(
        name=folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        engine_version=__version__,
        format_version=FORMAT_VERSION,
        generations=pinned.generations,
        current=pinned.current,
        n_records=pinned.manifest.counts.abstracts,
        reviews=tuple(journal.list_reviews()),
        n_decisions=journal.count_events(),
        files=tuple(piece.receipt for piece in pieces),
    )


def _write_folder(made: Path, receipt: BackupReceipt, pieces: Sequence[_BackupFile], report: Progress) -> None:
    """Copy the pieces into a new folder, durably."""
    made.mkdir()
    (made / BACKUP).write_bytes(dump_backup(receipt))
    n_done = 0
    for piece in pieces:
        target = made / piece.receipt.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if piece.same_as is not None:
            durable.share_file(made / piece.same_as, target)
        else:
            with piece.open() as source:
                durable.copy_stream(source, target)
        n_done += piece.receipt.n_bytes
        report("copied MB", n_done // _MB, receipt.n_bytes // _MB)
    seal_shared(made)
    sync_tree(made)


def seal_shared(index: Path) -> None:
    """Make the files of a copied index that never change read-only, as they are in the index itself."""
    for name in ("generations", "segments", "encoders"):
        if (index / name).is_dir():
            durable.seal(index / name)


def _write_archive(made: Path, receipt: BackupReceipt, pieces: Sequence[_BackupFile], report: Progress) -> None:
    """Write the pieces into a new archive, durably."""
    raw, n_done = dump_backup(receipt), 0
    with made.open("wb") as file:
        archive = ArchiveWriter(file, receipt.name)
        archive.add_file(BACKUP, io.BytesIO(raw), len(raw))
        for piece in pieces:
            if piece.same_as is not None:
                archive.add_link(piece.receipt.name, piece.same_as)
            else:
                with piece.open() as source:
                    archive.add_file(piece.receipt.name, source, piece.receipt.n_bytes)
            n_done += piece.receipt.n_bytes
            report("copied MB", n_done // _MB, receipt.n_bytes // _MB)
        archive.close()
        file.flush()
        sync_file(file.fileno())


def find_damage(made: Path, receipt: BackupReceipt, report: Progress) -> str | None:
    """Describe the first file in a folder that is not as the receipt of a backup says; None if all are."""
    sound: set[tuple[int, str]] = set()  # inode and digest: a file with several names is read once
    n_done = 0
    for file in receipt.files:
        n_done += file.n_bytes
        report("checked MB", n_done // _MB, receipt.n_bytes // _MB)
        with suppress(OSError):
            if ((made / file.name).lstat().st_ino, file.sha256) in sound:
                continue
        if problem := file.find_problem(made):
            return problem.replace(f"{made}{os.sep}", "")
        sound.add(((made / file.name).lstat().st_ino, file.sha256))
    return None


def _find_archive_damage(path: Path, receipt: BackupReceipt, report: Progress) -> str | None:
    """Describe the first member of an archive that is not as its receipt says; None if all are.

    Raises:
        CorruptError: the archive can't be read to its end.
    """
    expected = {file.name: file for file in receipt.files}
    found: dict[str, FileReceipt] = {}
    n_done = 0

    def visit(member: Member) -> None:
        nonlocal n_done
        if member.same_as is not None:
            found[member.name] = replace(found[member.same_as], name=member.name)
        else:
            found[member.name] = _hash_member(member)
        n_done += found[member.name].n_bytes
        report("checked MB", min(n_done, receipt.n_bytes) // _MB, receipt.n_bytes // _MB)

    walk_archive(path, visit)
    del found[BACKUP]
    return next((f"{name} was changed or damaged" for name in expected if found.get(name) != expected[name]), None)


def _hash_member(member: Member) -> FileReceipt:
    """Read a member and return its receipt."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := member.content.read(_BLOCK):
        digest.update(block)
        n_bytes += len(block)
    return FileReceipt(member.name, n_bytes, digest.hexdigest())
