"""A worker on a node: encodes the texts of a part of a file and keeps their vectors as a shard."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from engine.collect.source import read_source
from engine.encode.execution.encoder import encode_checked
from engine.encode.models.recipe import hash_text
from engine.encode.texts.passages import load_recipe
from engine.errors import SourceError
from engine.receipts import FileReceipt
from engine.records.abstract import Abstract
from engine.reindex.encoding.shards import Shards
from engine.scale.encoding.nodeencoder import NodeSetup, open_node_encoder


@dataclass(frozen=True, slots=True)
class UncountedFile:
    """A file with records, which all nodes have at the same path."""

    path: str
    format: str | None  # None: what the file shows


@dataclass(frozen=True, slots=True)
class Unit:
    """Some records of one file, in the order of the file."""

    path: str
    format: str | None
    sha256: str  # of the file
    start: int  # position of the first record
    count: int

    @property
    def file(self) -> tuple[str, str | None]:
        """The file that it is a part of: digest and format."""
        return self.sha256, self.format

    @property
    def number(self) -> int:
        """Number of the shard of this unit, the same in every run."""
        key = f"{self.sha256} {self.start} {self.count}".encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:6], "big")


@dataclass(frozen=True, slots=True)
class UnitCounts:
    """Texts of one unit."""

    encoded: int
    kept: int  # encoded by an earlier run
    refused: int  # without a usable vector; the run that publishes says why


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What every worker needs; all nodes have both folders at the same path."""

    encoder: NodeSetup
    shards: str  # folder of the shards of this encoder


class UnitWorker:
    """An encoder on one node."""

    def open(self, setup: WorkerSetup) -> None:
        """Load the encoder and what earlier runs have encoded.

        Raises:
            EngineError: as open_node_encoder.
        """
        self._encoder = open_node_encoder(setup.encoder)
        identity = setup.encoder.identity
        self._texts = load_recipe(identity, Path(setup.encoder.folder))
        self._shards = Shards(Path(setup.shards), identity.dim, math.inf)
        self._shards.load()
        self._reading: tuple[Unit, Iterator[Abstract]] | None = None  # the last unit, and what follows it

    def count(self, file: UncountedFile) -> tuple[str, int]:
        """Return the SHA-256 of a file, and how many records it has.

        Raises:
            SourceError: the file can't be understood.
            OSError: the file can't be read.
        """
        path = Path(file.path)
        sha256 = FileReceipt.recall(path).sha256
        return sha256, sum(isinstance(entry, Abstract) for entry in read_source(path, file.format))

    def encode(self, unit: Unit) -> UnitCounts:
        """Encode the texts of a unit that no earlier run has encoded, and write them as one shard.

        Raises:
            SourceError: the file differs from the one that was counted.
            OSError: the file can't be read, or the shard can't be written.
        """
        texts = {hash_text(text): text for text in self._read_texts(unit)}
        missing = {digest: text for digest, text in texts.items() if self._shards.get(digest) is None}
        digests, page, n_refused = list(missing), self._encoder.page, 0
        for at in range(0, len(digests), page):
            some = digests[at : at + page]
            done = encode_checked(self._encoder, [missing[digest] for digest in some])
            n_refused += len(done.refused)
            self._shards.add([some[i] for i in done.kept], done.vectors, done.n_tokens, done.made_by)
        self._shards.write_as(unit.number)
        return UnitCounts(len(missing) - n_refused, len(texts) - len(missing), n_refused)

    def _read_texts(self, unit: Unit) -> list[str]:
        """Return the prepared texts of the records of a unit.

        Raises:
            SourceError: the file differs from the one that was counted.
        """
        path = Path(unit.path)
        if FileReceipt.recall(path).sha256 != unit.sha256:
            raise SourceError(f"{path} is not the file that was counted. Run the command again")
        at, records = self._read_on(unit)
        some = list(islice(records, unit.start - at, unit.start - at + unit.count))
        self._reading = unit, records
        return [text for record in some for text in self._texts(record.title, record.abstract)]

    def _read_on(self, unit: Unit) -> tuple[int, Iterator[Abstract]]:
        """Return the position of the next record of the file of a unit, and the records from there on."""
        last, self._reading = self._reading, None
        if last is not None and last[0].file == unit.file and last[0].start + last[0].count <= unit.start:
            return last[0].start + last[0].count, last[1]
        return 0, (entry for entry in read_source(Path(unit.path), unit.format) if isinstance(entry, Abstract))
