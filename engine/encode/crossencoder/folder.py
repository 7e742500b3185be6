"""The folder of an exported reranker: tokenizer, graph and weights, and reranker.json with their checksums."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from engine.encode.folder import GRAPH, TOKENIZER, WEIGHTS
from engine.errors import CorruptError, EncoderError
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.reranker import RerankerIdentity

RERANKER = "reranker.json"
_FORMAT_VERSION = 1
_ADVICE = "Put the reranker back from a backup, or delete its folder: it is exported again when it is next used"


def seal_reranker(folder: Path, identity: RerankerIdentity) -> None:
    """Write reranker.json for the three other files of the folder."""
    files = [asdict(FileReceipt.of(folder / name)) for name in (TOKENIZER, GRAPH, WEIGHTS)]
    content = {
        "format_version": _FORMAT_VERSION,
        "fingerprint": identity.fingerprint,
        "identity": asdict(identity),
        "files": files,
    }
    (folder / RERANKER).write_text(seal_json(content), encoding="utf-8")


def _read_sealed(folder: Path) -> tuple[RerankerIdentity, list[FileReceipt]]:
    """Read reranker.json.

    Raises:
        EncoderError: it has another format version.
        CorruptError: it is missing, unreadable or was changed since it was written.
    """
    path = folder / RERANKER
    try:
        content = open_json(path.read_bytes())
    except OSError as err:
        raise CorruptError(f"{path} can't be read: {err.strerror}. {_ADVICE}") from err
    if content is None:
        raise CorruptError(f"{path} was changed or damaged. {_ADVICE}")
    if content["format_version"] != _FORMAT_VERSION:
        raise EncoderError(
            f"{path} has format version {content['format_version']}, this engine reads {_FORMAT_VERSION}. "
            "Upgrade abstract-engine"
        )
    return RerankerIdentity(**content["identity"]), [FileReceipt(**file) for file in content["files"]]


def read_reranker_identity(folder: Path) -> RerankerIdentity:
    """Read the identity in the reranker.json of a folder.

    Raises:
        EncoderError: it has another format version.
        CorruptError: it is missing, unreadable or was changed since it was written.
    """
    return _read_sealed(folder)[0]


def check_reranker(folder: Path, *, quick: bool = False) -> RerankerIdentity:
    """Check that the folder holds what its reranker.json says, byte for byte, and return the identity.

    quick: large files that were hashed before and have not changed since are not hashed again.

    Raises:
        CorruptError: a file differs from reranker.json, or reranker.json is damaged.
        EncoderError: reranker.json has another format version.
    """
    identity, files = _read_sealed(folder)
    for file in files:
        if problem := file.find_problem(folder, quick=quick):
            raise CorruptError(f"{problem}. {_ADVICE}")
    return identity
