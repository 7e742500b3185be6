"""The encoder folder of an index: tokenizer.json, the graph, its weights, and encoder.json with their checksums.

A model with layers after pooling has them in a graph of their own. One with another tower for queries has the files of
that, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.encode.models.receipt import ModelReceipt
from engine.errors import EncoderMismatchError
from engine.receipts import FileReceipt
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
_RECEIPT = ModelReceipt(
    "encoder.json", "Put the encoder back from a backup, or export it again: engine index FILE -m MODEL"
)


def write_receipt(folder: Path, identity: EncoderIdentity) -> None:
    """Write encoder.json for the other files of the folder."""
    names = [name for files in (DOCUMENTS, QUERIES) for name in files.list_present(folder)]
    _RECEIPT.write(folder, identity, names)


def read_identity(folder: Path) -> EncoderIdentity:
    """Read the identity in the encoder.json of a folder.

    Raises:
        EncoderError: it has another format version.
        CorruptError: it is missing, unreadable or was changed since it was written.
    """
    return build_identity(_RECEIPT.read(folder)[0])


def list_encoder_files(folder: Path) -> list[FileReceipt]:
    """List the files of the encoder in a folder, as encoder.json says them; nothing is hashed.

    Raises:
        EncoderError: encoder.json has another format version.
        CorruptError: encoder.json is missing or damaged.
        FileNotFoundError: there is no such folder.
    """
    return _RECEIPT.list_files(folder)


def check_encoder(folder: Path, expected: EncoderIdentity, *, quick: bool = False) -> None:
    """Check that the folder holds the expected encoder, byte for byte.

    quick: large files that were hashed before and have not changed since are not hashed again.

    Raises:
        EncoderMismatchError: it is another encoder; the message names both.
        CorruptError: a file differs from encoder.json, or encoder.json is damaged.
        EncoderError: encoder.json has another format version.
    """
    content, files = _RECEIPT.read(folder)
    identity = build_identity(content)
    if identity.fingerprint != expected.fingerprint:
        raise EncoderMismatchError(
            f"{folder} holds {identity}, but the index was built with {expected}. Put the right encoder back, "
            "or encode everything again with this one: engine index FILE -m MODEL --re-encode"
        )
    _RECEIPT.check_files(folder, files, quick=quick)
