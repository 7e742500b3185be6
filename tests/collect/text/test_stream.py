import gzip
import io
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.collect.text.stream import HEAD, open_source
from engine.errors import SourceError


def bomb(path: Path, megabytes: int) -> Path:
    """A gzip file of spaces that inflates a thousandfold, after one good record."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(squeeze.compress(b'{"id": "a", "title": "t"}\n'))
        for _ in range(megabytes):
            file.write(squeeze.compress((b" " * 1023 + b"\n") * 1024))
        file.write(squeeze.flush())
    return path


def test_plain_and_gzip_read_the_same(tmp_path: Path) -> None:
    content = b'{"id": "a", "title": "Knee"}\n' * 10_000
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "misnamed.xml").write_bytes(gzip.compress(content, mtime=0))
    for name in ("plain", "misnamed.xml"):
        with open_source(tmp_path / name) as stream:
            assert stream.peek(HEAD).startswith(b'{"id"')
            assert stream.read() == content


def test_a_multi_member_gzip_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "two.gz"
    path.write_bytes(
        gzip.compress(b'{"id": 1, "title": "a"}\n', mtime=0) + gzip.compress(b'{"id": 2, "title": "b"}\n', mtime=0)
    )
    assert len(list(read_source(path))) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty: expected records"),
        (b"\xef\xbb\xbf \n", r"is empty"),
        (gzip.compress(b"", mtime=0), r"is empty"),
        (b"PK\x03\x04 and so on", r"is a ZIP file, or a document that is no Excel workbook \(.xlsx\). Unpack"),
        (b"%PDF-1.7", r"is a PDF"),
        (b"\xd0\xcf\x11\xe0 and so on", r"is an old Excel file \(.xls\), .*; save the sheet as .xlsx or .csv"),
        (b"PAR1\x15\x04", r"is a Parquet file; write the table as .csv or .jsonl"),
        (b"{\\rtf1\\ansi", r"is a rich text document \(.rtf\); save it as plain text \(.txt\) in UTF-8"),
        (b"hello\nworld\n", r"not PubMed XML, .*, JSONL, XLSX or CSV: its first line is 'hello'"),
        (b"<html></html>", r"XML, but neither PubMed's \(<PubmedArticleSet>\) nor EndNote's"),
    ],
)
def test_a_file_without_records_is_refused_with_a_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(read_source(path))


def test_missing_folder_and_forbidden_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "absent")
    with pytest.raises(SourceError, match="is a folder: name the files in it"):
        open_source(tmp_path)


def test_pipes_and_devices_are_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SourceError, match="is a pipe or a device"):
            open_source(path)


@pytest.mark.parametrize("cut", [12, 30, -9, -4, -1])
def test_gzip_that_ends_early_is_an_error_not_a_short_file(tmp_path: Path, cut: int) -> None:
    lines = b"".join(b'{"id": "%d", "title": "Knee %d"}\n' % (i, i * 7919) for i in range(5000))
    path = tmp_path / "short.gz"
    path.write_bytes(gzip.compress(lines, mtime=0)[:cut])
    with pytest.raises(SourceError, match=r"short.gz: the gzip data ends early"):
        list(read_source(path))


def test_broken_gzip_names_the_file(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(b"".join(b'{"id": "%d", "title": "Knee"}\n' % i for i in range(5000)), mtime=0))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "broken.gz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"broken.gz: broken gzip data"):
        list(read_source(path))


def test_a_gzip_bomb_is_refused_early_and_in_little_memory(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.gz", 400)
    script = (
        "import sys; from pathlib import Path; from engine.collect.source import read_source\n"
        "try:\n    for _ in read_source(Path(sys.argv[1])): pass\n"
        "except Exception as err: print(err)\n"
        "print(int(next(line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line)) // 1024)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 5
    message, peak = done.stdout.splitlines()
    assert "bomb.gz: " in message and "not a source of abstracts" in message
    assert int(peak) < 150


def test_a_stream_is_never_loaded_whole(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b'{"id": "a", "title": "t"}\n' * 100_000)
    with open_source(path) as stream:
        next(iter(stream))
        assert isinstance(stream, io.BufferedReader)
        assert stream.raw.tell() <= 2 * HEAD
