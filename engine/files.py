"""Files of the user: checked before the work, written whole or not at all, and read as text.

What a generation holds is written by engine.index.files.durable instead.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import secrets
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from engine.errors import EngineError, SourceError, UsageError
from engine.phrases import quote_word
from engine.platform import is_closed_pipe, link_file, replace_path, sync_path

HEAD = 1 << 16  # bytes looked at to tell a format
MAX_LINE = 32 << 20  # bytes of one line; a record of 1 MB is odd, one of 32 MB is not an abstract
_BLOCK = 1 << 16  # bytes of lines decoded at once
AGAIN = "Delete the file, and download or copy it again"
DELIMITERS = ",\t;|"  # between the columns of a table
COMPRESSED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z")  # how the names of compressed files end

_MAX_INFLATED = 64 << 30  # bytes; PubMed's largest baseline file inflates to under 1 GiB
_MAX_RATIO = 200  # inflated to stored; PubMed's files are near 10
_RATIO_FLOOR = 16 << 20  # bytes; short files may compress better than _MAX_RATIO by chance
ZIP = b"PK\x03\x04"  # the first bytes of a ZIP file, a workbook (.xlsx) among them
PARQUET = b"PAR1"  # the first bytes of a Parquet file
_NO_TEXT = {
    ZIP: "a ZIP or Excel file, or a Word document; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls), an old Word document or a file with a password; save the sheet as "
    ".xlsx or .csv",
    b"%PDF": "a PDF; export the records as PubMed XML, CSV or JSONL",
    b"BZh": "compressed with bzip2; unpack it: bunzip2 FILE",
    b"\xfd7zXZ": "compressed with xz; unpack it: unxz FILE",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it: unzstd FILE",
    b"SQLite format 3": "an SQLite database; export the records as JSONL",
    PARQUET: "a Parquet file; write the table as .csv or .jsonl",
    b"ARROW1": "an Arrow file; write the table as .csv or .jsonl",
    b"{\\rtf": "a rich text document (.rtf); save it as plain text (.txt) in UTF-8",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
}


# Before the work


def check_target(path: Path, *, overwrite: bool, example: str = "file") -> None:
    """Refuse a path that can't be written.

    Args:
        path: the file to be written; a link is followed.
        overwrite: whether a file of this name may be replaced.
        example: name of a file, for the message about a folder.

    Raises:
        UsageError: the path is a folder, a pipe, a device or "-", exists and may not be overwritten, or its folder is
            missing or may not be written to.
    """
    refuse_dash(path)
    exists = os.path.exists(path)  # unlike Path.exists, False in a folder that may not be searched
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder, expected a file. Name a file in it: {path / example}")
    if exists and not os.path.isfile(path):
        raise UsageError(f"{path} is a pipe or a device, expected a file. Name another file")
    if exists and not overwrite:
        raise UsageError(_explain_exists(path))
    folder = _resolve(path).parent
    if not os.path.isdir(folder):
        raise UsageError(
            f"{path} can't be written: there is no folder {folder}. Make it first: mkdir -p {quote_word(folder)}"
        )
    if not _is_writable(folder) or (exists and not _is_writable(path)):
        raise UsageError(f"{path} can't be written: no permission in {folder}. Name a file in a folder of your own")


def check_targets(paths: Sequence[Path], *, overwrite: bool, example: str = "file") -> None:
    """Refuse paths of which one can't be written, or two are the same file.

    Raises:
        UsageError: as check_target, or a file is named twice.
    """
    targets = [_resolve(path) for path in paths]
    for path, target in zip(paths, targets, strict=True):
        if targets.count(target) > 1:
            raise UsageError(f"{path} is named twice, expected another file for each output")
        check_target(path, overwrite=overwrite, example=example)


def check_new_folder(folder: Path, may_hold: Collection[str] | None = None) -> None:
    """Refuse a folder that can't be made, or that holds something else.

    Args:
        folder: the folder to be made, with all above it.
        may_hold: names of files that may be there and are written over; None: the folder must be new.

    Raises:
        UsageError: the folder is a file or "-", exists or holds other files, or the folder above it may not be written
            to.
    """
    refuse_dash(folder)
    if not os.path.lexists(folder):
        above = next(one for one in _resolve(folder).parents if os.path.lexists(one))
        if not os.path.isdir(above) or not _is_writable(above):
            raise UsageError(f"{folder} can't be made: no permission in {above}. Name a folder of your own: -o FOLDER")
        return
    if not os.path.isdir(folder):
        raise UsageError(f"{folder} is a file, expected a new folder. Name another: -o FOLDER")
    if may_hold is None:
        raise UsageError(f"{folder} exists, expected a new folder. Name another: -o FOLDER; or remove it")
    if other := {path.name for path in folder.iterdir()} - set(may_hold):
        raise UsageError(
            f"{folder} holds {min(other)}, expected a new folder or one with only {', '.join(sorted(may_hold))}. "
            "Name another: -o FOLDER"
        )


def refuse_dash(path: Path) -> None:
    """Refuse "-", which stands for standard output in other programs.

    Raises:
        UsageError: the path is "-".
    """
    if str(path) == "-":
        raise UsageError("the output is -, expected the name of a file or folder: this output can't be piped")


def _resolve(path: Path) -> Path:
    """Return the file that a path leads to; a link stays a link."""
    return Path(os.path.realpath(path))


def _is_writable(path: Path) -> bool:
    """Return whether this process may write there."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _explain_exists(path: Path) -> str:
    """Return the message about a file that is there already."""
    return f"{path} exists. Write over it: --overwrite"


