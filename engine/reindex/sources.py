"""The files that sources name: watched folders, globs and single files, in the order in which they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatch
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

from engine.collect.source import check_source, format_named, name_source
from engine.config import SourcePattern
from engine.corpus.draft import SourceFile
from engine.errors import SourceError, UnknownFormatError
from engine.receipts import FileReceipt

# pubmed26n1300.xml.gz; medline16n0902.xml.gz until 2016. A year's baseline begins at 0001, its updates follow on.
# "Copy of pubmed26n1300 (1).xml" is the same file still.
_RELEASE = re.compile(r"(?:pubmed|medline)(\d\d)n(\d{4})(?!\d)", re.IGNORECASE)
_NOT_SOURCES = (".md5", ".part", ".tmp", ".log", ".stats.html")  # lie beside PubMed's files, or are not yet whole
NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read."""

    path: Path
    format: str | None = None  # forced; None: told by the content
    receipt: FileReceipt | None = None  # where it was already hashed

    @property
    def name(self) -> str:
        """Its name, for messages and for the database."""
        return name_source(self.path)

    @property
    def place(self) -> str:
        """Where it lies, as the database keeps it; bytes that are not UTF-8 become question marks."""
        return str(self.path.absolute()).encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The files of all sources now."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...]  # what people should know: a folder without files, files that are no sources


def release_of(name: str) -> int:
    """Place of a file in PubMed's numbering, ascending over the years; 0 for any other file.

    >>> release_of("pubmed26n1300.xml.gz")
    20261300
    """
    found = _RELEASE.search(name)
    return (2000 + int(found[1])) * 10_000 + int(found[2]) if found else 0


def build_source_file(source: Source, receipt: FileReceipt) -> SourceFile:
    """What the corpus keeps of a file.

    Raises:
        SourceError: it can't be opened, or is of no known format.
    """
    found = check_source(source.path, source.format)
    return SourceFile(source.name, source.place, receipt.n_bytes, receipt.sha256, found.name, release_of(source.name))


def _split_digits(path: Path) -> tuple[tuple[int, str], ...]:
    """Sort key that puts file9 before file10."""
    pieces = NUMBER.split(str(path))
    return tuple((int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces)


def list_sources(base: Path, patterns: Sequence[SourcePattern], applied: frozenset[str]) -> _Listing:
    """Find the files of all patterns, each once, in the order of the patterns; PubMed's by release, others by age.

    The newest of a source's exports has the last word; those of one age go by name.

    base is the folder that relative paths start from. applied are the paths of files that the index was made from.

    Raises:
        SourceError: a file or folder is not there, or one that gave records before has no file left. Nothing is ever
            read as "all was deleted".
    """
    found: dict[Path, Source] = {}
    notes: list[str] = []
    for pattern in patterns:
        kind = format_named(pattern.format).name if pattern.format else None
        matched = _matches(base, pattern)
        if not matched:
            notes.append(_note_none_left(base, pattern, applied))
        for path in sorted(matched, key=lambda p: (release_of(p.name), p.stat().st_mtime_ns, _split_digits(p))):
            if kind is None and _is_folder(base, pattern) and (why := _explain_not_a_source(path)):
                notes.append(f"{path} is left out: {why}")
            else:
                found.setdefault(path, Source(path, kind))
    return _Listing(tuple(found.values()), tuple(notes))


def _resolve_pattern(base: Path, pattern: SourcePattern) -> Path:
    """A pattern as an absolute path; "~" is the home folder."""
    return base / Path(pattern.path).expanduser()


def _is_glob(base: Path, pattern: SourcePattern) -> bool:
    """Whether a pattern is one: a file or folder whose name has brackets in it is not."""
    return has_magic(pattern.path) and not _resolve_pattern(base, pattern).exists()


def _is_folder(base: Path, pattern: SourcePattern) -> bool:
    """Whether a pattern is a folder to watch."""
    return _resolve_pattern(base, pattern).is_dir()


def _matches(base: Path, pattern: SourcePattern) -> list[Path]:
    """The files of one pattern.

    Raises:
        SourceError: a file or folder is not there.
    """
    root = _resolve_pattern(base, pattern)
    if _is_glob(base, pattern):
        plain = list(takewhile(lambda part: not has_magic(part), Path(pattern.path).expanduser().parts))
        folder = base.joinpath(*plain)
        if not folder.is_dir():
            raise SourceError(_explain_vanished(folder, pattern))
        found = glob(str(Path(pattern.path).expanduser()), root_dir=base, recursive=True)
        return [base / name for name in found if (base / name).is_file()]
    if root.is_dir():
        return list(_list_folder(root))
    if not root.exists():
        raise SourceError(_explain_vanished(root, pattern))
    return [root]


def _list_folder(folder: Path) -> Iterator[Path]:
    """The files of a folder and of the folders in it, hidden ones and those that are no sources left out."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in inside) and not path.name.endswith(_NOT_SOURCES):
            yield path


def _explain_not_a_source(path: Path) -> str | None:
    """Why a file in a watched folder is none, in one line; None when it can be read."""
    try:
        check_source(path)
    except UnknownFormatError as err:
        return str(err)
    except SourceError:
        return None  # a broken file is an error of the run, never left out in silence
    return None


def _explain_vanished(path: Path, pattern: SourcePattern) -> str:
    """The message for a place that is not there."""
    return (
        f"{path} is not there (source {pattern.path!r} of index.toml). Nothing was changed and nothing is deleted for "
        "it. Is its disk mounted? Mend the path, or take the source out"
    )


def _note_none_left(base: Path, pattern: SourcePattern, applied: frozenset[str]) -> str:
    """The note on a source without a file.

    Raises:
        SourceError: it had some when the index was made.
    """
    root = _resolve_pattern(base, pattern)
    glob_like = str(root) if _is_glob(base, pattern) else f"{root}/*"
    before = [path for path in applied if fnmatch(path, glob_like)]
    if before:
        raise SourceError(
            f"{root} holds no file now, but {len(before):,} were read from it before. Nothing was changed and nothing "
            "is deleted for it. Is its disk mounted? Put the files back, or take the source out of index.toml"
        )
    return f"{root} holds no file yet"


def select_since(sources: Sequence[Source], day: date) -> tuple[Source, ...]:
    """Those changed on or after a day, by the time the file system keeps."""
    return tuple(s for s in sources if date.fromtimestamp(s.path.stat().st_mtime) >= day)


def hash_source(source: Source) -> Source:
    """The source with its receipt.

    Raises:
        SourceError: it can't be read.
    """
    try:
        return replace(source, receipt=FileReceipt.of(source.path))
    except OSError as err:
        raise SourceError(f"{source.path} can't be read: {err.strerror}") from err
