"""An encoder folder beside an index: tokenizer.json, the graph, its weights, and encoder.json, their receipt."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from engine.errors import CorruptError, EncoderError, EncoderMismatchError
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.encoder import EncoderIdentity

TOKENIZER = "tokenizer.json"
GRAPH = "encoder.onnx"
WEIGHTS = "encoder.data"  # mapped by ONNX Runtime from beside the graph
_RECEIPT = "encoder.json"
_FORMAT_VERSION = 1
_ADVICE = "Put the encoder back from a backup, or export it again: engine index FILE -m MODEL"


def write_receipt(folder: Path, identity: EncoderIdentity) -> None:
    """Write encoder.json for the three files that stand in the folder."""
    files = [asdict(FileReceipt.of(folder / name)) for name in (TOKENIZER, GRAPH, WEIGHTS)]
    content = {
        "format_version": _FORMAT_VERSION,
        "fingerprint": identity.fingerprint,
        "identity": asdict(identity),
        "files": files,
    }
    (folder / _RECEIPT).write_text(seal_json(content), encoding="utf-8")


def _read_receipt(folder: Path) -> tuple[EncoderIdentity, list[FileReceipt]]:
    """Read encoder.json.

    Raises:
        EncoderError: of another format version.
        CorruptError: missing, unreadable or changed since it was written.
    """
    path = folder / _RECEIPT
    try:
        content = open_json(path.read_bytes())
    except FileNotFoundError as err:
        raise CorruptError(f"{path} is missing. {_ADVICE}") from err
    except OSError as err:
        raise CorruptError(f"{path} can't be read: {err.strerror}") from err
    if content is None:
        raise CorruptError(f"{path} was changed or damaged. {_ADVICE}")
    if content["format_version"] != _FORMAT_VERSION:
        found = f"{path} has format version {content['format_version']}, this engine reads {_FORMAT_VERSION}"
        raise EncoderError(f"{found}. Upgrade abstract-engine")
    return EncoderIdentity(**content["identity"]), [FileReceipt(**file) for file in content["files"]]


def read_identity(folder: Path) -> EncoderIdentity:
    """Read the identity that an encoder folder claims.

    Raises:
        EncoderError: of another format version.
    """
    return _read_receipt(folder)[0]


def check_encoder(folder: Path, expected: EncoderIdentity, *, quick: bool = False) -> None:
    """Check that the folder holds the expected encoder, byte for byte.

    quick: large files that were hashed before and not touched since are not hashed again.

    Raises:
        EncoderMismatchError: it is another encoder; both are named.
        CorruptError: its files differ from their receipt.
        EncoderError: of another format version.
    """
    found, files = _read_receipt(folder)
    if found.fingerprint != expected.fingerprint:
        raise EncoderMismatchError(
            f"{folder} holds {found}, but the index was built with {expected}. Put the right encoder back, "
            "or build the index again with this one: engine index FILE -m MODEL --re-encode"
        )
    for file in files:
        if problem := file.find_problem(folder, quick=quick):
            raise CorruptError(
                f"{problem}. Put the encoder back from a backup, or export it again: engine index -m MODEL"
            )