# Writing


def write_file(path: Path, pieces: Iterable[bytes], *, overwrite: bool) -> None:
    """Write a file that appears under its name only when it is whole. On failure nothing is left, nothing is lost.

    Raises:
        UsageError: as check_target; also if a file has appeared meanwhile and may not be overwritten.
        EngineError: the disk is full, or another error of the system.
    """
    with write_path_whole(path, overwrite=overwrite) as part, _report_errors(path), part.open("xb") as file:
        file.writelines(pieces)


def write_text(path: Path, pieces: Iterable[str], *, overwrite: bool) -> None:
    """Write a text as write_file does, in UTF-8. What UTF-8 can't hold becomes a question mark."""
    write_file(path, (piece.encode("utf-8", "replace") for piece in pieces), overwrite=overwrite)


@contextmanager
def open_whole(path: Path, *, overwrite: bool) -> Iterator[TextIO]:
    """Yield a text stream into a file that appears as with write_text, when the block has ended without an error.

    Raises:
        UsageError: as write_file.
        EngineError: as write_file.
    """
    with (
        write_path_whole(path, overwrite=overwrite) as part,
        _report_errors(path),
        part.open("x", encoding="utf-8", errors="replace", newline="") as file,
    ):
        yield file


@contextmanager
def write_path_whole(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path to write to; the file gets its real name when the block has ended without an error.

    For a library that writes the file itself. An error raised in the block passes as it is, and the file is removed.

    Raises:
        UsageError: as write_file.
        EngineError: the file can't be given its name.
    """
    check_target(path, overwrite=overwrite)
    target = _resolve(path)
    part = target.with_name(f".engine-{secrets.token_hex(8)}")
    try:
        yield part
        with _report_errors(path):
            sync_path(part)
            _publish(part, target, path, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _report_errors(path: Path) -> Iterator[None]:
    """Turn errors of the system into one that names the file.

    Raises:
        EngineError: the file can't be written.
        OSError: the stream that progress is printed to was closed.
    """
    try:
        yield
    except OSError as err:
        if is_closed_pipe(err):  # not from the file, but from the stream that progress is printed to
            raise
        raise EngineError(
            f"{path} can't be written: {err.strerror or err}. Name a file elsewhere, or make room"
        ) from err


def _publish(part: Path, target: Path, path: Path, *, overwrite: bool) -> None:
    """Give the written file its name. A file that has appeared there meanwhile stays unless it may be overwritten.

    Raises:
        UsageError: it has appeared.
        OSError: as the system says.
    """
    if overwrite:
        if os.path.exists(target):
            _copy_mode(target, part)
        replace_path(part, target)
        return
    try:
        is_linked = link_file(part, target)  # unlike a rename, never over another file
    except FileExistsError as err:
        raise UsageError(_explain_exists(path)) from err
    if not is_linked:
        _publish_without_links(part, target, path)


def _publish_without_links(part: Path, target: Path, path: Path) -> None:
    """Give the file its name on a file system without hard links.

    Raises:
        UsageError: the name is taken.
        OSError: as the system says; the name is free again.
    """
    try:
        target.open("xb").close()  # takes the name, or finds it taken
    except FileExistsError as err:
        raise UsageError(_explain_exists(path)) from err
    try:
        replace_path(part, target)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _copy_mode(source: Path, target: Path) -> None:
    """Give a file the permissions of another, where the file system knows any."""
    mode = source.stat().st_mode & 0o7777
    if target.stat().st_mode & 0o7777 != mode:
        with suppress(PermissionError):  # FAT refuses to change them
            target.chmod(mode)


# Reading


def open_bytes(path: Path, accepted: Collection[bytes] = ()) -> io.BufferedReader:
    """Open a file for reading, plain or gzip by content; `peek` of the result gives the first HEAD bytes.

    accepted: ZIP, PARQUET or both; other kinds that hold no text are refused. Neither is unpacked.

    Raises:
        SourceError: the file is missing, a folder, unreadable, or of a kind that holds no text.
    """
    if os.path.isdir(path):
        raise SourceError(f"{path} is a folder: name the files in it, for example {path}/*")
    try:
        stored = io.BufferedReader(io.FileIO(path), HEAD)
    except FileNotFoundError as err:
        raise SourceError(f"{path}: no such file. Check the spelling, or the folder you are in") from err
    except (OSError, ValueError) as err:  # ValueError: a NUL in the name
        raise SourceError(f"{path} can't be read: {getattr(err, 'strerror', None) or err}") from err
    stream = cast("io.BufferedReader", stored)
    try:
        if stored.peek(2)[:2] == b"\x1f\x8b":
            stream = cast("io.BufferedReader", io.BufferedReader(_Inflated(stream, str(path)), HEAD))
        head = stream.peek(HEAD)
        for magic, advice in _NO_TEXT.items():
            if head.startswith(magic) and magic not in accepted:
                raise SourceError(f"{path} is {advice}")
    except BaseException:
        stream.close()
        raise
    return stream


def is_bomb(n_stored: int, n_inflated: int) -> bool:
    """Return whether far more bytes come out of compressed ones than out of any real source."""
    return n_inflated > _MAX_INFLATED or (n_inflated > _RATIO_FLOOR and n_inflated > _MAX_RATIO * n_stored)


class _Inflated(io.RawIOBase):
    """The content of a gzip file as a raw stream that refuses bombs and names the file when it breaks."""

    def __init__(self, stored: BinaryIO, name: str) -> None:
        self.stored = stored
        self.name = name
        self.gzip = gzip.GzipFile(fileobj=stored)
        self.n_out = 0

    def readable(self) -> bool:
        """Tell io.BufferedReader that it may read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Inflate into the buffer.

        Raises:
            SourceError: the data is broken, ends early or inflates without end.
        """
        try:
            n = self.gzip.readinto(buffer)
        except EOFError as err:
            raise SourceError(f"{self.name}: the gzip data ends early. {AGAIN}") from err
        except (gzip.BadGzipFile, zlib.error) as err:
            raise SourceError(f"{self.name}: broken gzip data ({err}). {AGAIN}") from err
        self.n_out += n
        self.refuse_bomb()
        return n

    def refuse_bomb(self) -> None:
        """Stop when far more came out than any real source holds.

        Raises:
            SourceError: over the ratio or over the size.
        """
        n_in = max(1, self.stored.tell())
        if is_bomb(n_in, self.n_out):
            raise SourceError(
                f"{self.name}: {n_in:,} bytes of gzip inflate to more than {self.n_out:,}: not a source of abstracts. "
                "If it is one, unpack it first: gunzip FILE"
            )

    def close(self) -> None:
        """Close the gzip reader and the file below it."""
        self.gzip.close()
        self.stored.close()
        super().close()


def find_utf16(head: bytes) -> str | None:
    """Return the UTF-16 codec of a text that starts with these bytes; None if it is not UTF-16.

    UTF-16 is recognised by its byte-order mark, or by a zero byte in each of the first characters.
    """
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    start = head[:8]
    if len(start) < 8 or all(start):
        return None
    if not any(start[1::2]) and all(start[::2]):
        return "utf-16-le"
    return "utf-16-be" if not any(start[::2]) and all(start[1::2]) else None


def decode_lines(stream: io.BufferedReader, name: str, *, marks: str = "\ufeff") -> Iterator[tuple[int, str, bool]]:
    r"""Yield (line number from 1, line with its ending, whether it was UTF-8).

    Byte-order marks at the start of any line are dropped, since joined files have one in the middle; with no marks
    named, they stay. Lines end at \n. UTF-16 is recognised as in find_utf16; otherwise each line is UTF-8, or
    Windows-1252 where it is not valid UTF-8.

    Raises:
        SourceError: a line longer than MAX_LINE.
    """
    if codec := find_utf16(stream.peek(8)):
        decoded = io.TextIOWrapper(stream, codec, errors="replace", newline="")
        try:
            yield from ((number, text.lstrip(marks), True) for number, text in enumerate(decoded, 1))
        finally:
            decoded.detach()  # the stream is closed by its opener
        return
    number, start = 0, bytearray()  # of a line that the next block ends
    while block := stream.read1(_BLOCK):
        end = block.rfind(b"\n") + 1
        if len(start) + (block.find(b"\n") + 1 or len(block)) >= MAX_LINE:
            raise SourceError(f"{name}, line {number + 1}: longer than {MAX_LINE:,} bytes, so not a record")
        if end:
            for line, is_utf8 in _decode_block(bytes(start) + block[:end] if start else block[:end], marks):
                number += 1
                yield number, line, is_utf8
            start.clear()
        start += block[end:]
    if start:
        yield number + 1, *_decode_line(bytes(start), marks)


def _decode_block(raw: bytes, marks: str) -> Iterator[tuple[str, bool]]:
    r"""Yield (line with its ending, whether it was UTF-8) for each line of bytes that end with \n.

    All lines are decoded at once where possible, which is several times as fast.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        yield from (_decode_line(line + b"\n", marks) for line in raw[:-1].split(b"\n"))
        return
    if marks and marks in text:
        yield from ((f"{line}\n".lstrip(marks), True) for line in text[:-1].split("\n"))
    else:
        yield from ((f"{line}\n", True) for line in text[:-1].split("\n"))


def _decode_line(raw: bytes, marks: str) -> tuple[str, bool]:
    """Decode one line as decode does, without the byte-order marks before it if marks are named."""
    while marks and raw.startswith(codecs.BOM_UTF8):
        raw = raw.removeprefix(codecs.BOM_UTF8)
    return decode(raw)


def decode(raw: bytes) -> tuple[str, bool]:
    """Decode one line: (text, whether it was UTF-8). The five bytes that Windows-1252 lacks become Latin-1."""
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        try:
            return raw.decode("cp1252"), False
        except UnicodeDecodeError:
            return raw.decode("latin-1"), False


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield (number from 1, line without its ending) of every line that is not blank.

    Lines end with \n, or with \r in a file that has no \n.

    Raises:
        SourceError: as open_bytes; or the file has only blank lines, breaks off, or a line is not UTF-8.
    """
    is_empty = True
    with open_bytes(path) as stream:
        for number, line, is_utf8 in _split_returns(decode_lines(stream, str(path))):
            if not is_utf8 or "\0" in line:
                what = "holds a NUL" if is_utf8 else "not UTF-8"
                raise SourceError(f"{path}, line {number}: {what}, expected text. Save the file as UTF-8")
            if line.strip():
                is_empty = False
                yield number, line.rstrip("\r\n")
    if is_empty:
        raise SourceError(f"{path} is empty")


def _split_returns(lines: Iterator[tuple[int, str, bool]]) -> Iterator[tuple[int, str, bool]]:
    r"""Yield lines, the only one of a file without \n as those that \r ends."""
    for number, line, is_utf8 in lines:
        if number == 1 and "\r" in line and not line.endswith("\n"):
            yield from ((n, part, is_utf8) for n, part in enumerate(line.split("\r"), 1))
        else:
            yield number, line, is_utf8


def read_text(path: Path, max_bytes: int) -> str:
    r"""Read a text as a whole, its lines ending with \n.

    Raises:
        SourceError: as open_bytes; or the file has more than max_bytes, breaks off, or is not UTF-8 text.
    """
    with open_bytes(path) as stream:
        raw = stream.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise SourceError(f"{path} has more than {max_bytes:,} bytes")
    is_utf16 = raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        text = raw.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as err:
        raise SourceError(f"{path} is not UTF-8 text (byte {err.start:,}). Save it as UTF-8") from err
    if "\0" in text:
        raise SourceError(f"{path} is not text: it holds a NUL")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sniff_delimiter(header: str, n_known: Callable[[list[str]], int]) -> tuple[str, list[str]]:
    """Return the delimiter under which the header of a table has the most known columns, and its cells under it.

    Args:
        header: the first line.
        n_known: counts the columns that are known among the cells of a header.
    """
    split = [(delimiter, _split_header(header, delimiter)) for delimiter in DELIMITERS]
    return max(split, key=lambda one: n_known(one[1]))


def _split_header(header: str, delimiter: str) -> list[str]:
    """Return the cells of a line; none where it is no row of a table."""
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
