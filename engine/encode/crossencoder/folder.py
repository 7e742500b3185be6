"""The folder of an exported reranker: tokenizer, graph and weights, and reranker.json with their checksums."""

from __future__ import annotations

from pathlib import Path

from engine.encode.models.folder import GRAPH, TOKENIZER, WEIGHTS
from engine.encode.models.receipt import ModelReceipt
from engine.receipts import FileReceipt
from engine.records.reranker import RerankerIdentity

RERANKER = "reranker.json"
_RECEIPT = ModelReceipt(
    RERANKER, "Put the reranker back from a backup, or delete its folder: it is exported again when it is next used"
)


def seal_reranker(folder: Path, identity: RerankerIdentity) -> None:
    """Write reranker.json for the three other files of the folder."""
    _RECEIPT.write(folder, identity, (TOKENIZER, GRAPH, WEIGHTS))


def read_reranker_identity(folder: Path) -> RerankerIdentity:
    """Read the identity in the reranker.json of a folder.

    Raises:
        EncoderError: it has another format version.
        CorruptError: it is missing, unreadable or was changed since it was written.
    """
    return RerankerIdentity(**_RECEIPT.read(folder)[0])


def list_reranker_files(folder: Path) -> list[FileReceipt]:
    """List the files of the reranker in a folder, as reranker.json says them; nothing is hashed.

    Raises:
        EncoderError: reranker.json has another format version.
        CorruptError: reranker.json is missing or damaged.
        FileNotFoundError: there is no such folder.
    """
    return _RECEIPT.list_files(folder)


def check_reranker(folder: Path, *, quick: bool = False) -> RerankerIdentity:
    """Check that the folder holds what its reranker.json says, byte for byte, and return the identity.

    quick: large files that were hashed before and have not changed since are not hashed again.

    Raises:
        CorruptError: a file differs from reranker.json, or reranker.json is damaged.
        EncoderError: reranker.json has another format version.
    """
    content, files = _RECEIPT.read(folder)
    _RECEIPT.check_files(folder, files, quick=quick)
    return RerankerIdentity(**content)
