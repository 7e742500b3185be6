"""The text files of an evaluation: lines in, compressed or not; whole files out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.collect.lines import lines
from engine.collect.opening import open_source
from engine.errors import EngineError, SourceError


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its ending) of every line that is not blank; gzip is told by its content.

    Raises:
        SourceError: the file can't be read, is empty, breaks off, or a line is not UTF-8.
    """
    with open_source(path) as stream:
        for number, line, is_utf8 in lines(stream, str(path)):
            if not is_utf8:
                raise SourceError(f"{path}, line {number}: not UTF-8 text. Save the file as UTF-8")
            if line.strip():
                yield number, line.rstrip("\r\n")


def write_lines(path: Path, pieces: Iterable[str]) -> None:
    """Write a file that appears under its name only when it is whole, in place of one that is there.

    Raises:
        EngineError: the folder is missing, the disk is full, or whatever else the system says; nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".engine-{secrets.token_hex(8)}")
    try:
        with part.open("x", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as err:
        raise EngineError(
            f"{path} can't be written: {err.strerror or err}. Name a file in a folder that is there"
        ) from err
    finally:
        part.unlink(missing_ok=True)
