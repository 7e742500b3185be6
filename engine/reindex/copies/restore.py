"""An index put back from a backup."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path

from engine.corpus.storage.journal import Journal
from engine.errors import CorruptError, EngineError, SourceError, UsageError
from engine.index.files import durable
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.platform import can_move_open, open_to_read
from engine.progress import Progress
from engine.reindex.copies.archive import Member, walk_archive
from engine.reindex.copies.backup import find_damage, seal_shared
from engine.reindex.copies.backupreceipt import BACKUP, BackupReceipt, parse_backup
from engine.reindex.copies.part import hold_part, publish_part, sync_tree
from engine.reindex.copies.pin import list_generation_files
from engine.reindex.intake.queries import set_fetch_times

_ADVICE = "Nothing was restored. Use another backup"
_MOST_RECEIPT = 256 << 20  # bytes
_MB = 1_000_000


def read_backup(path: Path) -> BackupReceipt:
    """Return the receipt of a backup: a folder or an archive. Its files are not looked at.

    Raises:
        SourceError: there is none, or it can't be read.
        CorruptError: it is no backup, or its receipt is damaged.
        FormatVersionError: this engine can't read the index in it.
    """
    try:
        if path.exists() and not (path.is_dir() or path.is_file()):
            raise SourceError(f"{path} is a pipe or a device, expected a folder or a file. Unpack it into a file first")
        if not path.is_dir():
            return parse_backup(_read_first_member(path), path)
        return parse_backup((path / BACKUP).read_bytes(), path)
    except FileNotFoundError as err:
        if path.is_dir():
            raise CorruptError(
                f"{path} holds no {BACKUP}, so engine backup did not make it, or it is incomplete. A plain copy of an "
                "index is used by copying it back"
            ) from err
        raise SourceError(f"{path}: no such file or folder. Check the spelling, or the folder you are in") from err
    except OSError as err:
        raise SourceError(f"{path} can't be read: {err.strerror}") from err


class _Enough(Exception):
    """The first member was read."""


def _read_first_member(path: Path) -> bytes:
    """Return the content of the first member of an archive.

    Raises:
        CorruptError: there is none, or it is not that of a backup.
    """
    found = b""

    def visit(member: Member) -> None:
        nonlocal found
        found = member.content.read(_MOST_RECEIPT)
        raise _Enough

    try:
        walk_archive(path, visit)
    except _Enough:
        return found
    raise CorruptError(f"{path} is an empty archive. Use another backup")


def restore_index(path: Path, folder: IndexFolder, report: Progress, *, replace: bool = False) -> BackupReceipt:
    """Make an index from a backup, and return what it holds. It appears when all of it was checked.

    replace: an index of this name is replaced, and deleted with its decisions.

    Raises:
        UsageError: the name is taken.
        SourceError: there is no such backup.
        CorruptError: the backup is damaged or incomplete; the message names the file.
        FormatVersionError: this engine can't read the index in it.
        LockedError: another process writes the index, or restores it.
        EngineError: the disk is full, or another error of the system.
    """
    receipt = read_backup(path)
    target = Path(os.path.realpath(folder.path))
    _check_name(folder, target, replace=replace)
    target.parent.mkdir(parents=True, exist_ok=True)
    with hold_part(target) as part, ExitStack() as stack:
        made = part / "made"
        (_copy_folder if path.is_dir() else _extract_archive)(path, made, receipt, report)
        if damage := find_damage(made, receipt, report):
            raise CorruptError(f"{path}: {damage}. {_ADVICE}")
        _check_content(path, IndexFolder(made), receipt)
        seal_shared(made)
        set_fetch_times(made)
        sync_tree(made)
        if os.path.lexists(target):
            _check_name(folder, target, replace=replace)
            stack.enter_context(lock_for_writing(folder.lock))
            if not can_move_open():
                stack.close()  # nobody writes it now; the lock is let go for the moment of the exchange
            durable.replace_folder(made, target)
        else:
            publish_part(made, target)
    return receipt


def _check_name(folder: IndexFolder, target: Path, *, replace: bool) -> None:
    """Refuse a name that is taken, unless an index may be replaced.

    Raises:
        UsageError: it is taken.
    """
    if not os.path.lexists(target):
        return
    if not replace:
        raise UsageError(
            f"{folder.path} exists. Name a new index: -i {folder.path.name}-2; or replace it, and delete what it "
            "holds, decisions among it: --replace"
        )
    if not (target / folder.pointer.name).exists() and not (target / "index.toml").exists():
        raise UsageError(f"{folder.path} is no index, expected one to replace. Name another: -i NAME")


def _copy_folder(path: Path, made: Path, receipt: BackupReceipt, report: Progress) -> None:
    """Copy the files that the receipt of a backup folder names. Files with one inode are linked.

    Raises:
        CorruptError: one is missing or no file.
    """
    made.mkdir()
    copies: dict[tuple[int, int], Path] = {}
    n_done = 0
    for file in receipt.files:
        source, target = path / file.name, made / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = open_to_read(source, plain=True)
        except OSError as err:
            raise CorruptError(f"{path}: {file.name} can't be read: {err.strerror}. {_ADVICE}") from err
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            first = copies.setdefault((found.st_dev, found.st_ino), target)
            if first is target:
                durable.copy_stream(stream, target)
            else:
                durable.share_file(first, target)
        n_done += file.n_bytes
        report("copied MB", n_done // _MB, receipt.n_bytes // _MB)


def _extract_archive(path: Path, made: Path, receipt: BackupReceipt, report: Progress) -> None:
    """Write the members of an archive into a new folder.

    Raises:
        CorruptError: it holds something that its receipt does not name, or a file of another size.
    """
    made.mkdir()
    sizes = {file.name: file.n_bytes for file in receipt.files}
    n_done = 0

    def visit(member: Member) -> None:
        nonlocal n_done
        if member.name == BACKUP:
            return
        if member.name not in sizes:
            raise CorruptError(f"{path} holds {member.name!r}, which its {BACKUP} does not name. {_ADVICE}")
        target = made / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.same_as is not None:
            durable.share_file(made / member.same_as, target)
        else:
            with target.open("xb") as file:
                shutil.copyfileobj(member.content, file, 1 << 20)
        n_done += sizes[member.name]
        report("copied MB", n_done // _MB, receipt.n_bytes // _MB)

    walk_archive(path, visit)


def _check_content(path: Path, made: IndexFolder, receipt: BackupReceipt) -> None:
    """Check that the files make the index that the receipt says; their digests were compared before.

    Raises:
        CorruptError: they do not.
    """
    named = set(receipt.files)
    try:
        if made.read_current() != receipt.current:
            raise CorruptError(f"CURRENT names another generation than {receipt.current:06d}")
        for number in receipt.generations:
            if missing := [file.name for file in list_generation_files(made, number) if file not in named]:
                raise CorruptError(f"{missing[0]} of generation {number:06d} is missing")
        if (found := Journal(made.decisions).count_events()) != receipt.n_decisions:
            raise CorruptError(f"{made.decisions.name} holds {found:,} entries, expected {receipt.n_decisions:,}")
    except (EngineError, OSError) as err:
        text = str(err).replace(f"{made.path}{os.sep}", "").removesuffix("Run: engine verify").rstrip(". ")
        raise CorruptError(f"{path}: {text}. {_ADVICE}") from err
