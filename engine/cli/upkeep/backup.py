"""Commands that make a backup of an index and restore it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.frame.group import main, raise_signals
from engine.cli.frame.options import index_options
from engine.config import Config
from engine.phrases import pluralize, quote_word
from engine.terminal import dump_json, say, show_progress

if TYPE_CHECKING:
    from engine.reindex.copies.backupreceipt import BackupReceipt

_PLACE = click.Path(path_type=Path)
_JSON = click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")


@main.command()
@index_options
@click.option(
    "-o",
    "--output",
    type=_PLACE,
    required=True,
    metavar="PATH",
    help="New folder, or new file whose name ends in .tar.",
)
@click.option("--current", is_flag=True, help="Leave out the generations before the current one.")
@_JSON
def backup(config: Config, output: Path, current: bool, as_object: bool) -> None:
    """Write an index to a folder or a tar file, and check what was written.

    Searches, decisions and updates may go on meanwhile: the copy is of one moment. It holds the generations, the
    encoder, the decisions of reviews, index.toml and the log of the nights, but not the source files.

    PATH must be new, and appears only when the copy is complete.

    \b
    engine backup -i rheumatology -o /backup/rheumatology-2026-12-01.tar
    engine backup -i rheumatology -o /backup/rheumatology-2026-12-01
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.copies.backup import make_backup

    folder = IndexFolder(config.find_existing())
    with raise_signals("no backup was made"), show_progress() as report:
        made = make_backup(folder, output, report, only_current=current)
    for note in made.notes:
        say(f"note: {note}", err=True)
    if as_object:
        say(dump_json({"path": str(output), **_list_fields(made.receipt), "notes": made.notes}))
        return
    say(f"{output}: backup of {folder.path.name}, checked after writing")
    for line in _describe(made.receipt):
        say(line)
    say(f"  to restore: engine restore {quote_word(output)} -i NEW-NAME")


@main.command()
@click.argument("path", type=_PLACE)
@index_options
@click.option(
    "--replace", is_flag=True, help="Replace the index of this name, and delete what it holds, decisions among it."
)
@_JSON
def restore(config: Config, path: Path, replace: bool, as_object: bool) -> None:
    """Make an index from a backup by `engine backup`.

    PATH is the folder or the tar file. Without -i, the index gets the name that it had. It appears only when all of its
    files were compared with their checksums; a damaged file is named, and nothing is restored then.

    \b
    engine restore /backup/rheumatology-2026-12-01.tar -i restored
    engine restore /backup/rheumatology-2026-12-01 --replace
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.copies.restore import read_backup, restore_index

    folder = IndexFolder(config.select_index(config.index or read_backup(path).name).find_target())
    with raise_signals("nothing was restored"), show_progress() as report:
        receipt = restore_index(path, folder, report, replace=replace)
    if as_object:
        say(dump_json({"index": folder.path.name, **_list_fields(receipt)}))
        return
    say(f"{folder.path.name}: restored from {path}, a backup of {receipt.name} of {receipt.created}")
    for line in _describe(receipt):
        say(line)


def _describe(receipt: BackupReceipt) -> Iterator[str]:
    """Yield lines on what a backup holds."""
    earlier = len(receipt.generations) - 1
    yield f"  {pluralize(receipt.n_records, 'record')} in generation {receipt.current:06d}, which is current"
    if earlier:
        yield f"  {pluralize(earlier, 'other generation')}"
    if receipt.n_decisions:
        reviews = (
            f", {pluralize(len(receipt.reviews), 'review')}: {', '.join(receipt.reviews)}" if receipt.reviews else ""
        )
        entries = "1 entry" if receipt.n_decisions == 1 else f"{receipt.n_decisions:,} entries"
        yield f"  {entries} of decisions.db{reviews}"
    yield f"  {pluralize(len(receipt.files), 'file')}, {receipt.n_bytes / 1e6:,.1f} MB"


def _list_fields(receipt: BackupReceipt) -> dict[str, Any]:
    """Return what a backup holds as plain fields, without the files."""
    fields = asdict(receipt)
    n_files = len(fields.pop("files"))
    return {**fields, "n_files": n_files, "n_bytes": receipt.n_bytes}
