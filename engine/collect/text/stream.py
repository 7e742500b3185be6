"""Opened source files."""

from __future__ import annotations

import io
from pathlib import Path

from engine.errors import SourceError
from engine.files import HEAD, open_bytes


def open_source(path: Path) -> io.BufferedReader:
    """Open a file and unpack it if it is compressed; `peek` of the stream gives the first HEAD bytes.

    Raises:
        SourceError: as open_bytes; or the file is empty, a pipe or a device.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SourceError(f"{path} is a pipe or a device, which can't be read twice. Save it to a file first")
    stream = open_bytes(path)
    try:
        if not stream.peek(HEAD).strip(b"\xef\xbb\xbf \t\r\n"):
            raise SourceError(f"{path} is empty: expected records")
    except BaseException:
        stream.close()
        raise
    return stream
