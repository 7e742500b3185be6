"""The receipt in the folder of an exported model: what the model is, and the checksums of its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import CorruptError, EncoderError
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.encoder import EncoderIdentity
from engine.records.reranker import RerankerIdentity

_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelReceipt:
    """Receipts of one kind of model."""

    name: str  # of the file
    advice: str  # where one is missing or damaged

    def write(self, folder: Path, identity: EncoderIdentity | RerankerIdentity, names: Iterable[str]) -> None:
        """Write the receipt of some files of a folder."""
        content = {
            "format_version": _FORMAT_VERSION,
            "fingerprint": identity.fingerprint,
            "identity": asdict(identity),
            "files": [asdict(FileReceipt.of(folder / name)) for name in names],
        }
        (folder / self.name).write_text(seal_json(content), encoding="utf-8")

    def read(self, folder: Path) -> tuple[dict[str, Any], list[FileReceipt]]:
        """Return the fields of the identity, and the receipts of the files.

        Raises:
            EncoderError: it has another format version.
            CorruptError: it is missing, unreadable or was changed since it was written.
        """
        path = folder / self.name
        try:
            content = open_json(path.read_bytes())
        except FileNotFoundError as err:
            raise CorruptError(f"{path} is missing. {self.advice}") from err
        except OSError as err:
            raise CorruptError(f"{path} can't be read: {err.strerror}. {self.advice}") from err
        if content is None:
            raise CorruptError(f"{path} was changed or damaged. {self.advice}")
        if content["format_version"] != _FORMAT_VERSION:
            raise EncoderError(
                f"{path} has format version {content['format_version']}, this engine reads {_FORMAT_VERSION}. "
                "Upgrade abstract-engine"
            )
        return content["identity"], [FileReceipt(**file) for file in content["files"]]

    def list_files(self, folder: Path) -> list[FileReceipt]:
        """List the files of a folder, the receipt among them.

        Raises:
            EncoderError: as read.
            CorruptError: as read.
        """
        return [FileReceipt.of(folder / self.name), *self.read(folder)[1]]

    def check_files(self, folder: Path, files: Iterable[FileReceipt], *, quick: bool) -> None:
        """Check files of a folder, byte for byte.

        quick: large files that were hashed before and have not changed since are not hashed again.

        Raises:
            CorruptError: a file differs from its receipt.
        """
        for file in files:
            if problem := file.find_problem(folder, quick=quick):
                raise CorruptError(f"{problem}. {self.advice}")
