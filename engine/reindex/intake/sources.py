"""The files of the sources (watched folders, globs and single files), in the order in which they are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatch
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

from engine import stamps
from engine.collect.source import check_source, get_format, name_source
from engine.config import SourcePattern
from engine.corpus.draft import SourceFile
from engine.corpus.storage.store import AppliedFile
from engine.errors import SourceError, UnknownFormatError, UsageError
from engine.receipts import FileReceipt

# pubmed26n1300.xml.gz; medline16n0902.xml.gz until 2016. A year's baseline begins at 0001, its updates follow.
# "Copy of pubmed26n1300 (1).xml" counts as the same file.
_RELEASE = re.compile(r"(?:pubmed|medline)(\d\d)n(\d{4})(?!\d)", re.IGNORECASE)
_NOT_SOURCES = (".md5", ".part", ".tmp", ".log", ".stats.html")  # come with PubMed's files, or are incomplete
_NAMED = 5  # entries of a folder that a message names
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read."""

    path: Path
    format: str | None = None  # None: detected from the content
    receipt: FileReceipt | None = None  # None: not hashed yet

    @property
    def name(self) -> str:
        """Name of the file, for messages and the database."""
        return name_source(self.path)

    @property
    def place(self) -> str:
        """Absolute path, as the database stores it; bytes that are not UTF-8 become question marks."""
        return str(self.path.absolute()).encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class _Listing:
    """The present files of all sources."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...]  # for people: folders without files, files that are not sources


def release_of(name: str) -> int:
    """Return the release number of a PubMed file, ascending over the years; 0 for any other file.

    >>> release_of("pubmed26n1300.xml.gz")
    20261300
    """
    match = _RELEASE.search(name)
    return (2000 + int(match[1])) * 10_000 + int(match[2]) if match else 0


def build_source_file(source: Source, receipt: FileReceipt) -> SourceFile:
    """Build the entry of a file for the corpus.

    Raises:
        SourceError: the file can't be opened, or its format is unknown.
    """
    kind = check_source(source.path, source.format)
    return SourceFile(source.name, source.place, receipt.n_bytes, receipt.sha256, kind.name, release_of(source.name))


def _split_digits(path: Path) -> tuple[tuple[int, str], ...]:
    """Return a sort key that puts file9 before file10."""
    pieces = _NUMBER.split(str(path))
    return tuple((int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces)


def list_sources(base: Path, patterns: Sequence[SourcePattern], applied: Sequence[AppliedFile]) -> _Listing:
    """Find the files of all patterns, each once, in the order of the patterns; PubMed's by release, others by age.

    So the newest export of a source is read last. Files of the same age are sorted by name.

    base is the folder that relative paths start from. applied are the files that the index was made from: such a file
    has its receipt if it is large and was not touched since it was hashed. It is not opened.

    Raises:
        SourceError: a file or folder does not exist, or a source that had files before has none left. Missing files
            never count as deleted records.
    """
    sources: dict[Path, Source] = {}
    notes: list[str] = []
    digests = _group_digests(applied)
    for pattern in patterns:
        kind = get_format(pattern.format).name if pattern.format else None
        matched = _matches(base, pattern)
        if not matched:
            notes.append(_note_none_left(base, pattern, applied))
        for path in sorted(matched, key=lambda p: (release_of(p.name), p.stat().st_mtime_ns, _split_digits(p))):
            receipt = _find_receipt(path, digests)
            is_doubtful = receipt is None and kind is None and _is_folder(base, pattern)
            if is_doubtful and (why := _explain_not_a_source(path)):
                notes.append(f"{path} is skipped: {why}")
            else:
                sources.setdefault(path, Source(path, kind, receipt))
    return _Listing(tuple(sources.values()), tuple(notes))


def _group_digests(applied: Sequence[AppliedFile]) -> dict[int, set[str]]:
    """Return the SHA-256 of all contents of each size."""
    digests: dict[int, set[str]] = {}
    for file in applied:
        digests.setdefault(file.n_bytes, set()).add(file.sha256)
    return digests


def _find_receipt(path: Path, digests: Mapping[int, Collection[str]]) -> FileReceipt | None:
    """Return the receipt of a file that is known to have one of these contents, without reading it; None if unknown."""
    try:
        n_bytes = path.stat().st_size
    except OSError:
        return None
    known = (sha256 for sha256 in digests.get(n_bytes, ()) if stamps.is_untouched(path, sha256))
    return next((FileReceipt(path.name, n_bytes, sha256) for sha256 in known), None)


def resolve_pattern(base: Path, pattern: SourcePattern) -> Path:
    """Return a pattern as an absolute path; "~" is the home folder."""
    return base / Path(pattern.path).expanduser()


def _is_glob(base: Path, pattern: SourcePattern) -> bool:
    """Return whether a pattern is a glob. An existing file or folder with brackets in its name is not."""
    return has_magic(pattern.path) and not resolve_pattern(base, pattern).exists()


def _is_folder(base: Path, pattern: SourcePattern) -> bool:
    """Return whether a pattern is a folder to watch."""
    return resolve_pattern(base, pattern).is_dir()


def _matches(base: Path, pattern: SourcePattern) -> list[Path]:
    """Return the files of one pattern.

    Raises:
        SourceError: a file or folder does not exist.
    """
    root = resolve_pattern(base, pattern)
    if _is_glob(base, pattern):
        plain = list(takewhile(lambda part: not has_magic(part), Path(pattern.path).expanduser().parts))
        folder = base.joinpath(*plain)
        if not folder.is_dir():
            raise SourceError(_explain_vanished(folder, pattern))
        names = glob(str(Path(pattern.path).expanduser()), root_dir=base, recursive=True)
        return [base / name for name in names if (base / name).is_file()]
    if root.is_dir():
        return list(_list_folder(root))
    if not root.exists() and pattern.service:
        return []
    if not root.exists():
        raise SourceError(_explain_vanished(root, pattern))
    return [root]


def check_pattern(base: Path, pattern: SourcePattern) -> None:
    """Check that a new source exists: a file, a folder, which may be empty, or a glob that matches a file.

    Raises:
        UsageError: it does not; the message says what was found in its place.
    """
    root = resolve_pattern(base, pattern)
    if not _is_glob(base, pattern):
        folder, missing = next(path for path in root.parents if path.is_dir()), not root.exists()
        what = "does not exist"
    else:
        plain = list(takewhile(lambda part: not has_magic(part), Path(pattern.path).expanduser().parts))
        folder = base.joinpath(*plain)
        missing = not folder.is_dir() or not _matches(base, pattern)
        what = "matches no file"
        folder = next(path for path in (folder, *folder.parents) if path.is_dir())
    if missing:
        raise UsageError(f"{root} {what}. {_describe_folder(folder)}. Correct it, or create it first")


def _describe_folder(folder: Path) -> str:
    """Return what a folder contains, in one sentence."""
    names = sorted((path.name + ("/" if path.is_dir() else "") for path in folder.iterdir()), key=str.casefold)
    if not names:
        return f"{folder} is empty"
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{folder} contains {', '.join(names[:_NAMED])}{more}"


def _list_folder(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders, except hidden files and files that are never sources."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in inside) and not path.name.endswith(_NOT_SOURCES):
            yield path


def _explain_not_a_source(path: Path) -> str | None:
    """Return why a file in a watched folder is not a source, in one line; None if it is one."""
    try:
        check_source(path)
    except UnknownFormatError as err:
        return str(err)
    except SourceError:
        return None  # a broken file is an error of the run and must not be skipped
    return None


def _explain_vanished(path: Path, pattern: SourcePattern) -> str:
    """Return the message for a missing file or folder."""
    return (
        f"{path} does not exist (source {pattern.path!r} of index.toml). Nothing was changed or deleted. "
        "Is its disk mounted? Correct the path, or remove the source from index.toml"
    )


def _note_none_left(base: Path, pattern: SourcePattern, applied: Sequence[AppliedFile]) -> str:
    """Return the note on a source without files.

    Raises:
        SourceError: the source had files before.
    """
    root = resolve_pattern(base, pattern)
    glob_like = str(root) if _is_glob(base, pattern) else f"{root}/*"
    before = {file.path for file in applied if fnmatch(file.path, glob_like)}
    if before:
        raise SourceError(
            f"{root} contains no files now, but {len(before):,} were read from it before. Nothing was changed or "
            "deleted. Is its disk mounted? Put the files back, or remove the source from index.toml"
        )
    if pattern.service:
        return f"{pattern.describe()} was not fetched yet. Fetch it: engine nightly {base.name}"
    return f"{root} contains no files yet"


def select_since(sources: Sequence[Source], day: date) -> tuple[Source, ...]:
    """Return the sources that were modified on or after a day."""
    return tuple(s for s in sources if date.fromtimestamp(s.path.stat().st_mtime) >= day)


def hash_source(source: Source) -> Source:
    """Return the source with its receipt, and remember it; a source that has one is not read.

    Raises:
        SourceError: the file can't be read.
    """
    if source.receipt is not None:
        return source
    try:
        before = stamps.read_identity(source.path)
        receipt = FileReceipt.of(source.path)
        stamps.note(source.path, receipt.sha256, before)
        return replace(source, receipt=receipt)
    except OSError as err:
        raise SourceError(f"{source.path} can't be read: {err.strerror}") from err
