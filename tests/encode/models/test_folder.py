"""The receipt of an encoder folder: another encoder, changed bytes and missing files are noticed."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from engine.encode.models.folder import check_encoder, read_identity, write_receipt
from engine.errors import CorruptError, EncoderError, EncoderMismatchError
from engine.receipts import open_json, seal_json
from engine.records.encoder import EncoderIdentity
from tests.conftest import CURRENT

(SAVED,) = (CURRENT / "encoders").iterdir()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAVED, tmp_path / "saved"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_saved_encoder_passes_its_check(saved: Path) -> None:
    check_encoder(saved, read_identity(saved))


def test_another_encoder_with_the_same_dimension_is_named(saved: Path) -> None:
    expected: EncoderIdentity = read_identity(saved)
    write_receipt_of(saved, replace(expected, model="other", weights_sha256="0" * 64))
    with pytest.raises(EncoderMismatchError, match=r"holds other .*weights 0000.* but the index was built with .*toy"):
        check_encoder(saved, expected)


def write_receipt_of(saved: Path, identity: EncoderIdentity) -> None:
    for path in saved.iterdir():
        path.chmod(0o644)
    write_receipt(saved, identity)


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder.data", "tokenizer.json"])
def test_a_damaged_encoder_file_is_noticed(saved: Path, name: str) -> None:
    (saved / name).chmod(0o644)
    flip(saved / name)
    with pytest.raises(CorruptError, match=f"{name} was changed or damaged"):
        check_encoder(saved, read_identity(saved))


@pytest.mark.parametrize("name", ["query-tokenizer.json", "query.onnx", "query.data", "query-head.onnx"])
def test_a_damaged_or_missing_file_of_the_tower_for_queries_is_noticed(saved: Path, name: str) -> None:
    for one in ("query-tokenizer.json", "query.onnx", "query.data", "query-head.onnx"):
        (saved / one).write_bytes(b"of queries")
    write_receipt_of(saved, read_identity(saved))
    check_encoder(saved, read_identity(saved))
    flip(saved / name)
    with pytest.raises(CorruptError, match=f"{name} was changed or damaged"):
        check_encoder(saved, read_identity(saved))
    (saved / name).unlink()
    with pytest.raises(CorruptError, match=f"{name} is missing, expected 10 bytes"):
        check_encoder(saved, read_identity(saved))


def test_a_missing_receipt_or_a_newer_one_is_refused(saved: Path) -> None:
    expected = read_identity(saved)
    path = saved / "encoder.json"
    path.chmod(0o644)
    content = open_json(path.read_bytes())
    assert content is not None
    path.write_text(seal_json({**content, "format_version": 2}))
    with pytest.raises(EncoderError, match="format version 2, this engine reads 1"):
        check_encoder(saved, expected)
    path.unlink()
    with pytest.raises(CorruptError, match="encoder.json is missing"):
        check_encoder(saved, expected)


def test_one_flipped_bit_at_any_byte_of_a_receipt_is_noticed(saved: Path) -> None:
    expected, path = read_identity(saved), saved / "encoder.json"
    path.chmod(0o644)
    whole = bytearray(path.read_bytes())
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << (position % 8)
        path.write_bytes(flipped)
        with pytest.raises(CorruptError, match="encoder.json was changed or damaged"):
            check_encoder(saved, expected)
