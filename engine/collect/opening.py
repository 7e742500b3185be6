"""Open a source file: plain or gzip by content, guarded against bombs, never loaded whole."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from engine.errors import SourceError

HEAD = 1 << 16  # bytes looked at to tell a format
MAX_INFLATED = 64 << 30  # bytes; PubMed's largest baseline file inflates to under 1 GiB
MAX_RATIO = 200  # inflated to stored; PubMed's files are near 10
RATIO_FLOOR = 16 << 20  # bytes; short files may compress better than MAX_RATIO by chance
MAX_LINE = 32 << 20  # bytes of one line; a record of 1 MB is odd, one of 32 MB is not an abstract

AGAIN = "Delete the file, and download or copy it again"

REFUSED = {
    b"PK\x03\x04": "a ZIP or Excel file, or a Word document; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file; save the sheet as CSV",
    b"%PDF": "a PDF; export the records as PubMed XML, CSV or JSONL",
    b"BZh": "compressed with bzip2; unpack it: bunzip2 FILE",
    b"\xfd7zXZ": "compressed with xz; unpack it: unxz FILE",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it: unzstd FILE",
    b"SQLite format 3": "an SQLite database; export the records as JSONL",
}


class Inflated(io.RawIOBase):
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
        if self.n_out > MAX_INFLATED or (self.n_out > RATIO_FLOOR and self.n_out > MAX_RATIO * n_in):
            raise SourceError(
                f"{self.name}: {n_in:,} bytes of gzip inflate to more than {self.n_out:,}: not a source of abstracts. "
                "If it is one, unpack it first: gunzip FILE"
            )

    def close(self) -> None:
        """Close the gzip reader and the file below it."""
        self.gzip.close()
        self.stored.close()
        super().close()


def open_source(path: Path) -> io.BufferedReader:
    """Open a file for reading its content; `peek` of the result gives the first HEAD bytes.

    Raises:
        SourceError: missing, a folder, empty, unreadable, or a kind of file that holds no records.
    """
    stored = open_stored(path)
    stream = stored
    if stored.peek(2)[:2] == b"\x1f\x8b":
        stream = cast("io.BufferedReader", io.BufferedReader(Inflated(stored, str(path)), HEAD))
    try:
        head = stream.peek(HEAD)
        if not head.strip(b"\xef\xbb\xbf \t\r\n"):
            raise SourceError(f"{path} is empty: expected records")
        for magic, advice in REFUSED.items():
            if head.startswith(magic):
                raise SourceError(f"{path} is {advice}")
    except BaseException:
        stream.close()
        raise
    return stream


def open_stored(path: Path) -> io.BufferedReader:
    """Open the bytes on disk.

    Raises:
        SourceError: missing, a folder, a pipe or a device, or not allowed.
    """
    if path.is_dir():
        raise SourceError(f"{path} is a folder: name the files in it, for example {path}/*")
    if path.exists() and not path.is_file():
        raise SourceError(f"{path} is a pipe or a device, which can't be read twice. Save it to a file first")
    try:
        return io.BufferedReader(io.FileIO(path), HEAD)
    except FileNotFoundError as err:
        raise SourceError(f"{path}: no such file. Check the spelling, or the folder you are in") from err
    except OSError as err:
        raise SourceError(f"{path} can't be read: {err.strerror}") from err
