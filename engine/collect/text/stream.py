"""Opened source files."""

from __future__ import annotations

import io
import re
from pathlib import Path

from engine.errors import SourceError
from engine.files import HEAD, PARQUET, ZIP, open_bytes

_is_workbook = re.compile(rb".{30}(?:\[Content_Types\]\.xml|_rels/|docProps/|xl/)", re.DOTALL).match


def open_source(path: Path, *, may_be_parquet: bool = False) -> io.BufferedReader:
    """Open a file and unpack it if it is compressed; `peek` of the stream gives the first HEAD bytes.

    may_be_parquet: return the stream of a Parquet file, which is not unpacked, instead of refusing it.

    Raises:
        SourceError: as open_bytes; or the file is empty, a pipe, a device or a ZIP file that is no workbook.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SourceError(f"{path} is a pipe or a device, which can't be read twice. Save it to a file first")
    stream = open_bytes(path, (ZIP, PARQUET) if may_be_parquet else (ZIP,))
    try:
        if (head := stream.peek(HEAD)).startswith(ZIP) and not _is_workbook(head):
            raise SourceError(
                f"{path} is a ZIP file, or a document that is no Excel workbook (.xlsx). Unpack the archive, or save "
                "the table as .xlsx or .csv"
            )
        if not stream.peek(HEAD).strip(b"\xef\xbb\xbf \t\r\n"):
            raise SourceError(f"{path} is empty: expected records")
    except BaseException:
        stream.close()
        raise
    return stream
