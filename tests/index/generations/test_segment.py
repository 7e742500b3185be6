"""The receipt of a segment."""

import hashlib
import shutil
from pathlib import Path

import pytest

from engine.errors import CorruptError
from engine.index.generations.folder import IndexFolder
from engine.index.generations.segment import SegmentFiles, check_segment, dump_receipt, read_receipt
from engine.receipts import FileReceipt
from engine.records.generation import SegmentReceipt, Totals

MADE = SegmentReceipt(12, 7, "abc", 3, Totals(2, 0, 1, 0, 0), "0" * 64, "IDMap2,Flat", (FileReceipt("x", 1, "d"),))


def write(folder: Path, receipt: SegmentReceipt) -> tuple[SegmentFiles, str]:
    files, text = SegmentFiles(folder), dump_receipt(receipt)
    files.receipt.write_text(text)
    return files, hashlib.sha256(text.encode()).hexdigest()


def test_a_receipt_survives_the_round_trip(tmp_path: Path) -> None:
    assert read_receipt(*write(tmp_path, MADE)) == MADE


def test_a_receipt_that_is_missing_or_another_is_refused(tmp_path: Path) -> None:
    files, digest = write(tmp_path, MADE)
    with pytest.raises(
        CorruptError, match=r"segment\.json was changed, damaged or belongs to another segment: .*expected 0000"
    ):
        read_receipt(files, "0" * 64)
    whole = files.receipt.read_bytes()
    for at in range(len(whole)):
        files.receipt.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CorruptError, match=r"segment\.json was changed, damaged .*Run: engine verify"):
            read_receipt(files, digest)
    files.receipt.unlink()
    with pytest.raises(CorruptError, match=r"segment\.json is missing, .*Run: engine verify"):
        read_receipt(files, digest)


def test_every_file_of_a_segment_is_checked(toy: IndexFolder, tmp_path: Path) -> None:
    (published,) = toy.open_current().segments
    files = SegmentFiles(Path(shutil.copytree(published.files.path, tmp_path / "segment")))
    check_segment(files, published.receipt, quick=False)
    assert [file.name for file in published.receipt.files] == ["abstracts.db", "vectors.faiss", "map.npz"]
    for path in (files.database, files.vectors, files.map):
        path.chmod(0o644)
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        with pytest.raises(CorruptError, match=rf"{path.name} has .* bytes, expected .*Run: engine verify"):
            check_segment(files, published.receipt, quick=False)
        path.write_bytes(whole)
    for suffix in ("-wal", "-journal", "-shm"):
        side = files.path / f"abstracts.db{suffix}"
        side.touch()
        with pytest.raises(CorruptError, match=rf"abstracts\.db{suffix} should not exist"):
            check_segment(files, published.receipt, quick=False)
        side.unlink()


def test_the_receipt_counts_what_is_in_the_segment(toy: IndexFolder) -> None:
    (segment,) = toy.open_current().segments
    assert (segment.n_live, segment.receipt.n_rows, segment.receipt.totals.abstracts) == (40, 40, 40)
    assert segment.files.path.name == f"000001-{segment.entry.sha256[:8]}"
