"""Opening of the records of a published generation."""

from __future__ import annotations

from engine.corpus.storage.connections import SharedDatabase
from engine.corpus.storage.store import Corpus, SegmentDatabase
from engine.index.generations.folder import Generation


def open_corpus(generation: Generation, before: Corpus | None = None) -> Corpus:
    """Open the records of a generation. Files that `before`, of another generation, has open are not opened again.

    Raises:
        CorruptError: SQLite can't read a file.
    """
    open_file = SharedDatabase if before is None else before.open_shared
    segments = [SegmentDatabase(segment.files.database, segment.dead) for segment in generation.segments]
    return Corpus(segments, generation.state, open_file)
