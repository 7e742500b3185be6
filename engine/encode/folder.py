"""The encoder folder of an index: tokenizer.json, the graph, its weights, and encoder.json with their checksums.

A model with layers after pooling has them in a graph of their own. One with another tower for queries has the files of
that, too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import CorruptError, EncoderError, EncoderMismatchError
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.encoder import EncoderIdentity, build_identity

TOKENIZER = "tokenizer.json"
GRAPH = "encoder.onnx"
WEIGHTS = "encoder.data"  # in the same folder, where ONNX Runtime maps it


@dataclass(frozen=True, slots=True)
class TowerFiles:
    """The names of the files of one tower of an encoder."""

    tokenizer: str
    graph: str  # token ids to token states
    weights: str  # of the graph
    head: str  # what follows pooling, if anything: pooled states to vectors

    def list_present(self, folder: Path) -> list[str]:
        """Return the names of those files that a folder has."""
        return [name for name in (self.tokenizer, self.graph, self.weights, self.head) if (folder / name).is_file()]


DOCUMENTS = TowerFiles(TOKENIZER, GRAPH, WEIGHTS, "head.onnx")  # and of queries, unless these have a tower of their own
QUERIES = TowerFiles("query-tokenizer.json", "query.onnx", "query.data", "query-head.onnx")
_RECEIPT = "encoder.json"
_FORMAT_VERSION = 1
_ADVICE = "Put the encoder back from a backup, or export it again: engine index FILE -m MODEL"


def write_receipt(folder: Path, identity: EncoderIdentity) -> None:
    """Write encoder.json for the other files of the folder."""
    names = [name for files in (DOCUMENTS, QUERIES) for name in files.list_present(folder)]
    files = [asdict(FileReceipt.of(folder / name)) for name in names]
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
        EncoderError: it has another format version.
        CorruptError: it is missing, unreadable or was changed since it was written.
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
        raise EncoderError(
            f"{path} has format version {content['format_version']}, this engine reads {_FORMAT_VERSION}. "
            "Upgrade abstract-engine"
        )
    return build_identity(content["identity"]), [FileReceipt(**file) for file in content["files"]]


def read_identity(folder: Path) -> EncoderIdentity:
    """Read the identity in the encoder.json of a folder.

    Raises:
        EncoderError: it has another format version.
        CorruptError: it is missing, unreadable or was changed since it was written.
    """
    return _read_receipt(folder)[0]


def check_encoder(folder: Path, expected: EncoderIdentity, *, quick: bool = False) -> None:
    """Check that the folder holds the expected encoder, byte for byte.

    quick: large files that were hashed before and have not changed since are not hashed again.

    Raises:
        EncoderMismatchError: it is another encoder; the message names both.
        CorruptError: a file differs from encoder.json, or encoder.json is damaged.
        EncoderError: encoder.json has another format version.
    """
    identity, files = _read_receipt(folder)
    if identity.fingerprint != expected.fingerprint:
        raise EncoderMismatchError(
            f"{folder} holds {identity}, but the index was built with {expected}. Put the right encoder back, "
            "or encode everything again with this one: engine index FILE -m MODEL --re-encode"
        )
    for file in files:
        if problem := file.find_problem(folder, quick=quick):
            raise CorruptError(f"{problem}. {_ADVICE}")
