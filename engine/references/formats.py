"""Write hits to a file in the format that its suffix names: whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.errors import EngineError, UsageError
from engine.references.bibtex import bibtex
from engine.references.cited import Cited
from engine.references.delimited import delimited
from engine.references.markdown import markdown
from engine.references.medline import medline
from engine.references.objects import json_array, json_lines
from engine.references.ris import ris
from engine.references.workbook import workbook

Pieces = Callable[[Sequence[Cited], str], Iterator[str]]  # of a text, from hits and a line about the search

TEXTS: dict[str, Pieces] = {
    ".ris": ris,
    ".nbib": medline,
    ".bib": bibtex,
    ".json": json_array,
    ".jsonl": json_lines,
    ".md": markdown,
}
DELIMITERS = {".csv": ",", ".tsv": "\t"}
FORMATS = (".ris", ".nbib", ".bib", ".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".md")  # suffixes that are known
# What a file system without hard links answers to a hard link.
NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that can't be written, before anything is searched for it.

    Raises:
        UsageError: an unknown suffix, a folder, a file that exists and may not be overwritten, a folder that is missing
            or may not be written to.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: no format has the suffix {path.suffix!r}. Known are {', '.join(FORMATS)}")
    is_there = os.path.exists(path)  # unlike Path.exists, False where it may not be looked at
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder. Name a file in it: {path / f'hits{path.suffix}'}")
    if is_there and not os.path.isfile(path):
        raise UsageError(f"{path} is a pipe or a device. Name a file")
    if is_there and not overwrite:
        raise UsageError(exists(path))
    folder = target_of(path).parent
    if not os.path.isdir(folder):
        raise UsageError(f"{path} can't be written: there is no folder {folder}. Make it first: mkdir -p {folder}")
    if not may_write(folder) or (is_there and not may_write(path)):
        raise UsageError(f"{path} can't be written: no permission in {folder}. Name a file in a folder of your own")


def exists(path: Path) -> str:
    """The message for a file that is there already."""
    return f"{path} exists. Write over it: --overwrite"


def target_of(path: Path) -> Path:
    """The file that a path leads to; a link stays a link."""
    return Path(os.path.realpath(path))


def may_write(place: Path) -> bool:
    """Whether this process may write there."""
    return os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def write(
    path: Path,
    cited: Sequence[Cited],
    title: str,
    *,
    overwrite: bool = False,
    raw: bool = False,
    changes: Sequence[str] = (),
) -> None:
    """Write hits to a file, whose suffix names the format. Until it is whole it has another name, in the same folder.

    Args:
        path: the file.
        cited: the hits with their records, in order.
        title: a line about the search; the heading in Markdown, the title of the workbook in XLSX.
        overwrite: whether a file of that name may be replaced.
        raw: CSV and TSV without protection against formulas.
        changes: what is new about each hit, the first column of CSV and TSV; other formats have no place for it.

    Raises:
        EngineError: the disk is full, or whatever else the system says; nothing is left behind.
    """
    check_target(path, overwrite=overwrite)
    target = target_of(path)
    part = target.with_name(f".engine-{secrets.token_hex(8)}")
    try:
        with part.open("xb") as file:
            file.writelines(content(path.suffix.lower(), cited, title, raw=raw, changes=changes))
            file.flush()
            os.fsync(file.fileno())
        publish(part, target, path, overwrite=overwrite)
    except OSError as err:
        raise EngineError(
            f"{path} can't be written: {err.strerror or err}. Name a file elsewhere, or make room"
        ) from err
    finally:
        part.unlink(missing_ok=True)


def content(
    suffix: str, cited: Sequence[Cited], title: str, *, raw: bool = False, changes: Sequence[str] = ()
) -> Iterator[bytes]:
    """Yield the pieces of a file of the format that has this suffix; what UTF-8 can't hold becomes a question mark."""
    if suffix == ".xlsx":
        yield workbook(cited, title)
    elif suffix in DELIMITERS:
        yield delimited(cited, DELIMITERS[suffix], raw=raw, changes=changes).encode("utf-8", "replace")
    else:
        yield from (piece.encode("utf-8", "replace") for piece in TEXTS[suffix](cited, title))


def publish(part: Path, target: Path, path: Path, *, overwrite: bool) -> None:
    """Give the written file its name; a file that has appeared there meanwhile is not overwritten unless it may be.

    Raises:
        UsageError: it has appeared.
        OSError: as the system says.
    """
    if overwrite:
        if target.exists():
            part.chmod(target.stat().st_mode & 0o7777)
        part.replace(target)
        return
    try:
        try:
            os.link(part, target)
        except OSError as err:
            if err.errno not in NO_LINKS:
                raise
            target.open("xb").close()  # takes the name, or finds it taken
            part.replace(target)
    except FileExistsError as err:
        raise UsageError(exists(path)) from err
